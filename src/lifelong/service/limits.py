"""How much one client may ask: bytes while they come in, and requests per second."""

from __future__ import annotations

import math
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request

from lifelong.service.problems import ProblemError

__all__ = ["Buckets", "read_body"]


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request, refused as soon as more than `limit` bytes are announced or have come.

    Raises: `ProblemError` 413 (the connection is closed, as the rest is not read), 400 for a length that is no number.
    """
    length = request.headers.get("content-length")
    if length is not None and (not length.isdecimal() or int(length) > limit):
        raise _too_large(limit) if length.isdecimal() else ProblemError(400, f"Content-Length is no number: {length!r}")
    message = await request.receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        pieces, size = [body], len(body)
        while message.get("more_body", False):
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > limit:
                raise _too_large(limit)
        body = b"".join(pieces)
    if len(body) > limit:
        raise _too_large(limit)
    return body


class Buckets:
    """A token bucket per key: `rate` requests per second for long, up to `burst` at once.

    >>> now = [0.0]
    >>> buckets = Buckets(rate=2.0, burst=1, clock=lambda: now[0])
    >>> buckets.take("ann")
    >>> buckets.take("ann")
    Traceback (most recent call last):
    lifelong.service.problems.ProblemError: 'ann' may make 2 requests per second; wait a second
    >>> now[0] = 0.5
    >>> buckets.take("ann")

    Arguments: `clock` gives seconds that never go back.
    """

    def __init__(self, rate: float | None, burst: int, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens: dict[str, tuple[float, float]] = {}

    def take(self, key: str) -> None:
        """One request by `key`; `ProblemError` 429 where its bucket is empty."""
        if self._rate is None:
            return
        now = self._clock()
        tokens, since = self._tokens.get(key, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        if tokens < 1:
            wait = math.ceil((1 - tokens) / self._rate)
            message = f"{key!r} may make {self._rate:g} requests per second; wait {_seconds(wait)}"
            raise ProblemError(429, message, {"Retry-After": str(wait)})
        self._tokens[key] = (tokens - 1, now)


def _seconds(number: int) -> str:
    return "a second" if number == 1 else f"{number} seconds"


def _too_large(limit: int) -> ProblemError:
    message = f"the body is larger than the {limit} bytes that this server takes; send fewer inputs per request"
    return ProblemError(413, message, {"Connection": "close"})
