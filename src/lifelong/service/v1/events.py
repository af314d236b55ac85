"""Events of an update as a stream (SSE): its row each time that it changes, until it is decided."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import orjson
from msgspec.structs import asdict

from lifelong.loop.update import FINAL
from lifelong.store.updates import Update

__all__ = ["events"]


async def events(
    look: Callable[[], Awaitable[Update]], seconds: float = 0.5, ending: asyncio.Event | None = None
) -> AsyncIterator[bytes]:
    """`event: update` with the row as JSON at once and after each change; a comment every few seconds in between.

    It ends with a state that is final, and when `ending` is set, as a server that stops waits for its answers. `look`
    reads the row; it is called every `seconds`.
    """
    ending = ending or asyncio.Event()
    before: Update | None = None
    silent = 0
    while True:
        row = await look()
        silent += 1
        if row != before:
            yield b"event: update\ndata: " + orjson.dumps(asdict(row)) + b"\n\n"
            before, silent = row, 0
        elif silent * seconds >= 10:  # so that proxies keep the connection, and one that is gone is noticed
            yield b": waiting\n\n"
            silent = 0
        if row.state in FINAL or ending.is_set():
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), seconds)
