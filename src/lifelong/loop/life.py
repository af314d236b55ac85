"""The life of a model as a table: versions × tasks, from the exams that each version sat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lifelong.evaluation import Array

__all__ = ["Life", "VersionRow", "life"]


@dataclass(frozen=True)
class VersionRow:
    """A version: its `number` and id, its parent, the `task` it learned last, and task number → accuracy."""

    number: int
    id: str
    parent: str | None
    task: int
    accuracy: Mapping[int, float]


@dataclass(frozen=True, eq=False)
class Life:
    """R over versions: `matrix_VT[v, t]`, the accuracy of version v on the exam of task t, NaN where it never sat it.

    Unlike R of the lab, rows are versions, rejected ones included, and there is no row of a random initialisation.
    """

    versions: tuple[VersionRow, ...]
    tasks: tuple[int, ...]
    matrix_VT: Array

    def curve(self, task: int) -> list[tuple[int, float]]:
        """(version number, accuracy on `task`) for every version that sat its exam."""
        column = self.matrix_VT[:, self.tasks.index(task)]
        pairs = zip(self.versions, column, strict=True)
        return [(version.number, float(value)) for version, value in pairs if not np.isnan(value)]

    def line(self, version: str) -> Life:
        """The same of the version with the id `version` and its ancestors alone: what the champion went through."""
        parents = {row.id: row.parent for row in self.versions}
        kept: set[str] = set()
        at: str | None = version
        while at in parents and at not in kept:
            kept.add(at)
            at = parents[at]
        return life([row for row in self.versions if row.id in kept])

    def forgetting(self) -> dict[int, float]:
        """Task number → the best accuracy of earlier versions that had learned it, minus that of the last version.

        Only of tasks that one of them had learned; see `evaluation.forgetting`.
        """
        learned = _learned(self.versions)
        found: dict[int, float] = {}
        for place, task in enumerate(self.tasks):
            knew = np.array([task in learned[version.id] for version in self.versions[:-1]], dtype=bool)
            before, last = self.matrix_VT[:-1, place][knew], self.matrix_VT[-1, place]
            if not np.isnan(before).all() and not np.isnan(last):
                found[task] = float(np.nanmax(before) - last)
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values, None where an exam was not sat."""
        rows = [[None if np.isnan(value) else value for value in row] for row in self.matrix_VT.tolist()]
        versions = [{"number": v.number, "id": v.id, "parent": v.parent, "task": v.task} for v in self.versions]
        return {"versions": versions, "tasks": list(self.tasks), "matrix": rows}


def life(rows: Sequence[VersionRow]) -> Life:
    """The table of `rows`, ordered by version number.

    >>> told = life([VersionRow(1, "a", None, 1, {1: 0.9}), VersionRow(2, "b", "a", 2, {1: 0.8, 2: 0.7})])
    >>> told.matrix_VT.tolist(), told.curve(1), {t: round(f, 3) for t, f in told.forgetting().items()}
    ([[0.9, nan], [0.8, 0.7]], [(1, 0.9), (2, 0.8)], {1: 0.1})
    """
    versions = tuple(sorted(rows, key=lambda row: row.number))
    tasks = tuple(sorted({task for row in versions for task in row.accuracy}))
    cells = [[row.accuracy.get(task, np.nan) for task in tasks] for row in versions]
    return Life(versions, tasks, np.array(cells, dtype=np.float64).reshape(len(versions), len(tasks)))


def _learned(versions: Sequence[VersionRow]) -> dict[str, frozenset[int]]:
    """Version id → the tasks that it and its ancestors learned; one without a parent learned all up to its own."""
    found: dict[str, frozenset[int]] = {}
    for version in versions:
        before = found.get(version.parent or "", frozenset(range(1, version.task)))
        found[version.id] = before | {version.task}
    return found
