"""A learner sits exams: its answers, its row of R, and how long one answer takes. Suffix N: examples."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from lifelong.errors import DataError, require
from lifelong.loop.gate import Answers, ExamAnswers, Latency
from lifelong.training import Learner
from lifelong.training.preview import preview
from lifelong.types import Task

__all__ = ["answers", "compare", "latency", "row"]


def answers(
    learner: Learner, tasks: Sequence[Task], on_exam: Callable[[int, int], None] | None = None
) -> dict[int, Answers]:
    """Task number → the learner's answers (N,) to the test part of each of `tasks`, learned or still to come.

    A task to come is answered with the head that it would start from, as in `Learner.accuracy`. `on_exam(done, of)`
    is called after each exam.

    >>> from lifelong import stream
    >>> digits = stream("permuted-digits", tasks=2)
    >>> learner = Learner("linear", space=digits.space)
    >>> given = answers(learner, digits.tasks)
    >>> row(given, digits.tasks) == dict(enumerate(learner.evaluate(digits), start=1))
    True
    """
    found: dict[int, Answers] = {}
    with torch.no_grad():
        for done, task in enumerate(tasks, start=1):
            logits_NC = learner._answers(preview(learner, task), task.test.x, task.number)
            found[task.number] = logits_NC.argmax(1).cpu().numpy()
            if on_exam is not None:
                on_exam(done, len(tasks))
    return found


def row(given: Mapping[int, Answers], tasks: Sequence[Task]) -> dict[int, float]:
    """Task number → the fraction of right answers: one row of R."""
    return {task.number: float((given[task.number] == task.test.y.numpy()).mean()) for task in tasks}


def compare(
    champion: Mapping[int, Answers],
    candidate: Mapping[int, Answers],
    tasks: Sequence[Task],
    new: int,
    learned: Mapping[int, Answers] | None = None,
) -> list[ExamAnswers]:
    """What the gate asks for: both learners' answers to every exam; `new` is the number of the task just learned.

    `learned`: the answers of the version that learned each task, where that is not the champion.

    Raises: `DataError` where one of them has not sat one of the exams.
    """
    for name, given in (("champion", champion), ("candidate", candidate)):
        missing = [task.number for task in tasks if task.number not in given]
        if missing:
            raise DataError(f"the {name} has no answers to the exams of the tasks {missing}; let it sit them")
    return [
        ExamAnswers(
            task.number,
            task.name,
            task.test.y.numpy(),
            champion[task.number],
            candidate[task.number],
            is_new=task.number == new,
            learned=(learned or {}).get(task.number),
        )
        for task in tasks
    ]


def latency(learner: Learner, task: Task, count: int = 200, clock: Callable[[], float] = time.perf_counter) -> Latency:
    """Median and 99th percentile of `count` single predictions on inputs of `task`, after ten to warm up."""
    require(count >= 1, f"count must be 1 or more, got {count}")
    x, view = task.test.x, preview(learner, task)
    seconds = []
    with torch.no_grad():
        for number in range(-min(10, count), count):
            place = number % len(x)
            start = clock()
            learner._answers(view, x[place : place + 1], task.number)
            seconds.append(clock() - start)
    timed = 1000 * np.array(seconds[-count:])
    return Latency(float(np.median(timed)), float(np.quantile(timed, 0.99)), count)
