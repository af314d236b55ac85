"""Whether a request comes from this machine's own user: it keeps pages of other sites out where no keys are asked for.

A browser sends what any page tells it to, to any address that its user can reach. A page elsewhere may have a name that
leads here (DNS rebinding): the header Host gives it away. It may send what forms can send: Sec-Fetch-Site or Origin
give it away, and no form can send a body of JSON.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from lifelong.service.problems import ProblemError, answer
from lifelong.service.settings import is_loopback

__all__ = ["Local", "check_host", "check_origin"]

#: what is asked for changes nothing, and a page of another site cannot read the answer
HARMLESS = ("GET", "HEAD", "OPTIONS")
BYTES = "application/octet-stream"
MEDIA = ("application/json", "application/x-ndjson")


class Local:
    """Refuses what a page of another site asks `app` for; for a server that asks for no keys."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 or 415, or let `app` do it."""
        if scope["type"] == "http":
            request = Request(scope)
            try:
                check_host(request)
                if scope["method"] not in HARMLESS:
                    check_origin(request)
                    check_media(request)
            except ProblemError as error:
                await (await answer(request, error))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def check_host(request: Request) -> None:
    """`ProblemError` 403 where this machine is asked by another name than its own."""
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:  # no name at all
        host = None
    if not is_loopback(host or ""):
        raise ProblemError(403, "this server asks for no keys and is for this machine: open it as localhost")


def check_origin(request: Request) -> None:
    """`ProblemError` 403 where a browser says that a page of another site makes this request.

    Sec-Fetch-Site says so itself; browsers that do not send it (old ones, or by plain HTTP) send the page's Origin.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is None:
        foreign = origin is not None and origin.partition("://")[2] != request.headers.get("host")
    else:
        foreign = site not in ("same-origin", "none")
    if foreign:
        raise ProblemError(403, "this request was made by a page of another site, so it is not done")


def check_media(request: Request) -> None:
    """`ProblemError` 415 for a body under /v1 of a type that forms of other sites could send."""
    headers = request.headers
    empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    if empty or not request.scope["path"].startswith("/v1/"):
        return
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in (*MEDIA, BYTES):
        raise ProblemError(415, f"Content-Type should be {' or '.join(MEDIA)} for a body, got {media or 'none'}")
