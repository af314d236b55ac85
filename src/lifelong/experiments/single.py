"""One run: one method on one seed of a stream, task after task, with the matrix R filled on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.errors import SettingError, require
from lifelong.evaluation import Array, Cost, Predictions, Prequential, Record, empty, schedule
from lifelong.evaluation.scores import TITLES
from lifelong.experiments.experiment import Experiment
from lifelong.experiments.folder import Folder
from lifelong.methods import Claim, Method, settings_of
from lifelong.methods.inference import evaluating
from lifelong.objectives import Metric
from lifelong.plugins import load_object
from lifelong.streams import Stream
from lifelong.streams.stream import cache_test_splits
from lifelong.training import Learner, Progress
from lifelong.training.checkpoint import extra_of
from lifelong.types import Examples, Task

__all__ = ["Event", "RunState", "checked_metrics", "run_job", "run_single"]


@dataclass(frozen=True)
class Event:
    """News of a run: where it is, the `loss` of the last steps, and the mean `score` on the tasks seen so far."""

    method: str
    seed: int
    task: int
    tasks: int
    step: int
    steps: int
    epoch: int
    loss: float
    score: float | None


@dataclass
class RunState:
    """What a run has so far beside its learner; saved with it.

    Args:
        matrix: R (T + 1, T).
        matrices: Every score by name, each as R.
        first: The name of the score that R holds of each task.
        train_seconds: Of learning.
        eval_seconds: Of examining.
        prequential: Test-then-train, where it was asked for.
    """

    matrix: Array
    matrices: dict[str, Array] = field(default_factory=dict)
    first: dict[int, str] = field(default_factory=dict)
    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    prequential: Prequential | None = None

    def fill(self, row: int, task: int, scores: Mapping[str, float]) -> None:
        """Enter the scores on `task` after learning `row` tasks."""
        self.first[task] = next(iter(scores))
        value = scores[self.first[task]]
        require(
            0 <= value <= 1,
            f"the first score of an objective enters R and must be in 0 … 1, got {self.first[task]} = {value:g} on "
            f"task {task}; let the objective name another score first",
        )
        self.matrix[row, task - 1] = scores[self.first[task]]
        for name, value in scores.items():
            self.matrices.setdefault(name, empty(self.matrix.shape[1]))[row, task - 1] = value

    @property
    def score(self) -> str:
        """The name of the score that R holds; several, where tasks differ, are joined by `/`."""
        return "/".join(dict.fromkeys(self.first[task] for task in sorted(self.first)))

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN and infinity become None."""
        tested = None if self.prequential is None else self.prequential.to_json()
        return {
            "matrix": _rows(self.matrix),
            "matrices": {name: _rows(matrix) for name, matrix in self.matrices.items()},
            "first": list(self.first.items()),
            "train_seconds": self.train_seconds,
            "eval_seconds": self.eval_seconds,
            "prequential": tested,
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> RunState:
        """What `to_json` gave."""
        tested = data["prequential"]
        return RunState(
            np.array(data["matrix"], dtype=np.float64),
            {name: np.array(rows, dtype=np.float64) for name, rows in data["matrices"].items()},
            {int(task): name for task, name in data["first"]},
            data["train_seconds"],
            data["eval_seconds"],
            None if tested is None else Prequential.from_json(tested),
        )


def run_single(
    make: Callable[[], Learner],
    load: Callable[[Path], Learner],
    stream: Stream,
    *,
    seed: int,
    title: str | None = None,
    evaluate: str = "every",
    metrics: Mapping[str, Metric] | None = None,
    prequential: bool = False,
    keep_predictions: bool = False,
    checkpoint: Path | None = None,
    checkpoint_every: int | None = None,
    on_event: Callable[[Event], None] | None = None,
    on_task: Callable[[Learner, Task], None] | None = None,
) -> Record:
    """Learn `stream` from its first task, or go on from `checkpoint` where that file is.

    Args:
        make: A new learner.
        load: One from a file.
        stream: What to learn.
        seed: Names the run.
        title: What results call the method; its title where left out.
        evaluate: See `evaluation.schedule`.
        metrics: Metrics of your own by name, as `checked_metrics` gives them.
        prequential: Answer every batch before it is learned.
        keep_predictions: Keep what the finished learner decides on the test of every task.
        checkpoint: Written before the first task and after each, and every `checkpoint_every` steps within.
        checkpoint_every: In steps.
        on_event: Hears of the progress.
        on_task: Hears of every task once it is learned and examined, before the checkpoint is written.
    """
    stream = cache_test_splits(stream)
    tasks = len(stream)
    resumes = checkpoint is not None and checkpoint.exists()
    learner = load(checkpoint) if resumes and checkpoint is not None else make()
    learner.objective.metrics = metrics or {}
    if prequential:
        _check_prequential(learner)
    if resumes and checkpoint is not None:
        state = RunState.from_json(extra_of(checkpoint))
    else:
        state = RunState(empty(tasks), prequential=Prequential() if prequential else None)
        _examine(learner, stream, state, 0, evaluate, seed)
        _save(learner, state, checkpoint)
    title = title or learner.method.title
    score: float | None = None

    def tell(report: Progress) -> None:
        if on_event is not None:
            place = (report.task, tasks, report.step, report.steps, report.epoch)
            on_event(Event(title, seed, *place, report.loss, score))

    def save_within(step: int) -> None:
        if checkpoint_every is not None and step % checkpoint_every == 0:
            nonlocal start
            state.train_seconds += time.perf_counter() - start
            _save(learner, state, checkpoint)
            start = time.perf_counter()

    options: dict[str, Any] = {
        "progress": False,
        "on_progress": tell,
        "on_step": None if checkpoint_every is None else save_within,
    }
    if state.prequential is not None:
        options["on_batch"] = partial(_test_first, learner, state.prequential)
    for task in stream.tasks[len(learner.tasks) :]:
        start = time.perf_counter()
        learner.learn(task, **options)
        state.train_seconds += time.perf_counter() - start
        _examine(learner, stream, state, task.number, evaluate, seed)
        if on_task is not None:
            on_task(learner, task)
        score = float(np.nanmean(state.matrix[task.number, : task.number]))
        _save(learner, state, checkpoint)
    predictions = {task.number: _predictions(learner, task) for task in stream} if keep_predictions else {}
    seconds = (state.train_seconds, state.eval_seconds)
    cost = Cost(*seconds, learner.stored_bytes, learner.parameters, learner.capacity_used)
    return Record(
        title,
        _settings(learner.method),
        seed,
        state.matrix,
        cost,
        name=learner.method.name,
        matrices=state.matrices,
        score=state.score,
        prequential=state.prequential,
        predictions=predictions,
    )


def run_job(
    experiment: Experiment,
    method: int,
    seed: int,
    folder: Folder | None,
    checkpoint_every: int | None,
    on_event: Callable[[Event], None] | None,
) -> Record:
    """Run method number `method` (from 0) of `experiment` with `seed`, and keep the record in `folder`."""
    spec = experiment.methods[method]
    stream = experiment.stream_for(seed)
    make = partial(
        Learner,
        experiment.model,
        spec.build(),
        stream.space,
        experiment.training,
        head=experiment.head,
        objective=experiment.objective,
        seed=seed,
    )
    load = partial(  # what is imported is by the experiment's word, not the file's
        Learner.load,
        model=experiment.model,
        method=spec.build(),
        objective=experiment.objective,
        augment=experiment.training.augment,
    )
    record = run_single(
        make,
        load,
        stream,
        seed=seed,
        title=spec.title,
        evaluate=experiment.evaluate,
        metrics=checked_metrics({name: load_object(path, "metric") for name, path in experiment.metrics.items()}),
        prequential=experiment.prequential,
        keep_predictions=experiment.keep_predictions,
        checkpoint=None if folder is None else folder.checkpoint(spec.title, seed),
        checkpoint_every=checkpoint_every,
        on_event=on_event,
    )
    if folder is not None:
        folder.finish(record)
    return record


def checked_metrics(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """Metrics of your own, each of which says its name where it fails.

    Raises:
        SettingError: One is no function, or has the name of a score that there is.
    """

    def checked(name: str, metric: Metric) -> Metric:
        def guarded(decisions: Tensor, targets: Tensor) -> float:
            try:
                return float(metric(decisions, targets))
            except Exception as error:  # it is the user's own: anything may go wrong in it
                raise SettingError(
                    f"metric {name!r} failed on decisions {tuple(decisions.shape)} and targets {tuple(targets.shape)} "
                    f"with {type(error).__name__}: {error}; it must give one number"
                ) from error

        return guarded

    for name, metric in metrics.items():
        require(callable(metric), f"metric {name!r} must be a function of decisions and targets, got {metric!r}")
        require(name not in TITLES, f"there is a score called {name!r} already; give the metric another name")
    return {name: checked(name, metric) for name, metric in metrics.items()}


def _examine(learner: Learner, stream: Stream, state: RunState, row: int, evaluate: str, seed: int) -> None:
    start = time.perf_counter()
    for number in schedule(evaluate, row, len(stream), seed):
        state.fill(row, number, learner.scores(stream.task(number)))
    state.eval_seconds += time.perf_counter() - start


def _predictions(learner: Learner, task: Task) -> Predictions:
    collected = learner.answers(task)
    return Predictions(collected["decision"].numpy(), collected["y"].numpy())


@torch.no_grad()
def _test_first(learner: Learner, tested: Prequential, batch: Examples) -> None:
    """Answer a batch that comes next, and enter the score and the loss."""
    [task] = set(batch.task_numbers().tolist())
    with evaluating(learner.model), learner.autocast():
        answer = learner.forward_raw(batch.x, task).float()
    objective = learner.objective
    collected = objective.collect(objective.masked(answer, task), batch.y, task)
    score = next(iter(objective.of(task).scores(collected).values()))
    tested.add(task, len(batch), score, float(objective.loss(answer, batch.y, task)))


def _check_prequential(learner: Learner) -> None:
    training, method = learner.training, learner.method
    require(
        training.epochs == 1 and training.iterations is None,
        "prequential means one pass, each example answered before it is learned: set epochs=1 and no iterations",
    )
    require(
        Claim.CHOOSES_DATA not in method.claimed(),
        f"prequential needs a method that learns the batches of the stream as they come; {method.name} chooses its own",
    )


def _save(learner: Learner, state: RunState, checkpoint: Path | None) -> None:
    if checkpoint is not None:
        learner.save(checkpoint, state.to_json())


def _rows(matrix: Array) -> list[list[float | None]]:
    return [[value if np.isfinite(value) else None for value in row] for row in matrix.tolist()]


def _settings(method: Method[Any]) -> dict[str, Any]:
    """Settings as JSON can hold them: infinity as text."""
    return {
        name: str(value) if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in settings_of(method).items()
    }
