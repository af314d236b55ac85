"""The experiments of the chapter, in its order."""

from __future__ import annotations

from lifelong.chapter.lesson import Lesson
from lifelong.chapter.lessons.babi import BABI
from lifelong.chapter.lessons.forgetting import FORGETTING
from lifelong.chapter.lessons.gem import GEM
from lifelong.chapter.lessons.guards import GUARDS
from lifelong.chapter.lessons.homework import HOMEWORK
from lifelong.chapter.lessons.landscape import LANDSCAPE
from lifelong.chapter.lessons.loop import LOOP
from lifelong.chapter.lessons.matrix import MATRIX
from lifelong.chapter.lessons.model_per_task import MODEL_PER_TASK
from lifelong.chapter.lessons.skills import SKILLS
from lifelong.chapter.lessons.transfer import TRANSFER
from lifelong.chapter.lessons.upper_bound import UPPER_BOUND
from lifelong.errors import unknown_name

__all__ = ["LESSONS", "lesson"]

LESSONS: dict[str, Lesson] = {
    each.name: each
    for each in (
        SKILLS,
        LOOP,
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
    """The experiment with this name, or with this figure of the textbook.

    Raises:
        SettingError: No experiment has the name or shows the figure.

    Example:
        >>> lesson("16.9").name
        'matrix'
    """
    for each in LESSONS.values():
        if name == each.name or name in each.figures:
            return each
    figures = [figure for each in LESSONS.values() for figure in each.figures]
    raise unknown_name("experiment of the chapter", name, [*LESSONS, *figures])
