"""An application that need not be there before a server is ready."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Late"]

logger = logging.getLogger(__name__)


class Late:
    """Imported and put together by `make` in a thread of its own: after `begin`, or at the first request.

    Requests that come meanwhile wait without a thread each: others need those. What fails is in the log, and is tried
    again at the next request.
    """

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._made: Future[ASGIApp] | None = None

    async def begin(self) -> ASGIApp:
        """The application, once it is there. Raises: what `make` raises."""
        made = self._made
        if made is None or (made.done() and made.exception() is not None):
            made = self._made = Future()
            threading.Thread(target=self._run, args=(made,), name="lifelong-late", daemon=True).start()
        return await asyncio.shield(asyncio.wrap_future(made))

    def _run(self, made: Future[ASGIApp]) -> None:
        try:
            made.set_result(self._make())
        except BaseException as error:
            logger.exception("what is made late cannot be made")
            made.set_exception(error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        app = await self.begin()
        await app(scope, receive, send)
