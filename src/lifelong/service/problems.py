"""What went wrong, as an HTTP answer: `{"error": …}`, under /v1 as problem+json (RFC 9457)."""

from __future__ import annotations

import http
import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lifelong.errors import ConflictError, DataError, LifelongError, ResourceError, SettingError, StorageError
from lifelong.store.errors import AccessError, DatabaseError, NotFoundError, RevisionError

__all__ = ["ModelError", "ProblemError", "answer", "as_problem", "swapped"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: the first that fits; what is in none of these is our fault
STATUS: tuple[tuple[type[LifelongError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (DataError, 400),
    (SettingError, 400),
    (StorageError, 503),
    (ResourceError, 503),
)

#: what the web framework says in two words, with the mend
BARE = {
    404: "nothing is at this address; /v1/openapi.json and GET /v2 tell what there is",
    405: "this address does not take this method; /v1/openapi.json tells which it takes",
}


class ProblemError(Exception):
    """A request that gets another answer than it wanted: the status, what to do about it, further headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, dict(headers or {})


class ModelError(LifelongError):
    """A version failed on inputs that were right."""


def as_problem(error: Exception) -> ProblemError:
    """Any error as a problem; what nobody foresaw tells nothing about our inside.

    >>> as_problem(DataError("the input is ragged")).status, as_problem(ZeroDivisionError("x")).message
    (400, 'this should not have happened; the log of the server has the details')
    """
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, HTTPException):
        bare = error.detail == http.HTTPStatus(error.status_code).phrase
        detail = BARE.get(error.status_code, error.detail) if bare else error.detail
        return ProblemError(error.status_code, detail, error.headers)
    if isinstance(error, AccessError):
        return ProblemError(403 if error.known else 401, str(error))
    if isinstance(error, DatabaseError):  # where it is, and what it says of that, is for the log
        return ProblemError(503, f"the store does not answer: {error.mend}", {"Retry-After": "1"})
    if isinstance(error, LifelongError):
        status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
        return ProblemError(status, str(error), {"Retry-After": "1"} if status == 503 else None)
    return ProblemError(500, "this should not have happened; the log of the server has the details")


def swapped(at: int | None, move: Callable[[], T]) -> T:
    """What `move` returns; a compare-and-swap that a client asked for with If-Match, and lost, is 412."""
    try:
        return move()
    except RevisionError as error:
        if at is None:
            raise
        raise ProblemError(412, str(error)) from error


async def answer(request: Request, error: Exception) -> Response:
    """The answer to a request that met `error`, in the form of the API that it spoke to."""
    problem = as_problem(error)
    if isinstance(error, DatabaseError):
        logger.error("%s", error)
    if request.scope["path"].startswith("/v1/"):
        title = http.HTTPStatus(problem.status).phrase
        content = {"type": "about:blank", "title": title, "status": problem.status, "detail": problem.message}
        kind = "application/problem+json"
    else:
        content, kind = {"error": problem.message}, "application/json"
    return Response(orjson.dumps(content), problem.status, problem.headers, kind)
