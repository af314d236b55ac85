"""One stream per page (SSE) that says `changed` when the project has; the page then asks for itself anew."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from lifelong.errors import LifelongError
from lifelong.service.problems import ProblemError

__all__ = ["Stamps", "changes"]


class Stamps:
    """What `look(project)` says, asked once for all pages that are open.

    Arguments: `clock` gives seconds that never go back. `seconds`: how old an answer may be.
    """

    def __init__(
        self, look: Callable[[str], Awaitable[str]], clock: Callable[[], float] = time.monotonic, seconds: float = 0.4
    ) -> None:
        self._look, self._clock, self._seconds = look, clock, seconds
        self._known: dict[str, tuple[float, str]] = {}
        self._door = asyncio.Lock()

    async def of(self, project: str) -> str:
        """The stamp of a project. Raises: what `look` raises."""
        async with self._door:
            at, stamp = self._known.get(project, (-1e9, ""))
            if self._clock() - at >= self._seconds:
                stamp = await self._look(project)
                self._known[project] = (self._clock(), stamp)
            return stamp


async def changes(
    look: Callable[[], Awaitable[str]], ending: asyncio.Event, seconds: float = 0.5
) -> AsyncIterator[bytes]:
    """`event: changed` with the stamp at once and after each change; a comment every few seconds in between.

    It ends when the server does (`ending`), when the client goes, and with `event: ended` where `look` refuses: the
    session is over, or the project cannot be read.
    """
    before, silent = None, 0
    yield b"retry: 1500\n\n"
    while not ending.is_set():
        try:
            stamp = await look()
        except (ProblemError, LifelongError):
            yield b"event: ended\ndata: -\n\n"
            return
        silent += 1
        if stamp != before:
            yield f"event: changed\ndata: {stamp}\n\n".encode()
            before, silent = stamp, 0
        elif silent * seconds >= 10:  # so that proxies keep the connection, and one that is gone is noticed
            yield b": waiting\n\n"
            silent = 0
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), seconds)
