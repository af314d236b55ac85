"""Whether inputs come from elsewhere than before: Kolmogorov and Smirnov's distance with a calibrated threshold.

The distance of one feature is D = max_v |F(v) − G(v)| between the distribution functions of the reference and of the
window; of many features the largest D counts. Tables of D hold for one continuous feature only, so the threshold comes
from a warm-up: windows are drawn from the reference itself, and the threshold is what their distances exceed with the
stated probability. That holds for features with ties, for any number of them, and however they depend on each other,
which is why neither ADWIN nor Page-Hinkley (one number at a time, thresholds by hand) is used.

The reference is a group of rows for each task that was learned, and a window may hold them in any proportion: F is the
mixture Σ_g w_g F_g that is nearest to the window, so that traffic of one task out of many is no drift.

Suffixes: D features, G groups, M examples of the reference, N of the window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

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
    """Groups of known rows (M, D), and the scaled distance that a window of `window` such rows exceeds but rarely."""

    groups: tuple[Array, ...]
    window: int
    threshold: float

    def exceeded(self, values_ND: object) -> tuple[float, int] | None:
        """How many thresholds the distance of the last `window` rows is and its feature; None within the threshold.

        None too where there are not yet so many rows.
        """
        values = _table(values_ND)[-self.window :]
        if len(values) < self.window:
            return None
        sizes = np.array([len(group) for group in self.groups], dtype=np.float64)
        steps, nearest = _steps(self.groups, values), (math.inf, 0)
        for w_G in _mixtures(sizes, steps):  # the cheap ones first
            gaps_D = (steps @ w_G).max((0, 1))
            worst = int(gaps_D.argmax())
            like = 1 / float((w_G**2 / sizes).sum())  # a mixture is known as well as so many rows
            nearest = min(nearest, (float(gaps_D[worst]) * _scale(like, self.window) / self.threshold, worst))
            if nearest[0] <= 1:
                return None
        return nearest


def calibrate(groups: Sequence[object], window: int, false_alarm: float, seed: int = 0) -> Calibrated:
    """The threshold for windows of `window` rows, such that one from the reference exceeds it with `false_alarm`.

    In each of 400 rounds (more for a `false_alarm` below 1 in 40) a window is drawn from the reference without
    replacement and compared with the rest: from all groups together, and from the largest group alone; the larger
    threshold counts. Distances are scaled by √(n m / (n + m)), as both sizes differ from those in use. Of a group, and
    of all together, at most 2,000 rows are looked at, evenly thinned.

    Args:
        groups: Of each task the known rows (M, D).
        window: Rows that are compared with them at a time.
        false_alarm: The probability that a window from the reference exceeds the threshold.
        seed: Of the windows that are drawn.

    Raises:
        DataError: The reference has fewer than two windows of rows or holds NaN.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> before = calibrate([generator.normal(size=(500, 3))], window=50, false_alarm=0.01)
        >>> before.exceeded(generator.normal(size=(50, 3))), before.exceeded(1 + generator.normal(size=(50, 3))) is None
        (None, False)
    """
    require(window >= 2, f"window must be 2 or more, got {window}")
    require(0 < false_alarm < 1, f"false_alarm must be a probability in 0 … 1, got {false_alarm}")
    most = max(LARGEST_REFERENCE, 2 * window)
    tables = tuple(_thinned(_table(group), most) for group in groups if len(_table(group)))
    pooled = _thinned(np.concatenate(tables), most) if tables else np.zeros((0, 1))
    if len(pooled) < 2 * window or not all(np.isfinite(table).all() for table in tables):
        raise DataError(
            f"a reference for windows of {window} needs {2 * window} finite rows or more, got {len(pooled)} rows; "
            "wait for more, or take a smaller window"
        )
    rounds = max(ROUNDS, math.ceil(10 / false_alarm))
    # the k-th largest of R: a further draw exceeds it with probability k / (R + 1)
    rank = max(1, math.floor(false_alarm * (rounds + 1)))
    drawn = [pooled] + [table for table in (max(tables, key=len),) if len(tables) > 1 and len(table) >= 2 * window]
    largest = [np.sort(_null(each, window, rounds, seed)) * _scale(len(each) - window, window) for each in drawn]
    return Calibrated(tables, window, max(1e-12, *(float(each[-rank]) for each in largest)))


def distances(reference_MD: Array, window_ND: Array) -> Array:
    """Kolmogorov and Smirnov's D of every feature (D,).

    >>> distances(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])).tolist()
    [0.5]
    """
    return np.asarray(_steps([reference_MD], window_ND)[..., 0].max((0, 1)))


def _steps(groups: Sequence[Array], window_ND: Array) -> Array:
    """G(v) − F_g(v) at the window's values v, and F_g(v−) − G(v−) just before them: (2, N, D, G).

    The largest of all is D: between two values of the window G stays as it is, and F only rises.
    """
    ordered_DN, known = np.sort(window_ND, axis=0).T, [np.sort(group, axis=0).T for group in groups]

    def shares(rows_DM: Array, side: Literal["left", "right"]) -> Array:
        places = [np.searchsorted(a, b, side=side) for a, b in zip(rows_DM, ordered_DN, strict=True)]
        return np.stack(places, 1) / rows_DM.shape[1]

    above = [shares(ordered_DN, "right") - shares(rows_DM, "right") for rows_DM in known]
    below = [shares(rows_DM, "left") - shares(ordered_DN, "left") for rows_DM in known]
    return np.stack([np.stack(above, 2), np.stack(below, 2)])


def _mixtures(sizes: Array, steps: Array) -> Iterator[Array]:
    """Weights (G,) to try: all rows alike, each group alone, the newest first, and last the nearest mixture."""
    yield sizes / sizes.sum()
    if len(sizes) == 1:
        return
    yield from np.eye(len(sizes))[::-1]
    from scipy.optimize import linprog  # here, as it is slow to import, and a server should be ready soon

    # the least t such that rows · w ≤ t, with w ≥ 0 and Σ w = 1
    rows = steps.reshape(-1, len(sizes))
    goal, simplex = np.append(np.zeros(len(sizes)), 1.0), np.append(np.ones(len(sizes)), 0.0)[None]
    nearest = linprog(goal, np.column_stack([rows, -np.ones(len(rows))]), np.zeros(len(rows)), simplex, [1.0])
    if nearest.x is not None:
        yield np.asarray(nearest.x[:-1], dtype=np.float64)


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


def _thinned(values: Array, most: int) -> Array:
    return values if len(values) <= most else values[np.linspace(0, len(values) - 1, most).astype(int)]


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


def _scale(m: float, n: float) -> float:
    return math.sqrt(m * n / (m + n))
