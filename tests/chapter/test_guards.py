"""Curvature along single weights against closed forms, the five methods in one chain, and what is shown."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from lifelong.chapter.geometry import drawn, loss_along, rank_correlation, second_differences, task_loss
from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons.guards import FACTORS, GUARDS, MEASURED, SWEPT
from lifelong.methods import build
from lifelong.streams import Stream
from lifelong.training import Learner


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


def test_what_is_shown() -> None:
    forgets = [[0.1, 0.1], [0.9, 0.1], [0.4, 0.8]]
    refuses = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.2]]
    joint = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]
    values = {"bounds": {"finetune": [forgets], "joint": [joint]}}
    for method in SWEPT:
        values[method] = {f"{factor:g}": [refuses if math.isinf(factor) else forgets] for factor in FACTORS[1:]}
    guards = {method: [1.0, 2.0, 0.0] for method in MEASURED}
    values["curvature"] = {"measured": [1.0, 3.0, 0.0], "guards": guards, "chosen": [2, 0, 1], "parameters": 26122}
    values["curvature"] |= {"moves": [-1.0, 0.0, 1.0], "losses": [[0.1] * 3, [0.6, 0.1, 0.6], [1.6, 0.1, 1.6]]}
    shown = GUARDS.show(Setup(), values)
    rows = {row[0]: row[1:] for row in shown.tables[0].in_language("en")[2]}
    assert rows["ewc"] == ["1.000", "1", "2"]
    rows = {row[0]: set(row[1:]) for row in shown.tables[1].in_language("zh")[2]}
    assert rows["0"] == rows["1"] == {"50.0 / 5.0"}
    assert rows["∞"] == {"0.0 / 35.0"}
    moves, scatters, trade, strength = (picture.draw("zh") for picture in shown.pictures)
    measured, guess = moves.axes[2].lines
    assert np.asarray(measured.get_ydata()) == pytest.approx(np.array([1.5, 0, 1.5]))
    assert np.asarray(guess.get_ydata()) == pytest.approx(np.array([1.0, 0, 1.0]))
    assert len(scatters.axes) == len(MEASURED)
    assert np.asarray(trade.axes[0].lines[2].get_xydata())[[0, -1]] == pytest.approx(np.array([[50, 5], [0, 35]]))
    assert strength.axes[0].get_xticklabels()[-1].get_text() == "∞"
