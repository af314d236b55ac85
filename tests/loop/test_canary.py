"""Canaries: the same few, no false alarm however often one looks, and a bad one is taken back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelong.errors import SettingError
from lifelong.loop.canary import CanarySettings, Counts, anytime_bounds, is_canary, verdict


@given(st.text(max_size=20), st.floats(0, 100), st.floats(0, 100))
def test_a_key_that_is_in_stays_in(key: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert is_canary(key, high, "v2") or not is_canary(key, low, "v2")
    assert is_canary(key, low, "v2") == is_canary(key, low, "v2")
    assert not is_canary(key, 0, "v2")
    assert is_canary(key, 100, "v2")


def test_shares_hold_and_others_try_the_next_version() -> None:
    keys = [f"user {i}" for i in range(20_000)]
    first = np.array([is_canary(key, 10, "v2") for key in keys])
    second = np.array([is_canary(key, 10, "v3") for key in keys])
    assert first.mean() == pytest.approx(0.1, abs=0.01)
    assert (first & second).mean() == pytest.approx(0.01, abs=0.004)


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_bounds_are_never_wrong_more_often_than_stated_at_any_time(rate: float) -> None:
    generator = np.random.default_rng(0)
    ever = {"low": 0, "high": 0}
    for _ in range(120):
        hits = np.cumsum(generator.uniform(size=1000) < rate)
        looks = np.unique(np.geomspace(1, 1000, 40).astype(int))
        bounds = [anytime_bounds(int(hits[n - 1]), int(n), 0.1) for n in looks]
        ever["low"] += any(low > rate for low, _ in bounds)
        ever["high"] += any(high < rate for _, high in bounds)
    assert max(ever.values()) / 120 <= 0.12


def test_bounds_close_in() -> None:
    assert anytime_bounds(0, 0, 0.05) == (0.0, 1.0)
    assert anytime_bounds(0, 50, 0.05)[0] == 0.0
    assert anytime_bounds(50, 50, 0.05)[1] == 1.0
    widths = [np.diff(anytime_bounds(n // 5, n, 0.05))[0] for n in (10, 100, 1000, 10_000)]
    assert sorted(widths, reverse=True) == widths
    assert widths[-1] < 0.04
    # no hit in n: B(1, n + 1) (1 − p)^−n = 1 / risk
    n, risk = 40, 0.05
    assert anytime_bounds(0, n, risk)[1] == pytest.approx(1 - (risk / (n + 1)) ** (1 / n), abs=1e-6)


def run(canary_errors: float, canary_right: float, seed: int, settings: CanarySettings) -> str:
    """Requests one after the other, a look every 50; the champion fails 2 % and is right in 90 %."""
    generator = np.random.default_rng(seed)
    new = generator.uniform(size=6000) < 0.1
    errors = generator.uniform(size=6000) < np.where(new, canary_errors, 0.02)
    labelled = generator.uniform(size=6000) < 0.3
    right = labelled & (generator.uniform(size=6000) < np.where(new, canary_right, 0.9))
    for seen in range(50, 6001, 50):
        champion, canary = (
            Counts(*(int((some & mine)[:seen].sum()) for some in (mine, errors, labelled, right)))
            for mine in (~new, new)
        )
        said = verdict(settings, champion, canary)
        if said.kind != "wait":
            return said.kind
    return "wait"


def test_a_good_canary_is_hardly_ever_taken_back_and_a_bad_one_is() -> None:
    settings = CanarySettings(enough=500)
    assert sum(run(0.02, 0.9, seed, settings) == "back" for seed in range(20)) <= 2
    assert sum(run(0.25, 0.9, seed, settings) == "back" for seed in range(5)) == 5, "errors"
    assert sum(run(0.02, 0.3, seed, settings) == "back" for seed in range(5)) == 5, "accuracy"


def test_verdicts_say_why() -> None:
    settings = CanarySettings(enough=100)
    assert verdict(settings, Counts(), Counts()).kind == "wait"
    assert verdict(settings, Counts(1000, 10, 0, 0), Counts(100, 1, 0, 0)).kind == "done"
    back = verdict(settings, Counts(1000, 10, 500, 450), Counts(99, 1, 90, 30))
    assert back.kind == "back"
    assert "wrong answers: 60 of 90 with the canary, 50 of 500" in back.reason
    allowed = CanarySettings(enough=50, max_accuracy_loss=0.7)
    assert verdict(allowed, Counts(1000, 10, 500, 450), Counts(99, 1, 90, 30)).kind == "done"
    with pytest.raises(SettingError, match="percent"):
        CanarySettings(percent=200)
