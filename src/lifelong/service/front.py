"""The door before the router: what must be fast is found by its path alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lifelong.service.problems import answer

__all__ = ["Bare", "Front"]


class Bare(NamedTuple):
    """An ASGI function as a route's endpoint, without the handlers that Starlette puts around a function."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Front:
    """Calls the `Bare` endpoints of `routes` at `POST /…/…/{name}/…` itself, and `behind` for all else.

    Starlette's middleware and its search through the routes are a fifth of what a prediction costs the server.
    """

    def __init__(self, behind: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._behind = behind
        self._direct: dict[tuple[str, str, str], tuple[str, ASGIApp]] = {}
        for route in routes:
            if isinstance(route, Route) and isinstance(route.endpoint, Bare) and route.path.count("/") == 4:
                _, first, second, name, last = route.path.split("/")
                self._direct[first, second, last] = name.strip("{}"), route.endpoint.app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let `behind` do it."""
        if scope["type"] == "http" and scope["method"] == "POST" and not scope.get("root_path"):
            pieces = scope["path"].split("/")
            found = self._direct.get((pieces[1], pieces[2], pieces[4])) if len(pieces) == 5 else None
            if found is not None and pieces[3]:
                scope["path_params"] = {found[0]: pieces[3]}
                await _answered(found[1], scope, receive, send)
                return
        await self._behind(scope, receive, send)


async def _answered(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await app(scope, receive, send)
    except Exception as error:
        response = await answer(Request(scope, receive), error)
        await response(scope, receive, send)
        raise  # for the log
