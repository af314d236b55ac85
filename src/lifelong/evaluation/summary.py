"""What a set of runs says about each method: every score and cost as a mean with its 95 % interval over seeds.

Runs that are missing (another method finished more seeds) are no obstacle; comparisons pair the seeds both have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from lifelong.errors import require, unknown_name
from lifelong.evaluation.record import Record, by_method
from lifelong.evaluation.scores import intransigence
from lifelong.evaluation.statistics import Interval, interval, paired_difference

__all__ = ["UNKNOWN", "MethodSummary", "PairedDifference", "compare", "reference_method", "summarise"]

UNKNOWN = Interval(float("nan"), float("nan"))


@dataclass(frozen=True)
class MethodSummary:
    """One method over its seeds: scores as fractions (not percent), seconds, bytes; NaN where not measured."""

    method: str
    settings: dict[str, Any]
    seeds: list[int]
    acc: Interval
    bwt: Interval
    fwt: Interval
    forgetting: Interval
    learning_acc: Interval
    intransigence: Interval
    train_seconds: Interval
    eval_seconds: Interval
    stored_bytes: Interval
    parameters: int
    capacity_used: Interval
    score: str = "accuracy"
    final_scores: dict[str, Interval] = field(default_factory=dict)
    prequential: Interval = UNKNOWN

    def to_json(self) -> dict[str, Any]:
        """The fields by name, every interval as `{"mean", "ci95"}`; NaN becomes None."""
        others = {name: _plain(value) for name, value in self.final_scores.items()}
        plain = {name: _plain(value) if isinstance(value, Interval) else value for name, value in vars(self).items()}
        return {**plain, "final_scores": others}


class PairedDifference(NamedTuple):
    """ACC of `method` minus ACC of the reference, as a fraction, over the `seeds` that both finished."""

    method: str
    seeds: list[int]
    acc: Interval


def summarise(records: list[Record]) -> list[MethodSummary]:
    """One summary per method, in the order of first appearance.

    A score that is NaN for one seed of a method is NaN for the method: a mean over fewer seeds than are listed would
    mislead. Intransigence is measured against the runs of `joint` with the same seeds, and NaN where there are none.
    Raises `SettingError` where a method has a seed twice, or where the runs differ in their number of tasks.

    >>> from lifelong.evaluation import Cost
    >>> matrices = [[0.1, 0.1], [0.9, 0.2], [0.7, 0.8]], [[0.1, 0.1], [0.9, 0.2], [0.9, 0.8]]
    >>> runs = [Record("ewc", {}, i, np.array(R), Cost(1.0, 0.5, 8, 2)) for i, R in enumerate(matrices)]
    >>> [summary] = summarise(runs)
    >>> summary.seeds, round(summary.acc.mean, 3), round(summary.bwt.mean, 3)
    ([0, 1], 0.8, -0.1)
    """
    shapes = sorted({record.matrix.shape for record in records})
    require(len(shapes) <= 1, f"expected runs of one stream, got matrices of shapes {shapes}; summarise them apart")
    groups = by_method(records)
    joint: dict[int, Record] = {}
    for record in records:
        if record.method_name == "joint":
            joint.setdefault(record.seed, record)
    return [_summary(method, group, joint) for method, group in groups.items()]


def reference_method(records: list[Record]) -> str:
    """The method that others are compared with unless told otherwise: `finetune`, or the first where it is missing."""
    require(bool(records), "expected at least one run to compare with, got none")
    plain = [record.method for record in records if record.method_name == "finetune"]
    return (plain or [records[0].method])[0]


def compare(records: list[Record], against: str) -> list[PairedDifference]:
    """ACC of every other method minus ACC of `against`, paired by the seeds that both finished.

    Raises `SettingError` where `against` has no runs.
    """
    groups = by_method(records)
    if against not in groups:
        raise unknown_name("method", against, groups)
    theirs = {record.seed: record.scores["acc"] for record in groups[against]}
    differences = []
    for method, group in groups.items():
        if method != against:
            ours = {record.seed: record.scores["acc"] for record in group if record.seed in theirs}
            difference = paired_difference([*ours.values()], [theirs[seed] for seed in ours]) if ours else UNKNOWN
            differences.append(PairedDifference(method, [*ours], difference))
    return differences


def _summary(method: str, group: list[Record], joint: dict[int, Record]) -> MethodSummary:
    seeds = [record.seed for record in group]
    require(len(set(seeds)) == len(seeds), f"method {method!r} has a seed twice: {seeds}; give each setting a label")
    scores = [record.scores for record in group]
    gaps = [float(intransigence(run.matrix, joint[run.seed].matrix)) for run in group if run.seed in joint]

    def cost(quantity: Callable[[Record], float]) -> Interval:
        return interval([quantity(record) for record in group])

    return MethodSummary(
        method=method,
        settings=group[0].settings,
        seeds=seeds,
        **{name: _interval([score[name] for score in scores]) for name in scores[0]},
        intransigence=_interval(gaps),
        train_seconds=cost(lambda record: record.cost.train_seconds),
        eval_seconds=cost(lambda record: record.cost.eval_seconds),
        stored_bytes=cost(lambda record: record.cost.stored_bytes),
        parameters=group[0].cost.parameters,
        capacity_used=_interval(
            [np.nan if used is None else used for used in (run.cost.capacity_used for run in group)]
        ),
        score=group[0].score,
        final_scores={
            name: _interval([run.final_scores[name] for run in group if name in run.final_scores])
            for name in group[0].matrices
        },
        prequential=_interval([run.prequential.mean_score for run in group if run.prequential is not None]),
    )


def _interval(values: list[float]) -> Interval:
    # forgetting is -inf where a task was never examined before the end: not measured, as NaN is
    return interval(values) if values and bool(np.isfinite(values).all()) else UNKNOWN


def _plain(value: Interval) -> dict[str, float | None]:
    return {"mean": _number(value.mean), "ci95": _number(value.ci95)}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
