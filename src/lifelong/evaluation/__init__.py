"""The matrix R, the scores that follow from it, and their statistics: pure functions that know no trainer."""

from lifelong.evaluation.matrix import Array, empty, fill_row, schedule
from lifelong.evaluation.prequential import Prequential, fading_mean, windowed_mean
from lifelong.evaluation.record import Cost, Predictions, Record, by_method
from lifelong.evaluation.scores import (
    acc,
    all_scores,
    bwt,
    forgetting,
    fwt,
    intransigence,
    learning_acc,
    score_title,
    seen_acc,
)
from lifelong.evaluation.statistics import Interval, interval, paired_difference

__all__ = [
    "Array",
    "Cost",
    "Interval",
    "Predictions",
    "Prequential",
    "Record",
    "acc",
    "all_scores",
    "bwt",
    "by_method",
    "empty",
    "fading_mean",
    "fill_row",
    "forgetting",
    "fwt",
    "interval",
    "intransigence",
    "learning_acc",
    "paired_difference",
    "schedule",
    "score_title",
    "seen_acc",
    "windowed_mean",
]
