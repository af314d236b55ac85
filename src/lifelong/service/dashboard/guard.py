"""Who looks at a page, what they may do, and whether what they send was meant: sessions, scopes, forged requests."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request

from lifelong.service.auth import ANYONE, Keys, allow
from lifelong.service.catalogue import Key, Scope
from lifelong.service.dashboard.session import Session, Sessions
from lifelong.service.limits import read_body
from lifelong.service.local import check_origin
from lifelong.service.problems import ProblemError

__all__ = ["COOKIE", "Guard", "LogInError", "Visitor"]

COOKIE = "lifelong_session"
LARGEST_FORM = 64 * 1024


class LogInError(ProblemError):
    """Nobody is logged in, or not any more."""

    def __init__(self) -> None:
        super().__init__(401, "nobody is logged in, or not any more; log in with an API key")


@dataclass(frozen=True)
class Visitor:
    """Who looks: the key, and the session whose token the forms bring. `named` is false where no keys are needed."""

    key: Key
    session: Session
    named: bool

    def may(self, scope: Scope, project: str | None = None) -> bool:
        """Whether they may do `scope` (on `project`)."""
        try:
            allow(self.key, scope, project)
        except ProblemError:
            return False
        return True


class Guard:
    """Knows visitors by their cookie; where the server asks for no keys, everyone on this machine is one visitor."""

    def __init__(self, keys: Keys, sessions: Sessions, *, needed: bool) -> None:
        self._keys, self._sessions = keys, sessions
        self._anyone = None if needed else Visitor(ANYONE, Session("", secrets.token_urlsafe(32), 0.0), False)

    async def visitor(self, request: Request) -> Visitor:
        """Who looks. The key is looked at again each time, so one that is revoked ends its sessions.

        Raises: `LogInError`. Where no keys are asked for, `Local` has seen to it that this machine's user asks.
        """
        if self._anyone is not None:
            return self._anyone
        session = self._sessions.find(request.cookies.get(COOKIE))
        if session is None:
            raise LogInError
        try:
            return Visitor(await self._keys.holder(session.secret), session, True)
        except ProblemError as error:
            raise LogInError from error

    async def allowed(self, request: Request, project: str | None, *scopes: Scope) -> Visitor:
        """The visitor, if they may do one of `scopes`. Raises: like `visitor`; `ProblemError` 403."""
        visitor = await self.visitor(request)
        if not any(visitor.may(scope, project) for scope in scopes):
            allow(visitor.key, scopes[0], project)
        return visitor

    async def sent(self, request: Request, project: str, scope: Scope) -> tuple[Visitor, dict[str, str]]:
        """The visitor and the fields of a form that they sent.

        Raises: like `allowed`; `ProblemError` 403 where another site, or a page of another session, made the request.
        """
        check_origin(request)
        visitor = await self.allowed(request, project, scope)
        fields = await form(request)
        visitor.session.check(fields.get("token"))
        return visitor, fields


async def form(request: Request) -> dict[str, str]:
    """The fields of a form; `ProblemError` 400 for what is none."""
    body = await read_body(request, LARGEST_FORM)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=50))
    except ValueError as error:
        raise ProblemError(400, f"this is no form: {error}") from error
