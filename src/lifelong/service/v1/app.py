"""The application under /v1: one FastAPI for all its endpoints, errors as problem+json (RFC 9457)."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import lifelong
from lifelong.errors import LifelongError
from lifelong.service.auth import Keys
from lifelong.service.problems import ProblemError, answer
from lifelong.service.v1.answers import schemas
from lifelong.service.v1.feedback import feedback_routes
from lifelong.service.v1.here import Here
from lifelong.service.v1.keys import key_routes
from lifelong.service.v1.taking import Taking
from lifelong.service.v1.traffic import traffic_routes
from lifelong.service.v1.updates import update_routes
from lifelong.service.v1.versions import version_routes
from lifelong.service.v1.work import work_routes

__all__ = ["create_api"]

LARGEST_BLOB = 2**30
DOCUMENT = "/v1/openapi.json"


def refusal(description: str) -> dict[str, Any]:
    """How the document tells of answers that are problem+json."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


class Documented(FastAPI):
    """Knows the types of `answers`."""

    def openapi(self) -> dict[str, Any]:
        """The document; made when it is first asked for."""
        if self.openapi_schema is None:
            super().openapi()["components"]["schemas"] |= schemas()
        return super().openapi()


def create_api(here: Here, taking: Taking) -> ASGIApp:
    """The API over `here`, to be mounted at /v1."""
    api = Documented(
        title="lifelong",
        version=lifelong.__version__,
        summary="A model that learns from feedback for life",
        redirect_slashes=False,  # a redirect would name http:// behind a proxy that ends TLS
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        dependencies=[Security(HTTPBearer(auto_error=False))],
        responses={
            "4XX": refusal(
                "400 and 422: the request is wrong; 401 and 403: the key; 404: what is named is not stored; 409: it "
                "contradicts the state; 412 and 428: If-Match; 413 and 429: too much"
            ),
            "5XX": refusal("503: the store does not answer, nothing was stored; 500: our fault"),
        },
        exception_handlers={
            **dict.fromkeys((ProblemError, LifelongError, HTTPException, Exception), answer),
            RequestValidationError: invalid,
        },
    )
    api.include_router(feedback_routes(here, taking))
    for routes in (update_routes, version_routes, traffic_routes, key_routes, work_routes):
        api.include_router(routes(here))
    return Admitted(Limited(api, here.settings.max_body), here.keys)


async def invalid(request: Request, error: Exception) -> Response:
    """The answer to a body or query that does not fit the OpenAPI document."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in faults[:3])
    return await answer(request, ProblemError(422, f"{told}; see /v1/openapi.json"))


class Admitted:
    """Lets no request without a key that holds come as far as its body; the document alone is for everyone."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != DOCUMENT:
            await self._keys.of(Request(scope))
        await self._app(scope, receive, send)


class Limited:
    """Ends requests whose body is larger than `limit` bytes, announced or not; learners may be larger."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        came, limit = 0, LARGEST_BLOB if scope["path"].endswith("/blobs") else self._limit

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > limit:
                detail = f"the body is larger than the {limit} bytes that this server takes; send less at once"
                raise HTTPException(413, detail, {"Connection": "close"})
            return message

        await self._app(scope, counted, send)
