"""The experiments of the chapter, in its order."""

from __future__ import annotations

from lifelong.errors import unknown_name
from lifelong.experiments.chapter.babi import BABI
from lifelong.experiments.chapter.forgetting import FORGETTING
from lifelong.experiments.chapter.gem import GEM
from lifelong.experiments.chapter.guards import GUARDS
from lifelong.experiments.chapter.homework import HOMEWORK
from lifelong.experiments.chapter.landscape import LANDSCAPE
from lifelong.experiments.chapter.lesson import Lesson
from lifelong.experiments.chapter.matrix import MATRIX
from lifelong.experiments.chapter.model_per_task import MODEL_PER_TASK
from lifelong.experiments.chapter.transfer import TRANSFER
from lifelong.experiments.chapter.upper_bound import UPPER_BOUND

__all__ = ["LESSONS", "lesson"]

LESSONS: dict[str, Lesson] = {
    each.name: each
    for each in (
        FORGETTING,
        BABI,
        UPPER_BOUND,
        MODEL_PER_TASK,
        TRANSFER,
        MATRIX,
        LANDSCAPE,
        GUARDS,
        GEM,
        HOMEWORK,
    )
}


def lesson(name: str) -> Lesson:
    """The experiment called `name`; `SettingError` with the nearest name where there is none."""
    if name not in LESSONS:
        raise unknown_name("experiment of the chapter", name, LESSONS)
    return LESSONS[name]
