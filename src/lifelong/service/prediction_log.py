"""Predictions on their way to the store: in batches beside the answers, or waited for where they must be durable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from lifelong.service.catalogue import Prediction
from lifelong.service.metrics import Metrics

__all__ = ["PredictionLog"]

logger = logging.getLogger(__name__)


class PredictionLog:
    """Gathers predictions for `seconds`, then stores them together; one batch is on its way at a time.

    What comes in while `limit` predictions wait (the store does not answer) is answered but not logged, and counted.
    """

    def __init__(
        self,
        store: Callable[[Sequence[Prediction]], Future[None]],
        metrics: Metrics,
        seconds: float = 0.1,
        limit: int = 20_000,
    ) -> None:
        self._store, self._metrics, self._seconds, self._limit = store, metrics, seconds, limit
        self._waiting: list[Prediction] = []
        self._flushing: asyncio.Task[None] | None = None

    def add(self, predictions: Sequence[Prediction]) -> None:
        """Store these soon."""
        if len(self._waiting) + len(predictions) > self._limit:
            self._metrics.unlogged.add(n=len(predictions))
            return
        self._waiting.extend(predictions)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())

    async def durable(self, predictions: Sequence[Prediction]) -> None:
        """Store these now, and return when they are durable; raises what the store raises."""
        await asyncio.wrap_future(self._store(predictions))
        self._metrics.logged.add(n=len(predictions))

    async def settled(self) -> None:
        """Return when all that was answered until now is stored; what comes after it waits for its own turn."""
        await self._put()  # the store works in the order of what it is given

    async def close(self) -> None:
        """Store what waits."""
        while self._flushing is not None:
            await self._flushing

    async def _flush(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(self._seconds)  # each time: what comes during a COMMIT would be small
                await self._put()
        finally:
            self._flushing = None

    async def _put(self) -> None:
        batch = self._waiting
        self._waiting = []
        try:
            await self.durable(batch)
        except Exception:
            self._metrics.unlogged.add(n=len(batch))
            logger.exception("%d predictions were answered but could not be stored", len(batch))
