"""Requests that wait are answered together: one run of the model for many of them, and no waiting when none come.

    submit ─┐            ┌ short: here and now ──────┐
    submit ─┼→ waiting ──┤                           ├→ split → every request its own rows
    submit ─┘            └ long: in the other thread ┘   (meanwhile new ones wait for the next run)

Everything but the long runs happens in the thread of the event loop, so there are no locks. One run at a time: a
learner is never used by two threads. A batch that fails is run again request by request, so that nobody is harmed by
another's inputs. Suffix N: inputs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from lifelong.loop.schema import Inputs
from lifelong.service.metrics import Metrics
from lifelong.service.model import Answers, Model
from lifelong.service.problems import ModelError, ProblemError

__all__ = ["Batcher"]

Outcome = Answers | ModelError


@dataclass(frozen=True, eq=False)
class Waiting:
    """Inputs of one request, and where their answers go."""

    model: Model
    task: int | None
    x_N: Inputs
    then: asyncio.Future[Answers] = field(repr=False)


class Batcher:
    """Joins what waits for the same model and task into runs of about `rows` inputs at most.

    Arguments: `limit` is how many inputs may wait; a batch expected to take `inline` seconds or less is run in the
    thread of the event loop, as handing it to another costs more than that.
    """

    def __init__(self, rows: int, limit: int, inline: float, metrics: Metrics) -> None:
        self._rows, self._limit, self._inline, self._metrics = rows, limit, inline, metrics
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lifelong-model")
        self._waiting: deque[Waiting] = deque()
        self._spare: deque[Waiting] = deque()
        self._count = 0
        self._busy = False

    def submit(self, model: Model, x_N: Inputs, task: int | None = None) -> asyncio.Future[Answers]:
        """Answers to come; `ModelError` where the model fails on just these inputs.

        Raises: `ProblemError` 503 where too many inputs wait.
        """
        if self._count + len(x_N) > self._limit:
            message = f"{self._count} inputs wait for the model, {self._limit} may; try again in a second"
            raise ProblemError(503, message, {"Retry-After": "1"})
        waiting = Waiting(model, task, x_N, self._loop.create_future())
        self._waiting.append(waiting)
        self._count += len(x_N)
        self._wake()
        return waiting.then

    def spare(self, model: Model, x_N: Inputs, task: int | None = None) -> asyncio.Future[Answers] | None:
        """Answers in idle time, before which every `submit` goes; None where too much waits for that already."""
        if sum(len(waiting.x_N) for waiting in self._spare) + len(x_N) > self._rows:
            return None
        waiting = Waiting(model, task, x_N, self._loop.create_future())
        self._spare.append(waiting)
        self._wake()
        return waiting.then

    def close(self) -> None:
        """End the thread after its run."""
        self._thread.shutdown()

    def _wake(self) -> None:
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        """Run the next batch; called after the requests that came in at the same time have been put in the queue."""
        batch = self._taken(self._waiting) or self._taken(self._spare)
        if not batch:
            self._busy = False
            return
        rows = sum(len(waiting.x_N) for waiting in batch)
        self._metrics.batches.add(rows)
        if batch[0].model.expected_seconds(rows) <= self._inline:
            self._deliver(batch, run(batch))
        else:
            running = self._thread.submit(run, batch)
            running.add_done_callback(lambda done: self._loop.call_soon_threadsafe(self._came, batch, done))

    def _came(self, batch: list[Waiting], done: Future[list[Outcome]]) -> None:
        self._deliver(batch, done.result())

    def _taken(self, queue: deque[Waiting]) -> list[Waiting]:
        """The first that waits and, in their order, those that can be run with it; the others stay."""
        batch: list[Waiting] = []
        left: list[Waiting] = []
        rows = 0
        while queue and (not batch or rows < self._rows):
            waiting = queue.popleft()
            joins = not batch or (
                waiting.model is batch[0].model
                and waiting.task == batch[0].task
                and rows + len(waiting.x_N) <= self._rows
            )
            (batch if joins else left).append(waiting)
            rows += len(waiting.x_N) if joins else 0
        queue.extendleft(reversed(left))
        if queue is self._waiting:
            self._count -= rows
        return batch

    def _deliver(self, batch: list[Waiting], outcomes: list[Outcome]) -> None:
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.then.done():  # its request is gone
                continue
            if isinstance(outcome, ModelError):
                waiting.then.set_exception(outcome)
            else:
                waiting.then.set_result(outcome)
        self._loop.call_soon(self._next)


def run(batch: list[Waiting]) -> list[Outcome]:
    """The outcome of each, computed together; what fails together is tried one by one."""
    first = batch[0]
    try:
        x_N = first.x_N if len(batch) == 1 else np.concatenate([waiting.x_N for waiting in batch])
        answers = first.model.answer(x_N, first.task)
    except Exception as error:  # noqa: BLE001 - whatever a model does, the server goes on
        if len(batch) > 1:
            return [outcome for waiting in batch for outcome in run([waiting])]
        return [ModelError(f"version {first.model.version} failed on these inputs: {type(error).__name__}: {error}")]
    return list(split(answers, batch))


def split(answers: Answers, batch: list[Waiting]) -> list[Outcome]:
    """Each request's rows of the answers, or an error where they are no numbers."""
    outcomes: list[Outcome] = []
    at = 0
    whole = bool(np.isfinite(answers.confidence_N).all())
    for waiting in batch:
        end = at + len(waiting.x_N)
        own = answers.at(slice(at, end))
        if whole or bool(np.isfinite(own.confidence_N).all()):
            outcomes.append(own)
        else:
            outcomes.append(ModelError(f"version {waiting.model.version} gave no finite numbers on these inputs"))
        at = end
    return outcomes
