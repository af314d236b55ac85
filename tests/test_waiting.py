"""The waits of the tests end: in vain, they say what was seen at last."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest
from loop_clients import Caller
from waiting import decided, joined, until


class Stuck:
    """A server whose update never ends."""

    def ask(self, method: str, path: str) -> dict[str, Any]:
        return {"state": "training", "asked": f"{method} {path}"}


def test_what_comes_is_returned_and_what_does_not_is_told() -> None:
    assert until(iter("abc").__next__, lambda letter: letter == "c", seconds=5) == "c"
    with pytest.raises(TimeoutError, match=r"waited 0.05 seconds in vain, and saw at last: 'queued'"):
        until(lambda: "queued", lambda state: state == "promoted", seconds=0.05)


def test_an_update_that_is_stuck_is_told_with_its_state() -> None:
    with pytest.raises(TimeoutError, match=r"'state': 'training'.*GET /v1/projects/digits/updates/u-1"):
        decided(cast("Caller", Stuck()), "u-1", seconds=0.05)


def test_threads_that_go_on_are_named() -> None:
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait, args=(30,), name="slow"), threading.Thread(target=lambda: None)]
    for thread in threads:
        thread.start()
    try:
        with pytest.raises(TimeoutError, match=r"1 of 2 threads still run: \['slow'\]"):
            joined(threads, seconds=0.05)
    finally:
        stop.set()
    joined(threads)
