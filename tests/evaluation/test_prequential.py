"""Test-then-train against slow loops from the formulas."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelong.errors import SettingError
from lifelong.evaluation import Prequential, fading_mean, windowed_mean

BATCHES = st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50)), min_size=1, max_size=20)


@given(BATCHES, st.floats(0.01, 1))
def test_a_fading_factor_counts_the_past_less(batches: list[tuple[float, int]], factor: float) -> None:
    values, weights = zip(*batches, strict=True)
    slow = []
    for i in range(len(values)):
        each = [weights[j] * factor ** (i - j) for j in range(i + 1)]
        slow.append(sum(w * values[j] for j, w in enumerate(each)) / sum(each))
    assert fading_mean(values, weights, factor).tolist() == pytest.approx(slow)


@given(BATCHES, st.integers(1, 30))
def test_a_window_counts_the_last_batches(batches: list[tuple[float, int]], window: int) -> None:
    values, weights = zip(*batches, strict=True)
    slow = [
        np.average(values[max(0, i - window + 1) : i + 1], weights=weights[max(0, i - window + 1) : i + 1])
        for i in range(len(values))
    ]
    assert windowed_mean(values, weights, window).tolist() == pytest.approx(slow, abs=1e-9)


def test_the_means_weigh_examples_and_outlive_json() -> None:
    tested = Prequential()
    tested.add(1, 30, 1.0, 0.5)
    tested.add(2, 10, 0.0, 2.5)
    assert (tested.mean_score, tested.mean_loss) == (0.75, 1.0)
    assert Prequential.from_json(json.loads(json.dumps(tested.to_json(), allow_nan=False))) == tested
    assert json.loads(json.dumps(Prequential().to_json(), allow_nan=False))["mean_score"] is None


@pytest.mark.parametrize("factor", [0.0, 1.5])
def test_a_factor_out_of_range_is_refused(factor: float) -> None:
    with pytest.raises(SettingError, match="fading factor"):
        fading_mean([1.0], [1], factor)
