"""What the endpoints under /v1 work with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request

from lifelong.loop.engine import Engine
from lifelong.loop.engine.deciding import Loaded
from lifelong.loop.engine.intake import Intake
from lifelong.service.auth import Keys, allow
from lifelong.service.catalogue import Scope
from lifelong.service.limits import Buckets
from lifelong.service.problems import ProblemError
from lifelong.service.settings import ServeSettings
from lifelong.store.tables import LARGEST

__all__ = ["Here", "wanted_revision"]

T = TypeVar("T")

#: digits of an ETag: Python turns endless ones into a number, slowly
LONGEST = 20


@dataclass(frozen=True, eq=False)
class Here:
    """The engine, who may ask, and what is to be called after a change.

    `changed(project)` makes a new champion answer; it may wait. `wake()` lets the worker look at once.
    `loaded` says whether a version is in memory. `settled()` returns when all that was answered is stored: labels
    wait for their predictions, and whoever asks for an update means all that he sent.
    """

    engine: Engine
    intake: Intake
    settings: ServeSettings
    keys: Keys
    buckets: Buckets
    changed: Callable[[str], object]
    wake: Callable[[], object]
    loaded: Loaded
    settled: Callable[[], Awaitable[None]]

    async def allowed(self, request: Request, scope: Scope, project: str | None) -> str:
        """The name of the key that a request came with; `project` None is all of them.

        Raises: `ProblemError` 401, 403 or 429 where it may not.
        """
        key = await self.keys.of(request)
        allow(key, scope, project)
        self.buckets.take(key.name)
        return key.name

    async def run(self, work: Callable[[], T]) -> T:
        """`work` in a thread that may wait for a disk."""
        return await asyncio.to_thread(work)


def wanted_revision(if_match: str | None) -> int | None:
    """The revision in the header If-Match, as the ETag of the alias tells it; None where there is none.

    >>> wanted_revision('"3"'), wanted_revision("*")
    (3, None)

    Raises: `ProblemError` 400 for what is no ETag of ours, 412 for a revision that there cannot be.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isdecimal():
        raise ProblemError(400, f'If-Match should be the ETag of the champion, as in "3", got {if_match!r}')
    if len(text) > LONGEST or int(text) > LARGEST:
        raise ProblemError(412, f"no champion has had the revision {text[:20]}; look at it again, then decide")
    return int(text)
