"""One run: one method on one seed of a stream, task after task, with the matrix R filled on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lifelong.evaluation import Array, Cost, Record, empty, fill_row, schedule
from lifelong.methods import Method, settings_of
from lifelong.streams import Stream
from lifelong.streams.stream import cache_test_splits
from lifelong.training import Learner, Report
from lifelong.training.checkpoint import extra_of

__all__ = ["Event", "Progress", "run_single"]


@dataclass(frozen=True)
class Event:
    """News of a run: where it is, the `loss` of the last steps, and the mean `accuracy` on the tasks seen so far."""

    method: str
    seed: int
    task: int
    tasks: int
    step: int
    steps: int
    epoch: int
    loss: float
    accuracy: float | None


@dataclass
class Progress:
    """What a run has so far beside its learner; saved with it."""

    matrix: Array
    train_seconds: float = 0.0
    eval_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN becomes None."""
        rows = [[None if np.isnan(value) else value for value in row] for row in self.matrix.tolist()]
        return {"matrix": rows, "train_seconds": self.train_seconds, "eval_seconds": self.eval_seconds}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Progress:
        """What `to_json` gave."""
        matrix = np.array(data["matrix"], dtype=np.float64)
        return Progress(matrix, data["train_seconds"], data["eval_seconds"])


def run_single(
    make: Callable[[], Learner],
    load: Callable[[Path], Learner],
    stream: Stream,
    *,
    seed: int,
    evaluate: str = "every",
    checkpoint: Path | None = None,
    checkpoint_every: int | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Record:
    """Learn `stream` from its first task, or go on from `checkpoint` where that file is.

    Arguments: `make` a new learner; `load` one from a file; `seed` names the run; `evaluate` see
        `evaluation.schedule`; `checkpoint` is written before the first task and after each, and every
        `checkpoint_every` steps within.
    """
    stream = cache_test_splits(stream)
    tasks = len(stream)
    if checkpoint is not None and checkpoint.exists():
        learner, progress = load(checkpoint), Progress.from_json(extra_of(checkpoint))
    else:
        learner, progress = make(), Progress(empty(tasks))
        _examine(learner, stream, progress, 0, evaluate, seed)
        _save(learner, progress, checkpoint)
    accuracy: float | None = None

    def tell(report: Report) -> None:
        if on_event is not None:
            done = (report.task, tasks, report.step, report.steps, report.epoch)
            on_event(Event(learner.method.name, seed, *done, report.loss, accuracy))

    def save_within(step: int) -> None:
        if checkpoint_every is not None and step % checkpoint_every == 0:
            nonlocal start
            progress.train_seconds += time.perf_counter() - start
            _save(learner, progress, checkpoint)
            start = time.perf_counter()

    for task in stream.tasks[len(learner.tasks) :]:
        start = time.perf_counter()
        learner.learn(task, on_report=tell, on_step=save_within if checkpoint_every is not None else None)
        progress.train_seconds += time.perf_counter() - start
        _examine(learner, stream, progress, task.number, evaluate, seed)
        accuracy = float(np.nanmean(progress.matrix[task.number, : task.number]))
        _save(learner, progress, checkpoint)
    seconds = (progress.train_seconds, progress.eval_seconds)
    cost = Cost(*seconds, learner.stored_bytes, learner.parameters, learner.capacity_used)
    return Record(learner.method.name, _settings(learner.method), seed, progress.matrix, cost)


def _examine(learner: Learner, stream: Stream, progress: Progress, row: int, evaluate: str, seed: int) -> None:
    start = time.perf_counter()
    columns = schedule(evaluate, row, len(stream), seed)
    fill_row(progress.matrix, row, columns, lambda number: learner.accuracy(stream.task(number)))
    progress.eval_seconds += time.perf_counter() - start


def _save(learner: Learner, progress: Progress, checkpoint: Path | None) -> None:
    if checkpoint is not None:
        learner.save(checkpoint, progress.to_json())


def _settings(method: Method[Any]) -> dict[str, Any]:
    """Settings as JSON can hold them: infinity as text."""
    return {
        name: str(value) if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in settings_of(method).items()
    }
