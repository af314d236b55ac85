"""Paired comparisons: published values, a slow independent score, and how often the claims are wrong."""

from __future__ import annotations

from itertools import pairwise
from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import multinomial, norm

from lifelong.loop.paired import (
    Pairs,
    bounds,
    critical_score,
    is_above,
    mcnemar,
    pass_probability,
    root,
    score,
    smallest_margin,
)

counts = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 60)).filter(lambda c: sum(c) > 0)


def test_values_of_the_recommendations_for_paired_proportions() -> None:
    """Airway responsiveness of 21 children before and after a transplantation (Fagerland, Lydersen & Laake 2014)."""
    children = Pairs(gained=1, lost=7, n=21)
    low, high = bounds(children, 0.975)
    assert (round(low, 3), round(high, 3)) == (-0.517, -0.026)
    assert round(mcnemar(children), 4) == 0.0703
    assert round(2 * norm.sf(score(7, 1, 21, 0.0)), 4) == 0.0339


def slow_score(pairs: Pairs, margin: float) -> float:
    """The statistic with the most likely q found by search instead of Tango's formula."""
    b, c, n = pairs.gained, pairs.lost, pairs.n

    def unlikely(q: float) -> float:
        cells = np.array([q + margin, q, 1 - 2 * q - margin])
        return -float((np.array([b, c, n - b - c]) * np.log(np.maximum(cells, 1e-300))).sum())

    found = minimize_scalar(
        unlikely, bounds=(max(0.0, -margin), (1 - margin) / 2), method="bounded", options={"xatol": 1e-11}
    )
    return float((b - c - n * margin) / sqrt(n * (2 * found.x + margin - margin**2)))


@pytest.mark.parametrize("margin", [-0.3, -0.05, 0.02, 0.2])
@pytest.mark.parametrize("pairs", [Pairs(3, 7, 40), Pairs(12, 2, 60), Pairs(5, 5, 30)])
def test_the_formula_finds_the_most_likely_rate(pairs: Pairs, margin: float) -> None:
    assert score(pairs.gained, pairs.lost, pairs.n, margin) == pytest.approx(slow_score(pairs, margin), abs=1e-4)


@given(counts)
def test_bounds_are_where_the_score_says_and_mirror_each_other(cells: tuple[int, int, int]) -> None:
    pairs = Pairs(cells[0], cells[1], sum(cells))
    low, high = bounds(pairs, 0.95)
    assert -1 <= low <= pairs.difference <= high <= 1
    mirrored = bounds(pairs.swapped(), 0.95)
    assert (-mirrored[1], -mirrored[0]) == (pytest.approx(low, abs=1e-7), pytest.approx(high, abs=1e-7))
    grid = [float(score(pairs.gained, pairs.lost, pairs.n, margin)) for margin in np.linspace(-0.999, 0.999, 41)]
    assert all(left >= right - 1e-9 for left, right in pairwise(grid)), "the score only falls"
    if low > -0.99:
        assert score(pairs.gained, pairs.lost, pairs.n, low) == pytest.approx(norm.ppf(0.95), abs=1e-5)


@given(st.integers(1, 500), st.floats(0.6, 0.999))
def test_without_a_disagreement_the_bounds_are_closed_forms(n: int, confidence: float) -> None:
    z = norm.ppf(confidence)
    low, high = bounds(Pairs(0, 0, n), confidence)
    assert high == pytest.approx(z**2 / (n + z**2), abs=1e-6)
    assert low == pytest.approx(-high, abs=1e-6)


def chances(n: int, gained: float, lost: float) -> tuple[np.ndarray, np.ndarray]:
    """Every outcome (b, c) of an exam of n, and its probability by SciPy's multinomial."""
    cells = np.array([(b, c, n - b - c) for b in range(n + 1) for c in range(n + 1 - b)])
    return cells, multinomial.pmf(cells, n, [gained, lost, 1 - gained - lost])


@pytest.mark.parametrize("margin", [-0.2, -0.05, 0.0, 0.1])
@pytest.mark.parametrize("n", [12, 30, 57])
def test_a_claim_is_wrong_at_most_as_often_as_stated(n: int, margin: float) -> None:
    """Exact, by summing over all outcomes, also for rates of disagreement between those that were searched."""
    level, wrong = 0.045, []
    for rate in abs(margin) + np.linspace(0.002, 0.4, 33):
        cells, chance = chances(n, (rate + margin) / 2, (rate - margin) / 2)
        claims = score(cells[:, 0], cells[:, 1], n, margin) >= critical_score(n, margin, level)
        wrong.append(float(chance[claims].sum()))
    assert max(wrong) <= 1.02 * level
    assert max(wrong) >= 0.3 * level, "it is not stricter than need be"


def test_beyond_the_exact_tests_the_claim_is_hardly_more_often_wrong() -> None:
    """By simulation, as SciPy cannot list the outcomes."""
    n, level, margin = 1200, 0.05, -0.05
    b, c, _ = np.random.default_rng(0).multinomial(n, [0.02, 0.07, 0.91], size=200_000).T
    assert np.mean(score(b, c, n, margin) >= critical_score(n, margin, level)) <= 0.0515


@pytest.mark.parametrize("n", [20, 67])
def test_the_probability_of_passing_is_the_sum_over_all_outcomes(n: int) -> None:
    cells, chance = chances(n, 0.03, 0.05)
    passing = [is_above(Pairs(int(b), int(c), n), -0.15, 0.05) for b, c, _ in cells]
    assert pass_probability(n, -0.15, 0.05, 0.03, 0.05) == pytest.approx(chance[passing].sum(), abs=1e-9)


@pytest.mark.parametrize(("n", "disagreement"), [(22, 0.05), (67, 0.2), (350, 0.1)])
def test_the_smallest_margin_is_the_smallest(n: int, disagreement: float) -> None:
    margin, half = smallest_margin(n, 0.05, disagreement, 0.95), disagreement / 2
    assert pass_probability(n, -margin, 0.05, half, half) >= 0.95
    assert pass_probability(n, -margin + 0.01, 0.05, half, half) < 0.95
    assert smallest_margin(1, 0.05, 0.1, 0.999) == 1.0, "one example shows nothing"


@given(counts, st.sampled_from([0.05, 0.1, 0.2]))
def test_the_bound_that_is_told_says_what_was_decided(cells: tuple[int, int, int], margin: float) -> None:
    pairs = Pairs(cells[0], cells[1], sum(cells))
    told = root(pairs, critical_score(pairs.n, -margin, 0.05))
    assert is_above(pairs, -margin, 0.05) == (told >= -margin - 1e-9)


def test_mcnemar_is_the_binomial() -> None:
    tail = sum(comb(9, k) for k in range(2)) / 2**9
    assert mcnemar(Pairs(1, 8, 50)) == pytest.approx(2 * tail)
    assert mcnemar(Pairs(0, 0, 50)) == 1.0


def test_pairs_count_what_differs() -> None:
    generator = np.random.default_rng(1)
    y, first, second = generator.integers(0, 3, size=(3, 200))
    pairs = Pairs.of(y, first, second)
    assert pairs.difference == pytest.approx((second == y).mean() - (first == y).mean())
    assert pairs + pairs.swapped() == Pairs(pairs.gained + pairs.lost, pairs.gained + pairs.lost, 400)
