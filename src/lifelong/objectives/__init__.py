"""What an answer means: classes, numbers, labels, tokens, or an objective of your own."""

from lifelong.objectives.base import Metric, Objective
from lifelong.objectives.classes import ClassObjective, softmax_distance
from lifelong.objectives.labels import LabelObjective
from lifelong.objectives.mixed import MixedObjective
from lifelong.objectives.numbers import NumberObjective
from lifelong.objectives.registry import OBJECTIVES, objective_for
from lifelong.objectives.tokens import TokenObjective

__all__ = [
    "OBJECTIVES",
    "ClassObjective",
    "LabelObjective",
    "Metric",
    "MixedObjective",
    "NumberObjective",
    "Objective",
    "TokenObjective",
    "objective_for",
    "softmax_distance",
]
