"""Who is logged in: an opaque cookie, behind which the server remembers an API key for some hours."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from lifelong.service.problems import ProblemError

__all__ = ["Attempts", "Session", "Sessions"]

REMEMBERED = 1000


@dataclass(frozen=True)
class Session:
    """One log-in: the API key's `secret`, the `token` that every form must bring, and when it ends."""

    secret: str = field(repr=False)
    token: str = field(repr=False)
    expires: float

    def check(self, token: str | None) -> None:
        """`ProblemError` 403 where a form did not come from a page of this session."""
        if token is None or not hmac.compare_digest(token.encode(), self.token.encode()):
            raise ProblemError(403, "this form is not from a page of your session; load the page again, then send it")


class Sessions:
    """Sessions by their cookie, of which only a hash is kept; the oldest of 1000 is forgotten first.

    Arguments: `clock` gives seconds since the epoch. `seconds`: how long a session lasts.

    >>> sessions = Sessions(lambda: 0.0)
    >>> cookie = sessions.open("a key")
    >>> sessions.find(cookie).secret, sessions.find("another"), sessions.close(cookie), sessions.find(cookie)
    ('a key', None, None, None)
    """

    def __init__(self, clock: Callable[[], float], seconds: float = 8 * 3600.0) -> None:
        self.seconds = seconds
        self._clock = clock
        self._open: OrderedDict[bytes, Session] = OrderedDict()

    def open(self, secret: str) -> str:
        """Begin a session for the holder of an API key; the cookie that names it."""
        cookie = secrets.token_urlsafe(32)
        self._open[_name(cookie)] = Session(secret, secrets.token_urlsafe(32), self._clock() + self.seconds)
        if len(self._open) > REMEMBERED:
            self._open.popitem(last=False)
        return cookie

    def find(self, cookie: str | None) -> Session | None:
        """The session that the cookie names, unless it is over."""
        found = None if cookie is None else self._open.get(_name(cookie))
        if found is None or not found.expires - self.seconds <= self._clock() < found.expires:
            return None  # a clock that goes back makes no session immortal
        return found

    def close(self, cookie: str | None) -> None:
        """End the session, if there is one."""
        if cookie is not None:
            self._open.pop(_name(cookie), None)


class Attempts:
    """How often an address may fail to log in: `most` times in `seconds`; 1000 addresses are remembered.

    Arguments: `clock` gives seconds that never go back.

    >>> attempts = Attempts(lambda: 0.0, most=1)
    >>> attempts.check("10.0.0.1")
    >>> attempts.failed("10.0.0.1")
    >>> attempts.check("10.0.0.1")
    Traceback (most recent call last):
    lifelong.service.problems.ProblemError: too many keys that do not hold came from here; wait a minute
    """

    def __init__(self, clock: Callable[[], float], most: int = 10, seconds: float = 60.0) -> None:
        self._clock, self._most, self._seconds = clock, most, seconds
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """`ProblemError` 429 where too many attempts from this address failed lately."""
        late = [at for at in self._failed.get(address, []) if self._clock() - at < self._seconds]
        if len(late) >= self._most:
            message = "too many keys that do not hold came from here; wait a minute"
            raise ProblemError(429, message, {"Retry-After": f"{self._seconds:.0f}"})

    def failed(self, address: str) -> None:
        """Note a failure."""
        self._failed[address] = [*self._failed.pop(address, [])[-self._most + 1 :], self._clock()]
        if len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)


def _name(cookie: str) -> bytes:
    return sha256(cookie.encode()).digest()
