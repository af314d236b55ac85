"""From templates to answers: everything is escaped, and nothing but our own script and style may be loaded."""

from __future__ import annotations

import http
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from lifelong.errors import LifelongError
from lifelong.service.dashboard.guard import LogInError, Visitor
from lifelong.service.problems import ProblemError, as_problem

__all__ = ["HEADERS", "Endpoint", "Pages", "is_part"]

Endpoint = Callable[[Request], Awaitable[Response]]

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Pages:
    """The templates of this folder."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=PackageLoader("lifelong.service.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"percent": percent, "points": points, "when": when, "short": short}

    def show(
        self, template: str, visitor: Visitor | None = None, status: int = 200, headers: dict[str, str] | None = None,
        **values: object,
    ) -> Response:  # fmt: skip
        """The page `template` with `values`; never stored by the browser, as others may use it after a log-out."""
        text = self._templates.get_template(template).render(visitor=visitor, **values)
        return HTMLResponse(text, status, {**HEADERS, "Cache-Control": "no-store", **(headers or {})})

    def guarded(self, endpoint: Endpoint) -> Endpoint:
        """`endpoint`, whose errors become pages, or pieces of a page where a script asks."""

        async def answered(request: Request) -> Response:
            try:
                return await endpoint(request)
            except LogInError as error:
                if request.method == "GET" and not is_part(request) and "/live" not in request.url.path:
                    to = f"/login?next={quote(request.url.path)}"
                    return RedirectResponse(to, 303, {**HEADERS, "Cache-Control": "no-store"})
                return self._problem(request, error)
            except (ProblemError, LifelongError, HTTPException) as error:
                return self._problem(request, as_problem(error))

        return answered

    def _problem(self, request: Request, problem: ProblemError) -> Response:
        template = "problem_part.html.j2" if is_part(request) else "problem.html.j2"
        title = http.HTTPStatus(problem.status).phrase
        before = urlsplit(request.headers.get("referer", ""))
        own = request.method == "POST" and before.netloc == request.headers.get("host") and before.path[1:2] != "/"
        back = before.path or "/" if own else "/"
        return self.show(
            template, None, problem.status, problem.headers, title=title, message=problem.message, back=back
        )


def is_part(request: Request) -> bool:
    """Whether a script asks for a piece of a page."""
    return request.headers.get("x-part") == "1"


def percent(value: float | None) -> str:
    """A fraction in per cent.

    >>> percent(0.9234), percent(None)
    ('92.3', '–')
    """
    return "–" if value is None else f"{100 * value:.1f}"


def points(value: float | None) -> str:
    """A difference of fractions in percentage points, with its sign.

    >>> points(0.021), points(-0.021), points(0.00001)
    ('+2.1', '−2.1', '0.0')
    """
    if value is None:
        return "–"
    text = f"{100 * abs(value):.1f}"
    return text if text == "0.0" else f"{'+' if value > 0 else '−'}{text}"


def when(seconds: float | None) -> Markup:
    """A moment as `<time>`; a script shows it in the visitor's own zone.

    >>> when(0)
    Markup('<time datetime="1970-01-01T00:00:00+00:00">1970-01-01 00:00 UTC</time>')
    """
    if seconds is None:
        return Markup("–")
    at = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{:%Y-%m-%d %H:%M} UTC</time>').format(at.isoformat(timespec="seconds"), at)


def short(name: str | None) -> str:
    """The beginning of a hash."""
    return "–" if name is None else name[:12]
