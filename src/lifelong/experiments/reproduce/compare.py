"""Ours beside the published values, as plain data that can be stored and rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lifelong.errors import require
from lifelong.evaluation import Array, Record
from lifelong.evaluation.scores import all_scores
from lifelong.evaluation.statistics import interval
from lifelong.experiments.reproduce.table import Cell, Part

__all__ = ["Compared", "beside", "compare"]

TOLERANCE = 2.0


@dataclass(frozen=True)
class Compared:
    """One cell: ours in percent (`mean` ± `ci95`, None for one seed) over `seeds` beside the published value.

    `published`, `published_ci95`, `confidence` and `why` are None or empty where the table has no such cell. `seconds`
    is the mean training time of a run.
    """

    row: str
    label: str
    measure: str
    mean: float
    ci95: float | None
    seeds: int
    seconds: float
    published: float | None = None
    published_ci95: float | None = None
    confidence: str = ""
    why: str = ""

    @property
    def difference(self) -> float | None:
        """Ours minus the published value, in points."""
        return None if self.published is None else self.mean - self.published

    @property
    def reproduced(self) -> bool | None:
        """Within 2 points of the published mean, or the two intervals meet, or better; None without a value.

        >>> Compared("r", "ewc", "acc", 70.0, 3.0, 5, 1.0, published=74.5, published_ci95=2.0).reproduced
        True
        """
        if self.difference is None:
            return None
        return self.difference >= -max(TOLERANCE, (self.ci95 or 0.0) + (self.published_ci95 or 0.0))


def compare(part: Part, records: Sequence[Record]) -> list[Compared]:
    """The cells of one part, and its ACC where the table has none of it."""
    require(len(records) > 0, f"{part.row}, {part.label}: no finished run to compare")
    cells: Sequence[Cell | None] = part.cells or (None,)
    seconds = float(np.mean([record.cost.train_seconds for record in records]))
    found = []
    for cell in cells:
        measure = "acc" if cell is None else cell.measure
        mean, ci95 = interval([100 * _measured(record.matrix, measure) for record in records])
        half = None if np.isnan(ci95) else ci95
        found.append(beside(cell, Compared(part.row, part.label, measure, mean, half, len(records), seconds)))
    return found


def beside(cell: Cell | None, ours: Compared) -> Compared:
    """`ours` with what `cell` says was published."""
    if cell is None:
        return ours
    return replace(
        ours,
        published=cell.published,
        published_ci95=cell.ci95,
        confidence=cell.confidence,
        why=cell.why,
    )


def _measured(matrix: Array, measure: str) -> float:
    if measure.startswith("seen "):
        task = int(measure.removeprefix("seen "))
        return float(matrix[task, :task].mean())
    return all_scores(matrix)[measure]
