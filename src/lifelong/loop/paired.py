"""Two learners that sat the same exam: how much better one is, with bounds that hold for small exams too.

Of n examples b are right only with the second learner and c only with the first; the rest says nothing about the
difference Δ = (b − c) / n. Suffix N: examples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lifelong.errors import require

__all__ = ["PairedTest", "Pairs", "bounds", "holm", "mcnemar", "p_above", "smallest_exam"]

PairedTest = Literal["mcnemar", "bootstrap"]

RESAMPLES = 10_000


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


def score(pairs: Pairs, margin: float) -> float:
    """Tango's score statistic of Δ = `margin`, which is McNemar's (b − c) / √(b + c) at margin 0.

    z = (b − c − nΔ) / √(n (2q̃ + Δ(1 − Δ))), with q̃ the most likely probability of c where the difference is Δ.

    >>> score(Pairs(gained=10, lost=4, n=60), 0.0) == 6 / 14**0.5
    True

    Reference: Tango 1998, Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design, equations 4 to 6.
    """
    b, c, n = pairs.gained, pairs.lost, pairs.n
    linear = (2 * n - b + c) * margin - b - c
    q = (math.sqrt(max(0.0, linear**2 + 8 * n * c * margin * (1 - margin))) - linear) / (4 * n)
    distance, variance = b - c - n * margin, n * (2 * q + margin * (1 - margin))
    if variance <= 1e-12 * n:
        return 0.0 if abs(distance) < 1e-9 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def bounds(pairs: Pairs, confidence: float, test: PairedTest = "mcnemar", seed: int = 0) -> tuple[float, float]:
    """A lower and an upper bound of Δ; each of the two holds with `confidence`.

    `mcnemar`: the Δ that the score test does not reject. Its errors are near what is stated even for 20 examples: where
    0.05 is stated it is wrong in 0.04 to 0.06 of exams on average over the rates of disagreement, 0.075 at worst. An
    exam without a disagreement bounds Δ by ±z² / (n + z²).

    `bootstrap`: quantiles over 10,000 resampled exams, to which half an example per cell is added (Agresti & Min 2005).
    Without it an exam without a disagreement would claim Δ = 0 exactly, and a fall of 0.05 would be ruled out wrongly
    in up to 0.36 of exams of 20, where 0.05 is stated; with it in up to 0.13. Take `mcnemar` unless exams are large.

    >>> low, high = bounds(Pairs(gained=0, lost=0, n=52), 0.95)
    >>> round(low, 4), round(high, 4)
    (-0.0495, 0.0495)
    """
    require(pairs.n >= 1, "expected an exam of at least one example, got none")
    if test == "bootstrap":
        draws = _resampled(pairs, seed)
        low = np.quantile(draws, 1 - confidence, method="lower")
        return float(low), float(np.quantile(draws, confidence, method="higher"))
    z = float(_special().ndtri(confidence))
    return _root(pairs, z), _root(pairs, -z)


def p_above(pairs: Pairs, margin: float, test: PairedTest = "mcnemar", seed: int = 0) -> float:
    """The p-value of "Δ is `margin` or less": small where Δ is shown to be above it.

    >>> p_above(Pairs(30, 2, 100), 0.0) < 1e-6, p_above(Pairs(5, 5, 100), 0.0)
    (True, 0.5)
    """
    if test == "bootstrap":
        return float((1 + (_resampled(pairs, seed) <= margin).sum()) / (1 + RESAMPLES))
    return float(_special().ndtr(-score(pairs, margin)))


def smallest_exam(fall: float, confidence: float) -> int:
    """The fewest examples with which a fall of at most `fall` can be shown at all: z²(1 − fall) / fall.

    >>> smallest_exam(0.05, 0.95), smallest_exam(0.02, 0.95)
    (52, 133)
    """
    z = float(_special().ndtri(confidence))
    return math.ceil(z**2 * (1 - fall) / fall - 1e-9)


def holm(p_values: list[float], level: float) -> list[bool]:
    """Which of several null hypotheses are rejected, so that one or more wrongly so has probability `level` at most.

    >>> holm([0.01, 0.04, 0.03], 0.05)
    [True, False, False]

    Reference: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    rejected = [False] * len(p_values)
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] > level / (len(p_values) - place):
            break
        rejected[index] = True
    return rejected


def _root(pairs: Pairs, z: float) -> float:
    """The Δ whose score is `z`; the score falls from Δ = −1 to Δ = 1."""
    from scipy.optimize import brentq  # here, as it is slow to import, and a server should be ready soon

    edge = 1 - 1e-9
    if score(pairs, -edge) <= z:
        return -1.0
    if score(pairs, edge) >= z:
        return 1.0

    def above(margin: float) -> float:
        return score(pairs, margin) - z

    root: Any = brentq(above, -edge, edge, xtol=1e-10)
    return float(root)


def _resampled(pairs: Pairs, seed: int) -> NDArray[np.float64]:
    counts = np.array([pairs.gained + 0.5, pairs.lost + 0.5, pairs.n - pairs.gained - pairs.lost + 1.0])
    draws = np.random.default_rng(seed).multinomial(pairs.n + 2, counts / counts.sum(), size=RESAMPLES)
    return np.asarray((draws[:, 0] - draws[:, 1]) / (pairs.n + 2), dtype=np.float64)
