"""Whether inputs come from elsewhere than before: Kolmogorov and Smirnov's distance with a calibrated threshold.

The distance of one feature is D = max_v |F(v) − G(v)| between the distribution functions of the reference and of the
window; of many features the largest D counts. Tables of D hold for one continuous feature only, so the threshold comes
from a warm-up: windows are drawn from the reference itself, and the threshold is what their distances exceed with the
stated probability. That holds for features with ties, for any number of them, and however they depend on each other,
which is why neither ADWIN nor Page-Hinkley (one number at a time, thresholds by hand) is used.

Suffixes: D features, M examples of the reference, N of the window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lifelong.errors import DataError, require

__all__ = ["Calibrated", "calibrate", "distances", "features"]

Array: TypeAlias = NDArray[np.float64]

ROUNDS = 400
FEATURES = 64
LARGEST_REFERENCE = 2000


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A reference `values_MD` and the largest scaled distance that a window of `window` from it has but rarely."""

    values_MD: Array
    window: int
    threshold: float

    def exceeded(self, values_ND: object) -> tuple[float, int] | None:
        """How many thresholds the distance of the last `window` rows is and its feature; None within the threshold.

        None too where there are not yet so many rows.
        """
        values = _table(values_ND)[-self.window :]
        if len(values) < self.window:
            return None
        scaled_D = distances(self.values_MD, values) * _scale(len(self.values_MD), self.window)
        worst = int(scaled_D.argmax())
        ratio = float(scaled_D[worst]) / self.threshold
        return (ratio, worst) if ratio > 1 else None


def calibrate(reference_MD: object, window: int, false_alarm: float, seed: int = 0) -> Calibrated:
    """The threshold for windows of `window` rows, such that one from the reference exceeds it with `false_alarm`.

    In each of 400 rounds (more for a `false_alarm` below 1 in 40) a window is drawn from the reference without
    replacement and compared with the rest. Distances are scaled by √(n m / (n + m)), as both sizes differ from those in
    use. A reference of more than 2,000 rows is thinned evenly.

    Raises: `DataError` where the reference has fewer than two windows of rows or holds NaN.

    >>> generator = np.random.default_rng(0)
    >>> before = calibrate(generator.normal(size=(500, 3)), window=50, false_alarm=0.01)
    >>> before.exceeded(generator.normal(size=(50, 3))), before.exceeded(1 + generator.normal(size=(50, 3))) is None
    (None, False)
    """
    require(window >= 2, f"window must be 2 or more, got {window}")
    require(0 < false_alarm < 1, f"false_alarm must be a probability in 0 … 1, got {false_alarm}")
    values = _table(reference_MD)
    if len(values) > max(LARGEST_REFERENCE, 2 * window):
        values = values[np.linspace(0, len(values) - 1, max(LARGEST_REFERENCE, 2 * window)).astype(int)]
    if len(values) < 2 * window or not np.isfinite(values).all():
        raise DataError(
            f"a reference for windows of {window} needs {2 * window} finite rows or more, got {len(values)} rows; "
            "wait for more, or take a smaller window"
        )
    rounds = max(ROUNDS, math.ceil(10 / false_alarm))
    largest = np.sort(_null(values, window, rounds, seed)) * _scale(len(values) - window, window)
    # the k-th largest of R: a further draw exceeds it with probability k / (R + 1)
    rank = max(1, math.floor(false_alarm * (rounds + 1)))
    return Calibrated(values, window, float(max(largest[-rank], 1e-12)))


def distances(reference_MD: Array, window_ND: Array) -> Array:
    """Kolmogorov and Smirnov's D of every feature (D,).

    >>> distances(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])).tolist()
    [0.5]
    """
    both = np.concatenate([reference_MD, window_ND])
    inside = np.arange(len(both)) >= len(reference_MD)
    order = np.argsort(both, axis=0, kind="stable")
    return _gaps(np.take_along_axis(both, order, 0), inside[order])


def features(x: object, seed: int = 0) -> Array:
    """Inputs (N, …) as at most 64 features (N, D): themselves; of longer ones mean, spread and 62 random projections.

    The projections are the same for the same length and `seed`.

    >>> features(np.zeros((5, 1, 8, 8))).shape, features(np.zeros((5, 3, 32, 32))).shape
    ((5, 64), (5, 64))
    """
    flat = _table(x)
    size = flat.shape[1]
    if size <= FEATURES:
        return flat
    directions = np.random.default_rng([seed, size]).normal(size=(size, FEATURES - 2)) / math.sqrt(size)
    return np.column_stack([flat.mean(1), flat.std(1), flat @ directions])


def _table(x: object) -> Array:
    """Rows (N, …) as (N, D), also where there are none."""
    array = np.asarray(x, dtype=np.float64)
    return array.reshape(len(array), math.prod(array.shape[1:]))


def _null(values_MD: Array, window: int, rounds: int, seed: int) -> Array:
    """The largest distance over features of `rounds` windows drawn from the reference, each against the rest."""
    generator = np.random.default_rng(seed)
    order = np.argsort(values_MD, axis=0, kind="stable")
    ranked = np.take_along_axis(values_MD, order, 0)
    largest = np.empty(rounds)
    for number in range(rounds):
        inside = np.zeros(len(values_MD), dtype=bool)
        inside[generator.choice(len(values_MD), window, replace=False)] = True
        largest[number] = _gaps(ranked, inside[order]).max()
    return largest


def _gaps(ranked: Array, inside: NDArray[np.bool_]) -> Array:
    """D per feature, given all values in order and which of them are of the window; equal values count together."""
    count = np.cumsum(inside, axis=0)
    steps = np.arange(1, len(ranked) + 1)[:, None]
    window = count[-1]
    gap = np.abs(count / window - (steps - count) / (len(ranked) - window))
    gap[:-1][ranked[1:] == ranked[:-1]] = 0.0
    return np.asarray(gap.max(axis=0))


def _scale(m: int, n: int) -> float:
    return math.sqrt(m * n / (m + n))
