"""Waiting with a deadline: who waits in vain says for what, and what was there instead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from loop_clients import AT, Caller

__all__ = ["DECIDED", "decided", "joined", "until"]

T = TypeVar("T")

#: states of an update after which nothing comes
DECIDED = ("promoted", "known", "rejected", "failed", "cancelled")


def until(look: Callable[[], T], holds: Callable[[T], object] = bool, seconds: float = 60.0, every: float = 0.01) -> T:
    """Look again and again until `holds`; what was seen then.

    Raises: `TimeoutError` with what was seen last.

    >>> until(iter([1, 2, 3]).__next__, lambda number: number > 1)
    2
    """
    end = time.monotonic() + seconds
    while not holds(seen := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} seconds in vain, and saw at last: {seen!r}")
        time.sleep(every)
    return seen


def decided(caller: Caller, update: str, seconds: float = 60.0) -> dict[str, Any]:
    """The update, when it is decided. Raises: `TimeoutError` with its state."""
    return until(lambda: caller.ask("GET", f"{AT}/updates/{update}"), lambda row: row["state"] in DECIDED, seconds)


def joined(threads: Iterable[threading.Thread], seconds: float = 60.0) -> None:
    """Wait for all. Raises: `TimeoutError` with the names of those that still run."""
    end = time.monotonic() + seconds
    some = list(threads)
    for thread in some:
        thread.join(max(0.0, end - time.monotonic()))
    if left := [thread.name for thread in some if thread.is_alive()]:
        raise TimeoutError(f"after {seconds:g} seconds {len(left)} of {len(some)} threads still run: {left}")
