"""Hyper-parameters chosen on validation data of the first tasks, reported on the rest. Needs the extra `tune`."""

from lifelong.experiments.tune.ranges import Range, parse
from lifelong.experiments.tune.search import Choice, Trial, search, with_values

__all__ = ["Choice", "Range", "Trial", "parse", "search", "with_values"]
