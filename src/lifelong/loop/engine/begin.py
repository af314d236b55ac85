"""The beginning: a project, its first tasks, and version 1, which learned them and answers from now on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import torch

from lifelong.errors import require
from lifelong.loop.engine.base import Engine
from lifelong.loop.engine.lots import LARGEST_LOT
from lifelong.loop.engine.work import settings_of_version
from lifelong.loop.exam import answers, row
from lifelong.loop.job import pack_answers
from lifelong.loop.learning import first_version, learned_version
from lifelong.loop.lot import pack, verdict_part
from lifelong.loop.power import check_power
from lifelong.loop.project import Project, to_json
from lifelong.loop.triggers import Amount, leaves
from lifelong.store import aliases, audit, projects, tasks, versions
from lifelong.store.database import Connection
from lifelong.training import Learner, Progress
from lifelong.types import Examples, Task

__all__ = ["begin"]


def begin(
    engine: Engine,
    project: Project,
    first: Sequence[Task],
    *,
    actor: str,
    learner: Learner | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> versions.Version:
    """Store `project`, let its first learner learn the tasks `first` (numbered from 1), and make it the champion.

    Exams are the tasks' test parts, cut to `exam.cap` with the classes in balance. Done twice, it is done once.

    Arguments: `learner` has learned these tasks already, and is version 1 as it is; see `own.with_learner`.
    Raises: `SettingError` for numbers that do not count from 1, too few examples for an exam, another number of tasks
        than `learner` has learned, triggers that fire before enough wait for an exam, or exams with which the gate
        would stop candidates that are as good as the champion (`power.check_power`); `ConflictError` where the
        project is there with other settings or another first version.
    """
    _check_lots(project)
    numbers = [task.number for task in first]
    require(numbers == list(range(1, len(first) + 1)), f"the first tasks must have the numbers 1, 2, …, got {numbers}")
    capped = [_capped(task, project) for task in first]
    exams = [int(verdict_part(task.test.y, project.selection).sum()) for task in capped]
    check_power(project.gate, exams, int(project.exam.minimum * (1 - project.selection)), len(project.classes))
    if learner is None:
        made = first_version(project, capped, on_progress=on_progress)
    else:
        made = learned_version(project, capped, learner)
    given = answers(made.learner, capped)
    stored = [_stored(engine, project, task) for task in capped]
    content = versions.NewVersion(
        project=project.name,
        parent=None,
        blob=engine.blobs.put(made.data),
        settings=settings_of_version(project, project.method),
        task=numbers[-1],
        exam_row={
            "accuracy": {str(number): accuracy for number, accuracy in row(given, capped).items()},
            "answers": engine.blobs.put(pack_answers(made.learner, capped, given)),
        },
    )

    def work(connection: Connection) -> versions.Version:
        now = engine.clock()
        projects.add(connection, projects.Project(project.name, json.loads(to_json(project)), now))
        for each in stored:
            tasks.add(connection, each)
        version = versions.add(connection, content, now)
        champion = aliases.get(connection, project.name)
        if champion is None or champion.version != version.id:
            audit.append(
                connection,
                at=now,
                project=project.name,
                actor=actor,
                action="create",
                detail={"version": version.id, "tasks": [task.number for task in capped]},
            )
            aliases.move(
                connection,
                project.name,
                expected_revision=0,
                version=version.id,
                actor=actor,
                reason="the first version",
                now=now,
            )
        return version

    return engine.write(work)


def _check_lots(project: Project) -> None:
    """Where a project is made, and not where it is read: those that are stored must go on."""
    exam, least = project.exam, project.exam.smallest_lot
    least_of = (
        f"an exam of {exam.minimum} (exam.minimum) at exam.fraction {exam.fraction:g} needs lots of about {least}"
    )
    require(
        least <= LARGEST_LOT,
        f"{least_of}, and a lot has {LARGEST_LOT} examples at most; lower exam.minimum or raise exam.fraction",
    )
    for trigger in leaves(project.triggers):
        require(
            not isinstance(trigger, Amount) or trigger.n >= least,
            f"{least_of}, but the trigger {trigger} fires before; set its n to {least} or more, lower exam.minimum, "
            "or raise exam.fraction",
        )


def _capped(task: Task, project: Project) -> Task:
    exam = task.test
    minimum = project.exam.minimum
    require(
        len(exam) >= minimum, f"task {task.number} has {len(exam)} examples for its exam, exam.minimum is {minimum}"
    )
    labels = exam.y.numpy()
    rank = np.zeros(len(labels), dtype=np.int64)  # how many of its class come before each
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        rank[places] = np.arange(len(places))
    kept = torch.from_numpy(np.sort(np.argsort(rank, kind="stable")[: project.exam.cap]))
    parts: dict[Any, Examples] = {"train": task.train, "test": exam.at(kept)}
    return replace(task, load=parts.get)


def _stored(engine: Engine, project: Project, task: Task) -> tasks.Task:
    blobs = [engine.blobs.put(pack(part.x.numpy(), part.y.numpy())) for part in (task.train, task.test)]
    counts = {"train": len(task.train), "exam": len(task.test), "cursor": 0}
    manifest = {**counts, "sha256": sha256("".join(blobs).encode()).hexdigest()}
    return tasks.Task(
        project.name, task.number, task.name, list(task.classes), manifest, blobs[0], blobs[1], engine.clock()
    )
