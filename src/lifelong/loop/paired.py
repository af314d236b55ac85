"""Two learners that sat the same exam: how much better one is, with errors that hold for small exams too.

Of n examples b are right only with the second learner and c only with the first; the rest says nothing about the
difference Δ = (b − c) / n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lifelong.errors import require

__all__ = [
    "Pairs",
    "bounds",
    "critical_score",
    "is_above",
    "mcnemar",
    "pass_probability",
    "root",
    "score",
    "smallest_margin",
]

#: above so many examples the normal approximation is used: its error is then below 0.0005
EXACT = 1000
#: probabilities of a disagreement, beyond the least possible one, over which the worst case is searched
RATES = np.array([0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5])


@dataclass(frozen=True)
class Pairs:
    """Counts of an exam: `gained` b, `lost` c, out of `n`.

    >>> Pairs.of([1, 1, 0, 0], first=[1, 0, 0, 0], second=[1, 1, 0, 1])
    Pairs(gained=1, lost=1, n=4)
    """

    gained: int
    lost: int
    n: int

    @property
    def difference(self) -> float:
        """Accuracy of the second minus accuracy of the first."""
        return (self.gained - self.lost) / self.n

    @staticmethod
    def of(y: object, first: object, second: object) -> Pairs:
        """The counts for the labels `y` (N,) and both learners' answers (N,)."""
        y_N = np.asarray(y)
        right, right_too = np.asarray(first) == y_N, np.asarray(second) == y_N
        return Pairs(int((~right & right_too).sum()), int((right & ~right_too).sum()), len(y_N))

    def swapped(self) -> Pairs:
        """The same exam with the two learners changed over: its difference is −Δ."""
        return Pairs(self.lost, self.gained, self.n)

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs(self.gained + other.gained, self.lost + other.lost, self.n + other.n)


def _special() -> Any:
    from scipy import special  # here, as it is slow to import, and a server should be ready soon

    return special


def mcnemar(pairs: Pairs) -> float:
    """McNemar's exact p-value that both learners are equally good: two-sided binomial of b out of b + c at ½.

    >>> round(mcnemar(Pairs(gained=1, lost=8, n=50)), 4)
    0.0391

    Reference: McNemar 1947; exact form in Fagerland, Lydersen & Laake 2013, section on the exact conditional test.
    """
    tail = float(_special().bdtr(min(pairs.gained, pairs.lost), pairs.gained + pairs.lost, 0.5))
    return min(1.0, 2 * tail)


def score(gained: ArrayLike, lost: ArrayLike, n: int, margin: float) -> NDArray[np.float64]:
    """Tango's score statistic of Δ = `margin`, which is McNemar's (b − c) / √(b + c) at margin 0; arrays broadcast.

    z = (b − c − nΔ) / √(n (2q̃ + Δ(1 − Δ))), with q̃ the most likely probability of c where the difference is Δ.

    >>> float(score(10, 4, 60, 0.0)) == 6 / 14**0.5
    True

    Reference: Tango 1998, Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design, equations 4 to 6.
    """
    b, c = np.asarray(gained, dtype=np.float64), np.asarray(lost, dtype=np.float64)
    linear = (2 * n - b + c) * margin - b - c
    q = (np.sqrt(np.maximum(0.0, linear**2 + 8 * n * c * margin * (1 - margin))) - linear) / (4 * n)
    distance, variance = b - c - n * margin, n * (2 * q + margin * (1 - margin))
    flat = variance <= 1e-12 * n
    extreme = np.where(np.abs(distance) < 1e-9, 0.0, np.copysign(np.inf, distance))
    return np.where(flat, extreme, distance / np.sqrt(np.where(flat, 1.0, variance)))


def is_above(pairs: Pairs, margin: float, level: float) -> bool:
    """Whether Δ is shown to be above `margin`, wrongly so with probability `level` at most: an exact test.

    >>> is_above(Pairs(2, 3, 217), -0.05, 0.05), is_above(Pairs(2, 3, 40), -0.05, 0.05)
    (True, False)
    """
    return bool(score(pairs.gained, pairs.lost, pairs.n, margin) >= critical_score(pairs.n, margin, level))


@lru_cache(maxsize=4096)
def critical_score(n: int, margin: float, level: float) -> float:
    """The score from which Δ > `margin` is claimed, so that the claim is wrong with probability `level` at most.

    The worst case over the probability of a disagreement, on a grid, by summing over all outcomes: an unconditional
    exact test. Beyond 1,000 examples it is the quantile of the normal distribution.

    Reference: Hsueh, Liu & Chen 2001, Unconditional exact tests for equivalence or noninferiority for paired binary
    endpoints.
    """
    require(n >= 1, "expected an exam of at least one example, got none")
    normal = float(_special().ndtri(1 - level))
    if n > EXACT:
        return normal
    worst = -math.inf
    for rate in np.minimum(abs(margin) + RATES, 1.0):
        gained, lost, chance = _outcomes(n, (rate + margin) / 2, (rate - margin) / 2)
        scores = score(gained, lost, n, margin)
        order = np.argsort(-scores, kind="stable")
        tail = np.cumsum(chance[order])
        place = int(np.searchsorted(tail, level, side="right"))  # the first outcome that would make it too likely
        if place < len(order):
            last = scores[order[place]]
            higher = scores[(scores > last + 1e-9) & np.isfinite(scores)]
            worst = max(worst, float(last + higher.min()) / 2 if len(higher) else float(last) + 0.1)
    return worst


def pass_probability(n: int, margin: float, level: float, gained: float, lost: float) -> float:
    """The probability that `is_above` holds where each answer is gained and lost with these probabilities.

    >>> round(pass_probability(217, -0.05, 0.05, gained=0.025, lost=0.025), 2)
    0.91
    """
    b, c, chance = _outcomes(n, gained, lost)
    return min(1.0, float(chance[score(b, c, n, margin) >= critical_score(n, margin, level)].sum()))


def bounds(pairs: Pairs, confidence: float) -> tuple[float, float]:
    """A lower and an upper bound of Δ; each of the two holds with about `confidence`.

    The Δ that the score test does not reject. Its errors are near what is stated even for 20 examples: where 0.05 is
    stated it is wrong in 0.04 to 0.06 of exams on average over the rates of disagreement, 0.075 at worst. An exam
    without a disagreement bounds Δ by ±z² / (n + z²).

    >>> low, high = bounds(Pairs(gained=0, lost=0, n=52), 0.95)
    >>> round(low, 4), round(high, 4)
    (-0.0495, 0.0495)
    """
    require(pairs.n >= 1, "expected an exam of at least one example, got none")
    z = float(_special().ndtri(confidence))
    return root(pairs, z), root(pairs, -z)


@lru_cache(maxsize=4096)
def smallest_margin(n: int, level: float, disagreement: float, chance: float) -> float:
    """The smallest fall that an exam of n can rule out, in steps of 0.01.

    A learner that is exactly as good, and differs on this fraction of answers, is shown to have fallen by less with the
    probability `chance` or more. 1 where no margin does that.

    >>> smallest_margin(350, 0.05, disagreement=0.05, chance=0.9), smallest_margin(22, 0.05, 0.05, 0.9)
    (0.04, 0.2)
    """
    special = _special()
    first = (special.ndtri(1 - level) + special.ndtri(chance)) * math.sqrt(disagreement / n)
    for step in range(max(1, int(70 * first)), 100):
        margin = step / 100
        if pass_probability(n, -margin, level, disagreement / 2, disagreement / 2) >= chance:
            return margin
    return 1.0


def root(pairs: Pairs, z: float) -> float:
    """The Δ whose score is `z`; the score falls from Δ = −1 to Δ = 1."""
    from scipy.optimize import brentq  # here, as it is slow to import, and a server should be ready soon

    def above(margin: float) -> float:
        return float(score(pairs.gained, pairs.lost, pairs.n, margin)) - z

    edge = 1 - 1e-9
    if above(-edge) <= 0:
        return -1.0
    if above(edge) >= 0:
        return 1.0
    solution: Any = brentq(above, -edge, edge, xtol=1e-10)
    return float(solution)


def _outcomes(
    n: int, gained: float, lost: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """All likely counts (b, c) of an exam of n, and their probabilities; 7 standard deviations about the mean."""
    special = _special()

    def likely(p: float) -> NDArray[np.float64]:
        half = 7 * math.sqrt(n * p * (1 - p)) + 8
        return np.arange(max(0, math.floor(n * p - half)), min(n, math.ceil(n * p + half)) + 1, dtype=np.float64)

    gained, lost = max(gained, 0.0), max(lost, 0.0)
    b, c = (grid.ravel() for grid in np.meshgrid(likely(gained), likely(lost)))
    inside = b + c <= n
    b, c = b[inside], c[inside]
    rest = n - b - c
    log_chance = special.gammaln(n + 1) - special.gammaln(b + 1) - special.gammaln(c + 1) - special.gammaln(rest + 1)
    for count, p in ((b, gained), (c, lost), (rest, max(0.0, 1 - gained - lost))):
        log_chance = log_chance + special.xlogy(count, p)
    return b, c, np.exp(log_chance)
