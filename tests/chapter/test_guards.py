"""Curvature along single weights against closed forms, the five methods in one chain, and what is shown."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from lifelong.chapter.geometry import drawn, loss_along, rank_correlation, second_differences, task_loss
from lifelong.chapter.learning import data_stream
from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons import guards
from lifelong.chapter.lessons.guards import FACTORS, GUARDS, MEASURED, SWEPT
from lifelong.chapter.shown import Claim, Shown
from lifelong.methods import METHODS, build
from lifelong.streams import Stream
from lifelong.training import Learner, Training


@pytest.mark.parametrize("model", ["linear", "mlp:7"])
def test_the_curvature_of_a_network_of_relus_is_its_fisher(model: str, clouds: Callable[..., Stream]) -> None:
    """Such a network is piecewise linear in any single weight, so ∂²L/∂θ_i² has no other term (Martens 2020, 9.2)."""
    tasks = clouds("domain")
    learner = Learner(model, build("ewc"), tasks.space, epochs=3)
    learner.learn(tasks.task(1))
    theta_P, every = learner.flat.theta_P.detach().double(), np.arange(len(learner.flat))
    loss = task_loss(learner, tasks.task(1).train, torch.float64)
    found = second_differences(loss, theta_P, every, 1e-4)
    fisher = learner.state.importance_P.double().numpy()
    agreeing = np.isclose(found, fisher, rtol=1e-3, atol=1e-6)
    assert agreeing.mean() > 0.97  # a few moves cross a kink
    assert rank_correlation(found[agreeing], fisher[agreeing]) == pytest.approx(1, abs=0.01)


def test_one_weight_is_moved_and_no_other() -> None:
    theta_P = torch.arange(4, dtype=torch.float64)
    weights_P = torch.tensor([1.0, 10.0, 100.0, 1000.0], dtype=torch.float64)
    index_K, moves_M = np.array([1, 3]), np.array([-1.0, 0.0, 2.0])
    found = loss_along(lambda theta: theta @ weights_P, theta_P, index_K, moves_M)
    assert found.tolist() == [[3200.0, 3210.0, 3230.0], [2210.0, 3210.0, 5210.0]]


def test_the_draw_is_the_seeds_and_without_repetition() -> None:
    first = drawn(1000, 50, seed=1)
    assert np.array_equal(first, drawn(1000, 50, seed=1))
    assert not np.array_equal(first, drawn(1000, 50, seed=2))
    assert len(np.unique(first)) == 50
    assert np.array_equal(first, np.sort(first))


def test_ranks_share_places_and_know_no_scale() -> None:
    assert rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([-1.0, -8.0, -9.0])) == -1
    assert rank_correlation(np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 9.0])) == 1
    assert rank_correlation(np.array([1.0, 2.0]), np.zeros(2)) is None


def test_in_the_first_task_a_chain_of_springs_is_each_of_them_alone(clouds: Callable[..., Stream]) -> None:
    task = clouds("domain").task(1)
    space = clouds("domain").space
    chain = Learner("mlp:5", build("+".join(MEASURED)), space, epochs=2)
    chain.learn(task)
    for method, state in zip(MEASURED, chain.state, strict=True):
        alone = Learner("mlp:5", build(method), space, epochs=2)
        alone.learn(task)
        assert torch.equal(alone.flat.theta_P, chain.flat.theta_P)
        if method != "scp":  # whose directions are drawn after other draws
            springs = [s if hasattr(s, "importance_P") else s.spring for s in (state, alone.state)]
            assert torch.equal(springs[0].importance_P, springs[1].importance_P)


def test_at_infinity_only_parameters_without_importance_move(clouds: Callable[..., Stream]) -> None:
    tasks = clouds("domain")
    for method in SWEPT:
        learner = Learner("mlp:9", build(method, {"strength": math.inf}), tasks.space, epochs=3)
        learner.learn(tasks.task(1))
        before_P = learner.flat.theta_P.detach().clone()
        spring = learner.state if hasattr(learner.state, "importance_P") else learner.state.spring
        guarded_P = spring.importance_P > 0
        learner.learn(tasks.task(2))
        assert torch.equal(learner.flat.theta_P[guarded_P], before_P[guarded_P])


def test_the_share_that_is_free_at_infinity_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    short = data_stream(Setup(), "rotated", tasks=2, angles=(0.0, 60.0), samples=100)
    monkeypatch.setattr(guards, "_life", lambda setup, seed: (short, "mlp:16", Training(epochs=2, batch=32, lr=0.1)))
    ewc, l2 = (guards._frozen(Setup(), method, 0) for method in ("ewc", "l2"))
    assert (l2["free"], l2["moved"], l2["woken"]) == ([0.0], 0.0, 0)
    assert np.array_equal(l2["inf"][1], l2["inf"][2])  # nothing can move: R does not change
    assert ewc["moved"] == 0
    off = (short.task(1).train.x == 0).all(0).double().mean()
    assert ewc["free"][0] > 0.5 * float(off) * 64 * 16 / (64 * 16 + 16 + 16 * 10 + 10)  # weights of pixels never on


FORGETS = [[0.1, 0.1], [0.9, 0.1], [0.4, 0.8]]
REFUSES = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.2]]
BETWEEN = [[0.1, 0.1], [0.9, 0.1], [0.8, 0.7]]
JOINT = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]


def values(
    between: list[list[float]] = BETWEEN, end: list[list[float]] = REFUSES, seeds: int = 1, noise: float = 0.0
) -> dict[str, dict[str, object]]:
    """Values of all parts: every strength between the extremes gives the matrix `between`, b → ∞ gives `end`."""
    rng = np.random.default_rng(0)

    def runs(matrix: list[list[float]]) -> list[list[list[float]]]:
        return [np.clip(matrix + noise * rng.standard_normal((3, 2)), 0, 1).tolist() for _ in range(seeds)]

    parts: dict[str, dict[str, object]] = {"bounds": {"finetune": runs(FORGETS), "joint": runs(JOINT)}}
    for method in SWEPT:
        parts[method] = {f"{factor:g}": runs(between) for factor in FACTORS[1:-1]}
        parts[method] |= {"inf": runs(end), "free": [[0.1]] * seeds, "moved": [0.0] * seeds, "woken": [2] * seeds}
    assigned = {method: [1.0, 2.0, 0.0, *range(3, 40)] for method in MEASURED}
    parts["curvature"] = {"measured": [1.0, 3.0, 0.0, *range(4, 41)], "guards": assigned, "parameters": 26122}
    parts["curvature"] |= {"chosen": [2, 0, 1], "local": [0.0, 1.0, 2.0]}
    parts["curvature"] |= {"moves": [-1.0, 0.0, 1.0], "losses": [[0.1] * 3, [0.6, 0.1, 0.6], [1.6, 0.1, 1.6]]}
    return parts


def test_what_is_shown() -> None:
    shown = GUARDS.show(Setup(), values())
    penalty, ranks, strengths = shown.tables
    assert "λ Σᵢ bᵢ (θᵢ − θᵢᵇ)²" in penalty.caption.en
    halves = {row[0]: row[2:] for row in penalty.in_language("en")[2]}
    assert halves["ewc"] == ["strength / 2", f"{METHODS['ewc']().strength:g}"]
    assert {method for method, (factor, _) in halves.items() if factor == "strength / 2"} == {"l2", "ewc"}
    rows = {row[0]: row[1:] for row in ranks.in_language("en")[2]}
    assert rows["ewc"] == ["1.000", "20", "39"]
    rows = {row[0]: set(row[1:]) for row in strengths.in_language("zh")[2]}
    assert rows["0"] == {"50.0 / 5.0"}
    assert rows["1"] == {"10.0 / 10.0"}
    assert rows["∞"] == {"0.0 / 35.0"}
    moves, scatters, trade, strength = (picture.draw("zh") for picture in shown.pictures)
    measured, guess = moves.axes[2].lines
    assert np.asarray(measured.get_ydata()) == pytest.approx(np.array([1.5, 0, 1.5]))
    assert np.asarray(guess.get_ydata()) == pytest.approx(np.array([1.0, 0, 1.0]))
    assert len(scatters.axes) == len(MEASURED)
    assert np.asarray(trade.axes[0].lines[2].get_xdata())[[0, -1]] == pytest.approx(np.array([50, 0]))
    assert strength.axes[0].get_xticklabels()[-1].get_text() == "∞"


def claims(shown: Shown) -> dict[str, Claim]:
    ranks, parabola, extremes, frozen, *strengths = shown.claims
    first = {"ranks": ranks, "parabola": parabola, "extremes": extremes, "frozen": frozen}
    return {**first, **dict(zip(SWEPT, strengths, strict=True))}


def test_claims_hold_on_numbers_that_bear_them() -> None:
    fit = values()
    fit["curvature"]["chosen"] = [0, 1, 1]
    fit["curvature"]["local"] = [1.0, 2.0, 2.0]
    found = claims(GUARDS.show(Setup(), fit))
    assert all(claim.holds for claim in found.values())
    assert "ewc 1.00, si 1.00" in found["ranks"].sentence.en
    assert "Over ±0.1 it is 1.00, 0.67, 0.67" in found["parabola"].sentence.en
    assert "50.0 points and intransigence 5.0; with b → ∞ forgetting is 0.0 … 0.0" in found["extremes"].sentence.en
    assert found["frozen"].sentence.en == "With b → ∞ no method forgets anything."
    assert found["l2"].sentence.en.startswith(
        "l2: the best strength lies between the extremes in this run: 60.0 % at 0"
    )


def test_claims_are_not_stated_on_numbers_that_deny_them() -> None:
    bad = values(between=FORGETS, end=[[0.1, 0.1], [0.9, 0.1], [0.3, 0.8]])
    bad["curvature"]["guards"] = {method: [0.0] * 40 for method in MEASURED}
    found = claims(GUARDS.show(Setup(), bad))
    assert [name for name, claim in found.items() if claim.holds] == ["frozen"]
    assert "above 0 for none only" in found["ranks"].sentence.en
    assert "does not measure the curvature" in found["parabola"].sentence.en
    assert "not clear for ewc, si, mas, rwalk, scp, l2" in found["extremes"].sentence.en
    frozen = found["frozen"].sentence
    assert "ewc 60.0, si 60.0" in frozen.en
    assert "(percent: ewc 10.0, si 10.0" in frozen.en
    assert "（个数：ewc 2、si 2" in frozen.zh
    for key, value in (("moved", 0.3), ("free", [0.0])):
        worse = {**bad, "mas": {**bad["mas"], key: [value]}}
        assert not claims(GUARDS.show(Setup(), worse))["frozen"].holds
    assert "没有哪个强度同时好于两个极端" in found["ewc"].sentence.zh


def test_a_strength_is_chosen_on_the_other_seeds() -> None:
    lucky = np.array([[0.9, 0.1, 0.1], [0.5, 0.5, 0.4]])
    assert guards._chosen(lucky).tolist() == [0.5, 0.1, 0.1]
    assert guards._chosen(lucky[:, :1]).tolist() == [0.9]


def test_with_several_seeds_a_difference_needs_its_interval() -> None:
    clear = claims(GUARDS.show(Setup(full=True), values(seeds=5, noise=0.001)))
    vague = claims(GUARDS.show(Setup(full=True), values(FORGETS, FORGETS, seeds=5, noise=0.1)))
    assert clear["ewc"].holds
    assert clear["extremes"].holds
    assert sum(vague[method].holds for method in SWEPT) <= 1  # one in forty, of six
    above = [guards._above(np.array(each)) for each in ([0.1, 0.12, 0.11], [0.1, 0.4, -0.1], [0.01], [0.0])]
    assert above == [True, False, True, False]
    assert not vague["extremes"].holds
    assert "in the mean of 5 seeds" in clear["ewc"].sentence.en
