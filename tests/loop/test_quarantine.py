"""Quarantine: what each rule holds back, and that drift by itself is never a reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lifelong.errors import DataError, SettingError
from lifelong.loop.quarantine import (
    Claim,
    Example,
    Known,
    Normal,
    Quarantined,
    Rules,
    Tally,
    conflicts,
    judge,
    suspects,
)
from lifelong.streams.sources import digits
from lifelong.streams.transforms import rotate


def rule_of(verdict: Quarantined | None) -> str | None:
    return None if verdict is None else verdict.rule


def test_rate() -> None:
    rules = Rules(rate=3, seconds=10)
    example = Example([0.0], 1, "ann")
    assert judge(rules, example, 1, Known(recent=2)) is None
    assert rule_of(judge(rules, example, 1, Known(recent=3))) == "rate"
    assert judge(Rules(rate=0), example, 1, Known(recent=10**6)) is None


def test_sources_that_disagree_about_an_input_all_wait() -> None:
    claims = [
        Claim("a", "ann", 1),
        Claim("a", "bob", 7),
        Claim("b", "ann", 2),
        Claim("b", "ann", 3),
        Claim("a", "eve", 1),
    ]
    assert sorted(conflicts(Rules(), claims)) == [0, 1, 4]
    assert {verdict.rule for verdict in conflicts(Rules(), claims).values()} == {"conflict"}
    assert conflicts(Rules(conflicts=False), claims) == {}


def test_a_sure_champion_is_a_reason_only_where_one_asks_for_it() -> None:
    sure = Example([0.0], 1, "ann", answer=7, confidence=0.999)
    assert judge(Rules(), sure, 1, Known()) is None, "where inputs drift it is confidently wrong"
    assert rule_of(judge(Rules(contradicts=0.99), sure, 1, Known())) == "contradiction"
    assert judge(Rules(contradicts=0.99), Example([0.0], 1, "ann", 1, 0.999), 1, Known()) is None


def test_outliers_are_no_digits_and_turned_digits_are_no_outliers() -> None:
    source = digits()
    normal = Normal.of(source.train_x, Rules().outlier)
    generator = torch.Generator().manual_seed(0)

    def rate(x: torch.Tensor) -> float:
        verdicts = [judge(Rules(), Example(one, 0), 0, Known(normal=normal)) for one in x.numpy()]
        return float(np.mean([rule_of(verdict) == "outlier" for verdict in verdicts]))

    assert rate(source.test_x) <= 0.003
    assert rate(rotate(source.test_x, 90)) <= 0.003
    assert rate(rotate(source.test_x, 30)) <= 0.01
    assert rate(1 - source.test_x) == 1.0
    assert rate(source.test_x * 16) == 1.0
    assert rate(torch.zeros(1, 1, 8, 8)) == 1.0
    assert rate(torch.rand(50, 1, 8, 8, generator=generator)) >= 0.2
    assert judge(Rules(outlier=0.0), Example(np.zeros((1, 8, 8)), 0), 0, Known(normal=normal)) is None
    blank = judge(Rules(), Example(np.zeros((1, 8, 8)), 0), 0, Known(normal=normal))
    assert blank is not None
    assert blank.reason.startswith("unlike known inputs: mean 0, spread 0")
    with pytest.raises(DataError, match="20 known inputs or more"):
        Normal.of(source.test_x[:19], 0.001)


def flipped_lot(seed: int, drift: float, sources: int = 6, each: int = 40) -> dict[str, Tally]:
    """Honest sources differ from the champion with the rate `drift`; `eve` sends another label than the true one."""
    generator = np.random.default_rng(seed)
    champion_wrong = generator.uniform(size=(sources, each)) < drift
    tallies = {f"user {i}": Tally(each, int(champion_wrong[i].sum())) for i in range(1, sources)}
    # a wrong label differs from a right answer always, from a wrong one in 8 of 9 cases
    differs = ~champion_wrong[0] | (generator.uniform(size=each) < 8 / 9)
    return {**tallies, "eve": Tally(each, int(differs.sum()))}


@pytest.mark.parametrize("drift", [0.02, 0.1, 0.4])
def test_a_source_that_flips_labels_is_found_and_nobody_else(drift: float) -> None:
    found = [set(suspects(Rules(), flipped_lot(seed, drift))) for seed in range(100)]
    assert all("eve" in names for names in found)
    assert sum(names != {"eve"} for names in found) <= 1


def test_when_everyone_drifts_nobody_is_suspect() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        tallies = {f"user {i}": Tally(40, int((generator.uniform(size=40) < 0.85).sum())) for i in range(6)}
        assert suspects(Rules(), tallies) == {}


def test_one_who_sends_most_of_all_does_not_hide_itself() -> None:
    assert list(suspects(Rules(), {"ann": Tally(20, 1), "bob": Tally(20, 0), "eve": Tally(400, 390)})) == ["eve"]
    loud = {"ann": Tally(20, 1), "bob": Tally(20, 0), "eve": Tally(400, 200)}
    assert list(suspects(Rules(), loud)) == ["eve"], "compared with the others, not with a crowd of which it is half"
    two = {"ann": Tally(60, 3), "bob": Tally(60, 2), "eve": Tally(60, 58), "mallory": Tally(60, 50)}
    assert set(suspects(Rules(), two)) == {"eve", "mallory"}


def test_too_few_labels_are_no_evidence() -> None:
    assert suspects(Rules(), {"eve": Tally(7, 7), "ann": Tally(100, 0)}) == {}
    assert suspects(Rules(), {"eve": Tally(500, 500)}) == {}, "alone there is nobody to compare with"
    assert suspects(Rules(suspicion=0), {"eve": Tally(50, 50), "ann": Tally(100, 0)}) == {}
    verdict = judge(Rules(), Example([0.0], 1, "eve"), 1, Known(source=Tally(8, 8), others=Tally(100, 2)))
    assert rule_of(verdict) == "suspect source"
    assert verdict is not None
    assert "8 of 8 labels" in verdict.reason


def test_rules_are_in_range() -> None:
    for settings in ({"rate": -1}, {"seconds": 0}, {"outlier": 2.0}, {"suspicion": -0.1}, {"least": 0}):
        with pytest.raises(SettingError, match=next(iter(settings))):
            Rules(**settings)  # pyrefly: ignore
