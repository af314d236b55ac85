"""What was made in Python becomes the beginning of a life online: a saved learner, and the examples that it learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from lifelong.errors import DataError, SettingError, require
from lifelong.loop.lot import task_of
from lifelong.loop.project import LearnerSettings, MethodChoice, Project
from lifelong.methods import settings_of
from lifelong.training import Learner
from lifelong.types import Task

__all__ = ["Parts", "learner_from", "parts_from", "tasks_of", "with_learner"]


class Parts(NamedTuple):
    """Inputs (N, …) and labels (N,) of one task: those to learn, and those of its exam."""

    x: NDArray[Any]
    y: NDArray[Any]
    exam_x: NDArray[Any]
    exam_y: NDArray[Any]


def learner_from(path: Path) -> Learner:
    """The learner that `Learner.save` wrote to `path`.

    Raises: `StorageError` for a file that is none; `SettingError` where it needs code that is in no file: a network or
        an optimiser of its own, as a server loads no code.
    """
    try:
        return Learner.load(path, device="cpu")
    except SettingError as error:
        raise SettingError(
            f"{str(error).partition(': give load')[0]}, and a server loads no code; learn with a network and an "
            "optimiser that have a name (mlp:400,400 or cnn, sgd), if need be on the features of your own network"
        ) from error


def parts_from(path: Path) -> Parts:
    """The examples of one task in a safetensors file with the arrays `x`, `y`, `exam_x` and `exam_y`.

    Raises: `DataError` for another file.
    """
    try:
        arrays = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} is no safetensors file that can be read: {error}") from error
    if set(arrays) != set(Parts._fields):
        raise DataError(f"{path} should hold {', '.join(Parts._fields)}, got {', '.join(sorted(arrays)) or 'nothing'}")
    parts = Parts(**arrays)
    if parts.y.dtype.kind not in "iu" or parts.exam_y.dtype.kind not in "iu":
        raise DataError(f"{path}: y and exam_y should be whole numbers, the indices of classes, got {parts.y.dtype}")
    return parts


def tasks_of(project: Project, parts: Sequence[Parts]) -> list[Task]:
    """Tasks 1, 2, … of `project`. Raises: `DataError` for inputs that are not finite or labels that are no classes."""
    return [
        task_of(
            number,
            f"task {number}",
            project.scenario,
            len(project.classes),
            (each.x, each.y.astype(np.int64)),
            (each.exam_x, each.exam_y.astype(np.int64)),
        )
        for number, each in enumerate(parts, start=1)
    ]


def with_learner(project: Project, learner: Learner) -> Project:
    """`project` with the network, the training, the method and the seed of `learner` instead of its own.

    Raises: `SettingError` where inputs, classes or scenario of the two differ, or the learner is in the middle of a
        task.
    """
    ours, theirs = project.space, learner.space
    require(
        (ours.input_shape, ours.scenario) == (theirs.input_shape, theirs.scenario)
        and theirs.classes in (None, ours.classes),
        f"the learner was made for inputs of shape {theirs.input_shape}, {theirs.classes} classes and the scenario "
        f"{theirs.scenario!r}, the project has {ours.input_shape}, {ours.classes}, {ours.scenario!r}; let them agree",
    )
    require(learner._cursor is None, "the learner is in the middle of a task; let it learn that to its end, then save")
    head: Any = learner.head  # one by name was checked with the network's name before
    return replace(
        project,
        learner=LearnerSettings(learner.model_name, head, learner.training),
        method=MethodChoice(learner.method.name, settings_of(learner.method)),
        seed=learner.seed,
    )
