"""What one run leaves behind: its matrix, its scores and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lifelong.evaluation.matrix import Array, checked
from lifelong.evaluation.scores import all_scores

__all__ = ["Cost", "Record", "by_method"]


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
class Record:
    """One method on one seed: `method` its label, `settings` its hyper-parameters, `matrix` R (T + 1, T)."""

    method: str
    settings: dict[str, Any]
    seed: int
    matrix: Array
    cost: Cost

    @property
    def scores(self) -> dict[str, float]:
        """ACC, BWT, FWT, forgetting and learning accuracy."""
        return all_scores(self.matrix)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers; NaN (not measured) becomes None."""
        matrix = [[_number(value) for value in row] for row in self.matrix.tolist()]
        scores = {name: _number(value) for name, value in self.scores.items()}
        return {
            "method": self.method,
            "settings": self.settings,
            "seed": self.seed,
            "matrix": matrix,
            "scores": scores,
            "cost": vars(self.cost).copy(),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Record:
        """The record that `to_json` wrote."""
        matrix = np.array(data["matrix"], dtype=np.float64)  # None becomes NaN
        return Record(data["method"], data["settings"], data["seed"], checked(matrix), Cost(**data["cost"]))


def by_method(records: list[Record]) -> dict[str, list[Record]]:
    """Records grouped by method in the order of first appearance, seeds ascending."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.method, []).append(record)
    return {method: sorted(group, key=lambda record: record.seed) for method, group in groups.items()}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
