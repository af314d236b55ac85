"""Logging in with an API key, and out again."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lifelong.service.auth import Keys
from lifelong.service.dashboard.guard import COOKIE, form
from lifelong.service.dashboard.page import HEADERS, Pages
from lifelong.service.dashboard.session import Attempts, Sessions
from lifelong.service.local import check_origin
from lifelong.service.problems import ProblemError
from lifelong.service.settings import is_loopback

__all__ = ["LogIn"]

PATH = re.compile(r"/projects/[A-Za-z0-9._/-]*")


class LogIn:
    """The endpoints of `/login` and `/logout`; where no keys are `needed` they lead to the first page."""

    def __init__(self, keys: Keys, sessions: Sessions, attempts: Attempts, pages: Pages, *, needed: bool) -> None:
        self._keys, self._sessions, self._attempts = keys, sessions, attempts
        self._pages, self._needed = pages, needed

    async def ask(self, request: Request) -> Response:
        """The page that asks for a key."""
        if not self._needed:
            return _go("/")
        return self._page(request.query_params.get("next", "/"), None)

    async def enter(self, request: Request) -> Response:
        """Begin a session for a key that holds. Raises: `ProblemError` 403 for requests from elsewhere, 429."""
        check_origin(request)
        if not self._needed:
            return _go("/")
        address = _address(request)
        self._attempts.check(address)
        fields = await form(request)
        secret = fields.get("key", "").strip()
        try:
            await self._keys.holder(secret)
        except ProblemError as error:
            self._attempts.failed(address)
            return self._page(fields.get("next", "/"), error)
        self._sessions.close(request.cookies.get(COOKIE))
        response = _go(_inside(fields.get("next", "/")))
        response.set_cookie(
            COOKIE,
            self._sessions.open(secret),
            max_age=int(self._sessions.seconds),
            httponly=True,
            samesite="strict",
            secure=request.headers.get("origin", str(request.url)).startswith("https:"),  # TLS may end at a proxy
        )
        return response

    async def leave(self, request: Request) -> Response:
        """End the session. Raises: `ProblemError` 403 for requests from elsewhere or without the session's token."""
        check_origin(request)
        session = self._sessions.find(request.cookies.get(COOKIE))
        if session is not None:
            session.check((await form(request)).get("token"))
            self._sessions.close(request.cookies.get(COOKIE))
        response = _go("/login")
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    def _page(self, to: str, error: ProblemError | None) -> Response:
        problem = None if error is None else error.message
        return self._pages.show(
            "login.html.j2", None, 200 if error is None else error.status, to=_inside(to), problem=problem
        )


def _inside(path: str) -> str:
    """`path` if it is one of ours, so that nobody is led elsewhere.

    >>> _inside("/projects/digits"), _inside("//evil.example"), _inside("/projects/..//evil")
    ('/projects/digits', '/', '/')
    """
    return path if PATH.fullmatch(path) and "//" not in path and ".." not in path else "/"


def _address(request: Request) -> str:
    """Who asks; where a proxy on this machine asks for others, whom it names."""
    own = request.client.host if request.client is not None else ""
    named = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return named if named and is_loopback(own) else own


def _go(path: str) -> RedirectResponse:
    return RedirectResponse(path, 303, {**HEADERS, "Cache-Control": "no-store"})
