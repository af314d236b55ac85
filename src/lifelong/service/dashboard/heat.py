"""The matrix R over versions as a table of coloured cells; the style sheet has the colours (cividis)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifelong.service.dashboard.facts import Facts
from lifelong.store.versions import Version

__all__ = ["LEVELS", "Cell", "Row", "heat", "level"]

LEVELS = 20


@dataclass(frozen=True)
class Cell:
    """An accuracy and the step of its colour, both None where the exam was not sat; `new`: the task it was made for."""

    value: float | None
    level: int | None
    new: bool


@dataclass(frozen=True)
class Row:
    """A version's number, what became of it, and its exams."""

    number: int
    standing: str
    cells: tuple[Cell, ...]


def heat(facts: Facts, shown: Sequence[Version], tasks: Sequence[int]) -> list[Row]:
    """Rows for the versions `shown`, the newest first, each with a cell for each of `tasks`."""
    rows = []
    for version in reversed(shown):
        accuracy = {int(number): float(value) for number, value in version.exam_row["accuracy"].items()}
        first = version.parent is None
        cells = tuple(
            Cell(accuracy.get(task), level(accuracy.get(task)), task == version.task or (first and task in accuracy))
            for task in tasks
        )
        rows.append(Row(version.number, facts.standing(version), cells))
    return rows


def level(value: float | None) -> int | None:
    """The step of the colour of an accuracy.

    >>> level(0.0), level(0.93), level(1.0), level(None)
    (0, 19, 20, None)
    """
    return None if value is None else round(LEVELS * min(1.0, max(0.0, value)))
