"""Versions are made here: the first one from data, every later one from the champion and a lot.

A version is the bytes of a learner's file, its id their SHA-256. The same champion, task, method and number of threads
give the same bytes on one machine, so an update that is done twice makes one version.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from lifelong.data import concat, subset
from lifelong.errors import DataError, SettingError, StorageError, require
from lifelong.loop.project import MethodChoice, Project
from lifelong.methods import Method
from lifelong.store.errors import DamagedError
from lifelong.training import Learner, Progress
from lifelong.types import Task

__all__ = ["Candidate", "first_version", "learned_version", "opened", "retrained", "update"]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A learner, its file as `data`, and the `id` of the version that it is: the SHA-256 of `data`."""

    learner: Learner
    data: bytes
    id: str

    @staticmethod
    def of(learner: Learner) -> Candidate:
        """The version that `learner` is now."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "version"
            learner.save(path)
            data = path.read_bytes()
        return Candidate(learner, data, sha256(data).hexdigest())


def opened(data: bytes, expected: str | None = None) -> Learner:
    """The learner in a version's bytes.

    Raises: `DamagedError` where they hold none, or their SHA-256 is not `expected`; `StorageError` where there is no
        room to unpack them.
    """
    found = sha256(data).hexdigest()
    if expected is not None and found != expected:
        raise DamagedError(f"version {expected[:12]} holds bytes of {found[:12]}: it is damaged; restore its blob")
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"version-{found[:12]}"
            path.write_bytes(data)
            return _loaded(path)
    except OSError as error:
        raise StorageError(
            f"cannot unpack version {found[:12]}: {error}; free some space for temporary files"
        ) from error


def _loaded(path: Path) -> Learner:
    try:
        return Learner.load(path)
    except StorageError as error:
        raise DamagedError(str(error)) from error


def first_version(
    project: Project,
    tasks: Sequence[Task],
    *,
    on_progress: Callable[[Progress], None] | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Candidate:
    """Version 1: a new learner of `project` after `tasks`, numbered from 1.

    Arguments: `on_progress` hears of the progress now and then; `on_step(step)` is called after each step, and what it
        raises ends the learning.
    Raises: `SettingError` without a task; what `Learner.learn` raises.
    """
    require(len(tasks) > 0, "the first version needs at least one task to learn, got none")
    learner = project.new_learner()
    for task in tasks:
        _check_inputs(project, task)
        learner.learn(task, on_progress=on_progress, on_step=on_step, progress=False)
    return Candidate.of(learner)


def learned_version(project: Project, tasks: Sequence[Task], learner: Learner) -> Candidate:
    """Version 1: `learner` as it is, after the `tasks` that it has learned.

    Raises: `SettingError` where it has learned others; `DataError` for inputs of another shape.
    """
    numbers = [task.number for task in tasks]
    require(learner.tasks == numbers, f"the learner has learned the tasks {learner.tasks}, expected those of {numbers}")
    for task in tasks:
        _check_inputs(project, task)
    return Candidate.of(learner)


def update(
    champion: bytes,
    project: Project,
    task: Task,
    method: MethodChoice | None = None,
    *,
    beside: Sequence[Task] = (),
    most_beside: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Candidate:
    """The candidate that `champion` becomes by learning `task`; `champion` itself is bytes and stays what it is.

    Arguments: `method` is for this update alone; None is the project's. Where it is not the champion's own method, it
        begins with the champion's weights and a state of its own that knows nothing of earlier tasks: stored examples
        and springs are not in a version made so, nor in those that follow it.
        `beside`: old tasks of which up to `most_beside` examples, in equal shares, are learned again with the new ones.
        `on_progress`, `on_step`: see `first_version`; `on_step` cancels by raising.
    Raises: `SettingError` for a task whose number is not above the champion's last (numbers that were given up may be
        missing), and for a method that builds its network otherwise than the champion's; `StorageError` for bytes
        that are no version; `DataError` for inputs of another shape; what `Learner.learn` raises.
    """
    learner = opened(champion)
    last = max(learner.tasks, default=0)
    require(
        task.number > last,
        f"the champion has learned task {last} last, expected a task with a higher number, got {task.number}",
    )
    _check_inputs(project, task)
    chosen = (method or project.method).build()
    if chosen != learner.method:
        learner = _with_method(learner, chosen)
    together = _together(project, [*beside, task], _shares(beside, most_beside, project.seed)) if beside else task
    learner.learn(together, on_progress=on_progress, on_step=on_step, progress=False)
    return Candidate.of(learner)


def retrained(
    project: Project,
    tasks: Sequence[Task],
    method: MethodChoice | None = None,
    *,
    most: int,
    on_progress: Callable[[Progress], None] | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Candidate:
    """A new learner of `project` that has learned all `tasks` together, as the last of them.

    Arguments: `most` examples at most, in equal shares of the tasks. `on_progress`, `on_step`: see `update`.
    Raises: `SettingError` for the scenario `task`, whose tasks have outputs of their own; what `Learner.learn` raises.
    """
    learner = project.new_learner(method)
    for old in tasks[:-1]:
        learner._announce(old)
    learner.tasks = [old.number for old in tasks[:-1]]
    together = _together(project, tasks, _shares(tasks, most, project.seed))
    learner.learn(together, on_progress=on_progress, on_step=on_step, progress=False)
    return Candidate.of(learner)


def _shares(tasks: Sequence[Task], most: int, seed: int) -> dict[int, torch.Tensor]:
    """Task number → the rows that are learned: all, or a random choice where `most` examples must do for all tasks."""
    share, generator = most // max(1, len(tasks)), torch.Generator().manual_seed(seed)
    return {task.number: torch.randperm(task.size, generator=generator)[:share].sort().values for task in tasks}


def _together(project: Project, tasks: Sequence[Task], rows: Mapping[int, torch.Tensor]) -> Task:
    """The last of `tasks` with the examples of all of them, of some tasks only these `rows`."""
    require(
        project.scenario != "task",
        "tasks with outputs of their own cannot be learned together; take the scenario domain or class",
    )
    last = tasks[-1]
    parts = [subset(task.split("train"), rows[task.number]) if task.number in rows else task.train for task in tasks]
    whole = {"train": concat(parts), "test": last.split("test")}
    classes = tuple(sorted({label for task in tasks for label in task.classes}))
    return replace(last, classes=classes, load=whole.get, sizes=None)


def _check_inputs(project: Project, task: Task) -> None:
    shape = tuple(task.train.x.shape[1:])
    if shape != project.input.shape:
        raise DataError(
            f"task {task.number} has inputs of shape {shape}, project {project.name!r} expects {project.input.shape}"
        )


def _with_method(champion: Learner, method: Method[Any]) -> Learner:
    """A learner with the champion's network, random numbers and tasks, and `method` in place of its own.

    A method with other settings but the same kind of state goes on with that state.
    """
    learner = Learner(
        champion.model_name,
        method,
        champion.space,
        head=champion.head,
        seed=champion.seed,
        **vars(champion.training),
    )
    for number, classes in champion.objective.classes.items():
        learner._announce(Task(number, "", classes, {}.get))
    ours, theirs = learner.model.state_dict(), champion.model.state_dict()
    if {name: value.shape for name, value in ours.items()} != {name: value.shape for name, value in theirs.items()}:
        raise SettingError(
            f"{method.name} builds its network otherwise than {champion.method.name}, with which the champion learned; "
            "take a method on the same network, or begin a project with it"
        )
    if learner.normalizer is not None and champion.normalizer is not None:
        learner.normalizer.moments = dict(champion.normalizer.moments)
    with torch.no_grad():
        for name, value in ours.items():
            value.copy_(theirs[name])
    learner.tasks = list(champion.tasks)
    learner.randomness.load(champion.randomness.state())
    if method.name == champion.method.name:
        learner.state = champion.state
    return learner
