"""An application that need not be there before a server is ready."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Late"]


class Late:
    """Imported and put together by `make` at the first request, or before by `made`: whoever asks meanwhile waits."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._app: ASGIApp | None = None
        self._lock = threading.Lock()

    def made(self) -> ASGIApp:
        """The application; for a thread that may wait."""
        with self._lock:
            if self._app is None:
                self._app = self._make()
            return self._app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        app = self._app or await asyncio.to_thread(self.made)
        await app(scope, receive, send)
