"""Paired comparisons: published values, a slow independent score, and how often the bounds are wrong."""

from __future__ import annotations

from itertools import pairwise
from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import multinomial, norm

from lifelong.loop.paired import PairedTest, Pairs, bounds, holm, mcnemar, p_above, score, smallest_exam

counts = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 60)).filter(lambda c: sum(c) > 0)


def test_values_of_the_recommendations_for_paired_proportions() -> None:
    """Airway responsiveness of 21 children before and after a transplantation (Fagerland, Lydersen & Laake 2014)."""
    children = Pairs(gained=1, lost=7, n=21)
    low, high = bounds(children, 0.975)
    assert (round(low, 3), round(high, 3)) == (-0.517, -0.026)
    assert round(mcnemar(children), 4) == 0.0703
    assert round(2 * p_above(children.swapped(), 0.0), 4) == 0.0339


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
    assert score(pairs, margin) == pytest.approx(slow_score(pairs, margin), abs=1e-4)


@given(counts)
def test_bounds_are_where_the_score_says_and_mirror_each_other(cells: tuple[int, int, int]) -> None:
    pairs = Pairs(cells[0], cells[1], sum(cells))
    low, high = bounds(pairs, 0.95)
    assert -1 <= low <= pairs.difference <= high <= 1
    mirrored = bounds(pairs.swapped(), 0.95)
    assert (-mirrored[1], -mirrored[0]) == (pytest.approx(low, abs=1e-7), pytest.approx(high, abs=1e-7))
    grid = [score(pairs, margin) for margin in np.linspace(-0.999, 0.999, 41)]
    assert all(left >= right - 1e-9 for left, right in pairwise(grid)), "the score only falls"
    if low > -0.99:
        assert score(pairs, low) == pytest.approx(norm.ppf(0.95), abs=1e-5)


@given(st.integers(1, 500), st.floats(0.6, 0.999))
def test_without_a_disagreement_the_bounds_are_closed_forms(n: int, confidence: float) -> None:
    z = norm.ppf(confidence)
    low, high = bounds(Pairs(0, 0, n), confidence)
    assert high == pytest.approx(z**2 / (n + z**2), abs=1e-6)
    assert low == pytest.approx(-high, abs=1e-6)


@given(st.floats(0.005, 0.3), st.floats(0.8, 0.995))
def test_the_smallest_exam_is_the_smallest(fall: float, confidence: float) -> None:
    n = smallest_exam(fall, confidence)
    assert -bounds(Pairs(0, 0, n), confidence)[0] <= fall + 1e-8
    assert n == 1 or -bounds(Pairs(0, 0, n - 1), confidence)[0] > fall - 1e-8


@pytest.mark.parametrize(("test", "worst", "mean"), [("mcnemar", 0.076, 0.065), ("bootstrap", 0.14, 0.086)])
@pytest.mark.parametrize("margin", [-0.05, 0.0, 0.1])
def test_bounds_are_wrong_about_as_often_as_stated(test: PairedTest, worst: float, mean: float, margin: float) -> None:
    """Exact, by summing over all outcomes of an exam of 20, for many rates of disagreement."""
    n = 20
    cells = [(b, c, n - b - c) for b in range(n + 1) for c in range(n + 1 - b)]
    claims = np.array([bounds(Pairs(b, c, n), 0.95, test)[0] >= margin - 1e-12 for b, c, _ in cells])
    wrong = []
    for rate in np.linspace(max(abs(margin), 0.005), 0.4, 15):
        up, down = (rate + margin) / 2, (rate - margin) / 2
        wrong.append(float(multinomial.pmf(cells, n, [up, down, 1 - up - down])[claims].sum()))
    assert max(wrong) <= worst
    assert 0.01 <= np.mean(wrong) <= mean


def test_mcnemar_is_the_binomial() -> None:
    tail = sum(comb(9, k) for k in range(2)) / 2**9
    assert mcnemar(Pairs(1, 8, 50)) == pytest.approx(2 * tail)
    assert mcnemar(Pairs(0, 0, 50)) == 1.0


def test_the_bootstrap_is_the_same_for_a_seed_and_near_the_score_for_large_exams() -> None:
    pairs = Pairs(60, 20, 1000)
    assert bounds(pairs, 0.95, "bootstrap", seed=3) == bounds(pairs, 0.95, "bootstrap", seed=3)
    assert bounds(pairs, 0.95, "bootstrap") == pytest.approx(bounds(pairs, 0.95), abs=0.003)
    assert p_above(Pairs(30, 15, 500), 0.0, "bootstrap") == pytest.approx(p_above(Pairs(30, 15, 500), 0.0), abs=0.01)


def test_holm_keeps_the_rate_of_any_wrong_rejection() -> None:
    generator = np.random.default_rng(0)
    any_wrong = np.mean([any(holm(generator.uniform(size=8).tolist(), 0.05)) for _ in range(4000)])
    assert any_wrong == pytest.approx(0.05, abs=0.012)
    assert holm([0.001, 0.012, 0.014, 0.06], 0.05) == [True, True, True, False]
    assert holm([], 0.05) == []


def test_pairs_count_what_differs() -> None:
    generator = np.random.default_rng(1)
    y, first, second = generator.integers(0, 3, size=(3, 200))
    pairs = Pairs.of(y, first, second)
    assert pairs.difference == pytest.approx((second == y).mean() - (first == y).mean())
    assert pairs + pairs.swapped() == Pairs(pairs.gained + pairs.lost, pairs.gained + pairs.lost, 400)
