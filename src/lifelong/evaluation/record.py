"""What one run leaves behind: its matrix, its scores and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong.evaluation.matrix import Array, checked
from lifelong.evaluation.prequential import Prequential
from lifelong.evaluation.scores import all_scores

__all__ = ["Cost", "Predictions", "Record", "by_method"]


@dataclass(frozen=True)
class Cost:
    """Seconds of training and of evaluation; bytes stored beside the model; parameters in all, needed to predict; the
    fraction of the shared weights that is used up, None for methods that use none up.
    """

    train_seconds: float
    eval_seconds: float
    stored_bytes: int
    parameters: int
    capacity_used: float | None = None


@dataclass(frozen=True)
class Predictions:
    """What the finished learner decided on the test of one task, next to the targets; both have the examples first."""

    decision: NDArray[Any]
    y: NDArray[Any]

    def to_json(self) -> dict[str, Any]:
        """Per array its type and its values."""
        return {name: [array.dtype.str, array.tolist()] for name, array in vars(self).items()}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Predictions:
        """What `to_json` gave."""
        return Predictions(**{name: np.array(values, dtype) for name, (dtype, values) in data.items()})


@dataclass(frozen=True)
class Record:
    """One method on one seed.

    Args:
        method: What results call it: its label, or its name.
        settings: Its hyper-parameters as plain values.
        seed: Of the run.
        matrix: R (T + 1, T), the first score of each task.
        cost: What it took.
        name: The method's name where `method` is a label.
        matrices: Every score by name, each (T + 1, T) as R; NaN where a task has no such score.
        score: The name of the score that R holds.
        prequential: Test-then-train, where it was asked for.
        predictions: Of the finished learner by task number, where they were asked for.
    """

    method: str
    settings: dict[str, Any]
    seed: int
    matrix: Array
    cost: Cost
    name: str = ""
    matrices: Mapping[str, Array] = field(default_factory=dict)
    score: str = "accuracy"
    prequential: Prequential | None = None
    predictions: Mapping[int, Predictions] = field(default_factory=dict)

    @property
    def method_name(self) -> str:
        """The method's name, whatever its label."""
        return self.name or self.method

    @property
    def scores(self) -> dict[str, float]:
        """ACC, BWT, FWT, forgetting and learning accuracy of R."""
        return all_scores(self.matrix)

    @property
    def final_scores(self) -> dict[str, float]:
        """The mean of every score at the end over the tests of all tasks that have it."""
        last = {name: matrix[-1] for name, matrix in self.matrices.items()}
        known = {name: row[~np.isnan(row)] for name, row in last.items()}
        return {name: float(row.mean()) if len(row) else float("nan") for name, row in known.items()}

    def to_json(self, with_predictions: bool = False) -> dict[str, Any]:
        """Plain lists and numbers; NaN (not measured) becomes None. Run folders keep predictions in a file."""
        return {
            "method": self.method,
            "name": self.method_name,
            "settings": self.settings,
            "seed": self.seed,
            "score": self.score,
            "matrix": _rows(self.matrix),
            "scores": {name: _number(value) for name, value in self.scores.items()},
            "final_scores": {name: _number(value) for name, value in self.final_scores.items()},
            "matrices": {name: _rows(matrix) for name, matrix in self.matrices.items()},
            **({} if self.prequential is None else {"prequential": self.prequential.to_json()}),
            "cost": vars(self.cost).copy(),
            **(
                {"predictions": {task: p.to_json() for task, p in self.predictions.items()}} if with_predictions else {}
            ),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Record:
        """The record that `to_json` wrote; those of older versions have R alone."""
        matrices = {name: np.array(rows, dtype=np.float64) for name, rows in data.get("matrices", {}).items()}
        tested = data.get("prequential")
        return Record(
            data["method"],
            data["settings"],
            data["seed"],
            checked(np.array(data["matrix"], dtype=np.float64)),  # None becomes NaN
            Cost(**data["cost"]),
            name=data.get("name", data["method"]),
            matrices=matrices,
            score=data.get("score", "accuracy"),
            prequential=None if tested is None else Prequential.from_json(tested),
            predictions={int(task): Predictions.from_json(p) for task, p in data.get("predictions", {}).items()},
        )


def by_method(records: list[Record]) -> dict[str, list[Record]]:
    """Records grouped by method in the order of first appearance, seeds ascending."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.method, []).append(record)
    return {method: sorted(group, key=lambda record: record.seed) for method, group in groups.items()}


def _rows(matrix: Array) -> list[list[float | None]]:
    return [[_number(value) for value in row] for row in matrix.tolist()]


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
