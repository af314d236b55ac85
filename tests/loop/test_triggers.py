"""Triggers: each fires when it should, false alarms are as rare as stated, and turned digits are noticed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from lifelong.errors import DataError, SettingError
from lifelong.loop.drift import calibrate, distances, features
from lifelong.loop.firing import Facts, drifted, fallen, fired
from lifelong.loop.plain import plain
from lifelong.loop.triggers import (
    AccuracyFall,
    AllOf,
    Amount,
    AnyOf,
    ByHand,
    ConfidenceDrift,
    Every,
    InputDrift,
    Trigger,
    trigger_from,
)
from lifelong.streams.sources import digits
from lifelong.streams.transforms import rotate


def test_amount_time_and_hand() -> None:
    assert fired(Amount(5), Facts(waiting=4)) is None
    assert fired(Amount(5), Facts(waiting=5)) is not None
    assert fired(Every(60), Facts(waiting=1, seconds=59)) is None
    assert fired(Every(60), Facts(waiting=1, seconds=60)) is not None
    assert fired(Every(60), Facts(waiting=0, seconds=1e6)) is None, "nothing to learn"
    assert fired(ByHand(), Facts()) is None
    firing = fired(ByHand(), Facts(asked_by="ann"))
    assert firing is not None
    assert firing.evidence == {"asked_by": "ann"}


def test_any_and_all() -> None:
    both: tuple[Trigger, ...] = (Amount(5), ByHand())
    assert fired(AllOf(both), Facts(waiting=9)) is None
    firing = fired(AnyOf(both), Facts(waiting=9))
    assert firing is not None
    assert firing.evidence == {"of": [{"kind": "amount", "waiting": 9, "n": 5}]}
    nested = AllOf((AnyOf(both), AnyOf((Every(1),))))
    assert fired(nested, Facts(waiting=9, seconds=2)) is not None
    assert fired(nested, Facts(waiting=9, seconds=0)) is None


def test_a_fall_of_accuracy_has_its_binomial_confidence() -> None:
    trigger = AccuracyFall(window=100, fall=0.05, confidence=0.95)
    generator = np.random.default_rng(0)

    def rate(accuracy: float) -> float:
        runs = generator.uniform(size=(2000, 100)) < accuracy
        return float(np.mean([fallen(trigger, run.tolist(), 0.95) is not None for run in runs]))

    assert 0.02 <= rate(0.90) <= 0.05, "just the fall that is allowed (the binomial's steps keep it below 0.05)"
    assert rate(0.95) < 0.002
    assert rate(0.75) > 0.95
    assert fallen(trigger, [False] * 99, 0.95) is None, "the window is not full"
    assert fallen(trigger, [False] * 100 + [True] * 100, 0.95) is None, "the last ones count"


def test_what_a_window_showed_fires_its_trigger_alone_and_in_company() -> None:
    drift, fall = InputDrift(40), AccuracyFall(50)
    facts = Facts(waiting=9, found={drift: {"distance": 1.5}, fall: None})
    firing = fired(drift, facts)
    assert firing is not None
    assert firing.evidence == {"distance": 1.5}
    assert fired(fall, facts) is None, "nothing was found"
    assert fired(InputDrift(41), facts) is None, "its window is not full"
    assert fired(AllOf((drift, Amount(9))), facts) is not None
    assert fired(AllOf((drift, fall)), facts) is None


def test_distances_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    reference = np.round(generator.normal(size=(80, 4)), 1)  # with ties
    window = np.round(generator.normal(0.3, 1, size=(30, 4)), 1)
    expected = [ks_2samp(reference[:, d], window[:, d]).statistic for d in range(4)]
    assert distances(reference, window) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["one feature", "many that depend on each other", "ties"])
def test_false_alarms_are_as_rare_as_stated(kind: str) -> None:
    generator = np.random.default_rng(1)

    def draw(rows: int) -> np.ndarray:
        if kind == "one feature":
            return generator.normal(size=(rows, 1))
        if kind == "ties":
            return generator.integers(0, 4, size=(rows, 5)).astype(float)
        return generator.normal(size=(rows, 1)) + 0.5 * generator.normal(size=(rows, 12))

    alarms: list[bool] = []
    for seed in range(25):
        calibrated = calibrate([draw(300)], window=40, false_alarm=0.05, seed=seed)
        alarms += [calibrated.exceeded(draw(40)) is not None for _ in range(60)]
    assert np.mean(alarms) == pytest.approx(0.05, abs=0.025)


@pytest.mark.parametrize("shares", [(1, 0, 0), (0, 0, 1), (0.5, 0, 0.5), (0.2, 0.5, 0.3)])
def test_traffic_of_some_of_the_known_tasks_is_no_drift(shares: tuple[float, ...]) -> None:
    generator = np.random.default_rng(2)

    def draw(task: int, rows: int) -> np.ndarray:
        return generator.normal(3 * task, 1 + task, size=(rows, 1)) + 0.5 * generator.normal(size=(rows, 12))

    alarms: list[bool] = []
    for seed in range(10):
        known = [draw(task, 250) for task in range(3)]
        calibrated = calibrate(known, window=40, false_alarm=0.05, seed=seed)
        for _ in range(30):
            counts = generator.multinomial(40, shares)
            window = np.concatenate([draw(task, count) for task, count in enumerate(counts)])
            alarms.append(calibrated.exceeded(window) is not None)
    assert np.mean(alarms) <= 0.075
    assert calibrated.exceeded(draw(5, 40)) is not None, "a new world"
    assert calibrated.exceeded(-draw(1, 40)) is not None


def test_turned_digits_are_noticed_and_upright_ones_are_not() -> None:
    source = digits()
    order = torch.randperm(len(source.train_x), generator=torch.Generator().manual_seed(0))
    reference, later = source.train_x[order[:700]], source.train_x[order[700:]]
    trigger = InputDrift(window=50, false_alarm=0.01)
    before = calibrate([features(reference)], trigger.window, trigger.false_alarm)
    turned = rotate(later, 90)
    windows = [slice(start, start + 50) for start in range(0, 700, 50)]

    def rate(x: torch.Tensor) -> float:
        return float(np.mean([drifted(trigger, features(x[window]), before) is not None for window in windows]))

    assert rate(turned) == 1.0
    assert rate(later) <= 1 / 14


def test_confidence_drift_and_what_is_missing() -> None:
    generator = np.random.default_rng(0)
    trigger = ConfidenceDrift(window=40, false_alarm=0.01)
    before = calibrate([generator.beta(20, 1, size=400)], trigger.window, trigger.false_alarm)
    evidence = drifted(trigger, generator.beta(3, 2, size=60), before)
    assert evidence is not None
    assert evidence["distance"] > 1
    assert drifted(trigger, generator.beta(20, 1, size=60), before) is None
    assert drifted(trigger, np.zeros(39), before) is None, "the window is not full"
    assert drifted(trigger, (), before) is None, "nothing came"
    with pytest.raises(DataError, match="needs 80 finite rows"):
        calibrate([np.zeros(79)], window=40, false_alarm=0.01)
    with pytest.raises(DataError, match="finite"):
        calibrate([np.full(100, np.nan)], window=40, false_alarm=0.01)


def test_a_feature_that_never_varied_and_then_does_is_noticed() -> None:
    calibrated = calibrate([np.zeros((200, 2))], window=20, false_alarm=0.01)
    assert calibrated.exceeded(np.zeros((20, 2))) is None
    assert calibrated.exceeded(np.ones((20, 2))) is not None


def test_long_inputs_become_few_features_that_keep_drift_visible() -> None:
    generator = np.random.default_rng(0)
    before, same, other = (generator.normal(shift, 1, size=(200, 3, 16, 16)) for shift in (0.0, 0.0, 0.2))
    calibrated = calibrate([features(before)], window=100, false_alarm=0.01)
    assert calibrated.exceeded(features(same)) is None
    assert calibrated.exceeded(features(other)) is not None


def test_triggers_are_read_strictly() -> None:
    nested = AnyOf((AllOf((Amount(3), Every(2.5))), AccuracyFall(), InputDrift(), ConfidenceDrift(), ByHand()))
    assert trigger_from(plain(nested)) == nested
    for data, expected in (
        ({"kind": "amout", "n": 3}, "did you mean 'amount'"),
        ({"kind": "amount", "m": 3}, "known: n"),
        ({"kind": "amount", "n": "three"}, "Expected `int`, got `str`"),
        ({"kind": "amount", "n": 0}, "1 or more, got 0"),
        ({"kind": "amount"}, "'n'; give it"),
        ({"kind": "any", "triggers": [{"kind": "every", "secnds": 1}]}, "did you mean 'seconds'"),
        ({"kind": "any", "triggers": []}, "at least one"),
        ({"n": 3}, "expected an object with a kind"),
        ("amount", "expected an object with a kind"),
        ({"kind": "input-drift", "window": 2}, "10 or more"),
    ):
        with pytest.raises(SettingError, match=expected):
            trigger_from(data)
