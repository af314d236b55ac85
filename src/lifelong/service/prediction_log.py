"""Predictions on their way to the store: in batches beside the answers, or waited for where they must be durable."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeAlias

from lifelong.errors import StorageError
from lifelong.service.catalogue import Failure, Prediction, Variant
from lifelong.service.metrics import Metrics
from lifelong.store.errors import DamagedError

__all__ = ["PredictionLog", "Stored"]

logger = logging.getLogger(__name__)

Stored: TypeAlias = Callable[[Sequence[Prediction], Sequence[Failure]], Future[None]]

#: bytes that a prediction takes apart from its input
APART = 1024
#: a store that does not answer is asked again after so many times the usual wait
REST = 10


class PredictionLog:
    """Gathers predictions and failures for `seconds`, then stores them together; one batch is on its way at a time.

    What the store cannot take now is tried again, in the order in which it came. While `limit` bytes wait, what comes
    in is answered but not logged, and counted. Failures are sums since this log was made, and wait without a bound.
    """

    def __init__(self, store: Stored, metrics: Metrics, seconds: float = 0.1, limit: int = 64 * 2**20) -> None:
        self._store, self._metrics, self._seconds, self._limit = store, metrics, seconds, limit
        self._waiting: list[Prediction] = []
        self._bytes = 0
        self._server = uuid.uuid4().hex
        self._failed: Counter[tuple[str, int, str, Variant]] = Counter()
        self._told: dict[tuple[str, int, str, Variant], int] = {}
        self._turn = asyncio.Lock()
        self._closing = asyncio.Event()
        self._away = False  # the store, the last time it was asked
        self._flushing: asyncio.Task[None] | None = None

    def add(self, predictions: Sequence[Prediction]) -> None:
        """Store these soon."""
        size = weight(predictions)
        if self._bytes + size > self._limit:
            self._metrics.unlogged.add(n=len(predictions))
            return
        self._waiting.extend(predictions)
        self._bytes += size
        self._start()

    def fail(self, project: str, traffic: int, version: str, variant: Variant, count: int) -> None:
        """Store soon that a version failed on `count` inputs, under that revision of the traffic."""
        self._failed[project, traffic, version, variant] += count
        self._start()

    async def durable(self, predictions: Sequence[Prediction]) -> None:
        """Store these now, and return when they are durable; raises what the store raises."""
        await self._stored(predictions, ())

    async def settled(self) -> None:
        """Return when all that was answered until now is stored, or the store does not take it."""
        await self._put()

    async def close(self) -> None:
        """Store what waits; where the store does not take it, it is lost, and counted."""
        self._closing.set()
        while self._flushing is not None:
            await self._flushing
        if self._waiting:
            self._lose(len(self._waiting), "the server ends")

    def _start(self) -> None:
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._waiting or self._untold():
                await self._pause()  # each time: what comes during a COMMIT would be small
                await self._put()
                if self._away and self._closing.is_set():
                    return
        finally:
            self._flushing = None

    async def _pause(self) -> None:
        """Wait for more to come; no longer than until the end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), self._seconds * (REST if self._away else 1))

    async def _put(self) -> None:
        async with self._turn:
            batch, failures = self._waiting[:], self._untold()
            if not batch and not failures:
                return
            was_away, self._away = self._away, True
            try:
                await self._stored(batch, failures)
            except DamagedError as error:  # what a pending label is judged by: trying again does not help
                self._lose(len(batch), str(error))
            except StorageError as error:
                if not was_away:
                    logger.error("%d predictions wait, as they cannot be stored: %s", len(batch), error)
                return
            except Exception:
                logger.exception("this should not have happened")
                self._lose(len(batch), "see above")
            else:
                self._away = False
                self._told |= {
                    (each.project, each.traffic, each.version, each.variant): each.count for each in failures
                }
            del self._waiting[: len(batch)]
            self._bytes -= weight(batch)

    async def _stored(self, predictions: Sequence[Prediction], failures: Sequence[Failure]) -> None:
        await asyncio.wrap_future(self._store(predictions, failures))
        self._metrics.logged.add(n=len(predictions))

    def _untold(self) -> list[Failure]:
        """The sums that the store does not know yet."""
        return [
            Failure(*key, self._server, count) for key, count in self._failed.items() if self._told.get(key) != count
        ]

    def _lose(self, count: int, why: str) -> None:
        self._metrics.unlogged.add(n=count)
        logger.error("%d predictions were answered but could not be stored: %s", count, why)


def weight(predictions: Sequence[Prediction]) -> int:
    """About how many bytes these take."""
    return sum(APART + each.x.nbytes for each in predictions)
