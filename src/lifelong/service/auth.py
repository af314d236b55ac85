"""Who asks, and what they may do: `Authorization: Bearer <key>`, scopes predict, feedback and admin."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

from starlette.requests import Request

from lifelong.errors import StorageError
from lifelong.service.catalogue import Catalogue, Key, Scope
from lifelong.service.problems import ProblemError

__all__ = ["ANYONE", "Keys", "allow"]

#: who asks where no keys are needed
ANYONE = Key("anyone", frozenset({"predict", "feedback", "admin"}))

REMEMBERED = 1000
#: seconds: a key that held so shortly before the store went away holds until it is back; later ones are not believed,
#: as they may have been revoked since
OUTAGE = 300.0


class Keys:
    """Looks keys up, and remembers those that hold for `seconds`: a revoked key ends that much later at most.

    Arguments: `clock` gives seconds since the epoch, for keys that expire.
    """

    def __init__(self, catalogue: Catalogue, needed: bool, clock: Callable[[], float], seconds: float = 2.0) -> None:
        self._catalogue, self._needed, self._clock, self._seconds = catalogue, needed, clock, seconds
        self._known: OrderedDict[bytes, tuple[Key, float]] = OrderedDict()
        self._answered = -math.inf  # when the store last said anything about a key
        self._threads: ThreadPoolExecutor | None = None

    async def of(self, request: Request) -> Key:
        """The key that a request came with; `ProblemError` 401 where there is none that holds."""
        if not self._needed:
            return ANYONE
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not secret:
            raise _unknown("this needs a key: send the header Authorization: Bearer <key>")
        return await self.holder(secret)

    async def holder(self, secret: str) -> Key:
        """The key with that secret; `ProblemError` 401 where it does not hold."""
        now, digest = self._clock(), sha256(secret.encode()).digest()
        key, until = self._known.get(digest, (None, 0.0))
        if key is None or not until - self._seconds <= now < until:  # a clock that goes back makes no key immortal
            try:
                found = await self._looked_up(secret)
                self._answered = now
            except StorageError:  # nobody can be looked up; who was known just now is let in: the champion answers
                if key is None or until - self._seconds < self._answered - OUTAGE:
                    raise
                found = key
            if found is None:
                self._known.pop(digest, None)
                raise _unknown("this key is unknown, expired or revoked; ask an administrator for another")
            key = found
            self._remember(digest, key, now)
        if key.expires is not None and now >= key.expires:
            raise _unknown("this key has expired; ask an administrator for another")
        return key

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    async def _looked_up(self, secret: str) -> Key | None:
        """In threads for this alone: those of all others may be waiting for slow blobs, and predictions need a key."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(2, thread_name_prefix="lifelong-keys")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._catalogue.check_key, secret)

    def _remember(self, digest: bytes, key: Key, now: float) -> None:
        self._known[digest] = (key, now + self._seconds)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def allow(key: Key, scope: Scope, project: str | None = None) -> None:
    """`ProblemError` 403 unless `key` may do `scope` (on `project`); admin may do everything.

    >>> allow(Key("ann", frozenset({"predict"}), project="digits"), "predict", "letters")
    Traceback (most recent call last):
    lifelong.service.problems.ProblemError: the key 'ann' is for the project 'digits' alone; ask for one for 'letters'
    """
    if scope not in key.scopes and "admin" not in key.scopes:
        message = f"the key {key.name!r} may {_list(key.scopes)}, and this needs {scope!r}; ask for another"
        raise ProblemError(403, message)
    if key.project is not None and key.project != project:
        wanted = "all projects" if project is None else repr(project)
        message = f"the key {key.name!r} is for the project {key.project!r} alone; ask for one for {wanted}"
        raise ProblemError(403, message)


def _list(scopes: frozenset[Scope]) -> str:
    return ", ".join(repr(scope) for scope in sorted(scopes)) or "nothing"


def _unknown(message: str) -> ProblemError:
    return ProblemError(401, message, {"WWW-Authenticate": "Bearer"})
