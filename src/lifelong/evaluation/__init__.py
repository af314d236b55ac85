"""The matrix R, the scores that follow from it, and their statistics: pure functions that know no trainer."""

from lifelong.evaluation.matrix import Array, empty, fill_row, schedule
from lifelong.evaluation.record import Cost, Record, by_method
from lifelong.evaluation.scores import (
    acc,
    all_scores,
    bwt,
    forgetting,
    fwt,
    intransigence,
    learning_acc,
    seen_acc,
)
from lifelong.evaluation.statistics import Interval, interval, paired_difference

__all__ = [
    "Array",
    "Cost",
    "Interval",
    "Record",
    "acc",
    "all_scores",
    "bwt",
    "by_method",
    "empty",
    "fill_row",
    "forgetting",
    "fwt",
    "interval",
    "intransigence",
    "learning_acc",
    "paired_difference",
    "schedule",
    "seen_acc",
]
