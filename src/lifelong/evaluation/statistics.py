"""Means with confidence intervals over seeds, and paired differences between methods."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lifelong.errors import require

__all__ = ["Interval", "interval", "paired_difference"]


class Interval(NamedTuple):
    """A mean and the half-width of its 95 % confidence interval (NaN for fewer than two values)."""

    mean: float
    ci95: float


def interval(values: ArrayLike) -> Interval:
    """Mean ± 95 % interval of Student's t over independent values: `t_{0.975, n−1} · s / √n`.

    >>> mean, ci95 = interval([0.90, 0.92, 0.94])
    >>> round(mean, 2), round(ci95, 4)
    (0.92, 0.0497)
    """
    from scipy.stats import t  # here, so that importing the scores does not load scipy

    array = np.asarray(values, dtype=np.float64)
    require(array.ndim == 1 and len(array) > 0, f"expected a list of values, got shape {array.shape}")
    count = len(array)
    if count < 2:
        return Interval(float(array.mean()), float("nan"))
    error = array.std(ddof=1) / np.sqrt(count)
    return Interval(float(array.mean()), float(t.ppf(0.975, count - 1) * error))


def paired_difference(ours: ArrayLike, theirs: ArrayLike) -> Interval:
    """Mean and interval of `ours − theirs`, seed by seed: narrower than two separate intervals, as seeds are shared.

    >>> round(paired_difference([0.9, 0.8], [0.7, 0.6]).mean, 3)
    0.2
    """
    first, second = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    require(first.shape == second.shape, f"expected values for the same seeds, got {first.shape} and {second.shape}")
    return interval(first - second)
