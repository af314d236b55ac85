"""PackNet: which weights a task keeps, answers with, and when there is no room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import lifelong
from lifelong.errors import SettingError
from lifelong.methods import PackNet, StreamSize
from lifelong.streams import Stream

from .isolating import learner_of


def test_packnet_keeps_the_largest_free_weights_of_each_layer(clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    method = PackNet(keep=0.3, train_fraction=0.5)
    learner = learner_of(method, stream)
    weights = ["backbone.1.weight", "backbone.3.weight"]
    owners: dict[str, list[int]] = {name: [] for name in weights}
    for task in stream:
        steps = {}

        def look(step: int, steps: dict[int, Any] = steps) -> None:
            steps[step] = (learner.flat.theta_P.detach().clone(), learner.state.owner_P.clone())

        learner.learn(task, on_step=look)
        middle, (theta_P, owner_P) = len(steps) // 2, steps[len(steps) // 2]
        for name in weights:
            place = learner.flat.slices[name]
            owners[name] = owners[name] or [0] * (place.stop - place.start)
            free = [i for i, owner in enumerate(owners[name]) if owner == 0]
            kept = [i for i in free if int(owner_P[place][i]) == task.number]
            assert len(kept) == round(0.3 * len(free))
            held = theta_P[place]
            assert all(float(held[i]) == 0 for i in free if i not in kept)
            assert all(float(held[i]) != 0 for i in kept)
            for i in kept:
                owners[name][i] = task.number
            for theta_now, _ in list(steps.values())[middle:]:
                assert all(float(theta_now[place][i]) == 0 for i, owner in enumerate(owners[name]) if owner == 0)
        expected = [owner for name in weights for owner in owners[name]]
        assert torch.cat([learner.state.owner_P[learner.flat.slices[name]] for name in weights]).tolist() == expected


def test_packnet_prunes_by_size(clouds: Callable[..., Stream]) -> None:
    """With a step of no size the weights at the pruning are those at the start."""
    stream = clouds("task", tasks=1)
    learner = learner_of(PackNet(keep=0.25), stream, lr=1e-30)
    place = learner.flat.slices["backbone.1.weight"]
    sizes = learner.flat.theta_P.detach()[place].abs().tolist()
    learner.learn(stream.task(1))
    kept = [i for i, owner in enumerate(learner.state.owner_P[place].tolist()) if owner == 1]
    largest = sorted(range(len(sizes)), key=lambda i: -sizes[i])[: round(0.25 * len(sizes))]
    assert kept == sorted(largest)


def test_packnet_answers_with_the_weights_of_its_task_and_earlier_ones(clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    learner = learner_of(PackNet(), stream)
    x = torch.randn(9, 6)
    learner.learn(stream.task(1))
    said = learner.logits(x, 1)[:, :2]
    bias = learner.flat.named(learner.flat.theta_P.detach())["backbone.1.bias"].clone()
    learner.learn(stream.task(2))
    assert torch.equal(learner.flat.named(learner.flat.theta_P.detach())["backbone.1.bias"], bias)
    later_P = (learner.state.owner_P != 1) & (torch.arange(len(learner.flat)) < learner.state.shared)
    assert int(later_P.sum()) > 50
    learner.flat.theta_P.detach()[later_P] = 7.0
    assert torch.equal(learner.logits(x, 1)[:, :2], said)
    assert not torch.equal(learner.logits(x, 2)[:, 2:4], said)


def test_packnet_says_when_there_is_no_room(clouds: Callable[..., Stream]) -> None:
    with pytest.raises(
        SettingError, match=r"leaves no weight for task 30 in the smallest layer, which has 1000; use keep=0.033"
    ):
        PackNet(keep=0.5).check(StreamSize.of(30, 100, 24, 1000, 60))
    PackNet(keep=0.03).check(StreamSize.of(30, 100, 24, 10_000, 60))
    stream = clouds("task")
    learner = learner_of(PackNet(keep=1.0), stream)
    learner.learn(stream.task(1))
    with pytest.raises(SettingError, match="leaves no weight for task 2"):
        learner.learn(stream.task(2))


def test_packnet_names_the_layer_that_is_full(clouds: Callable[..., Stream]) -> None:
    """12 weights, of which a half is kept each time: 6, 3, 2 and 1."""
    with pytest.raises(SettingError, match=r"no weight for task 5 in the smallest layer, which has 12; use keep=0.2"):
        PackNet(keep=0.5).check(StreamSize.of(5, 100, 24, 1000, 10, smallest=12))
    PackNet(keep=0.5).check(StreamSize.of(4, 100, 24, 1000, 8, smallest=12))
    stream = clouds("task", tasks=5)
    learner = learner_of(PackNet(keep=0.5), stream, "mlp:2,30")
    for number in (1, 2, 3, 4):
        learner.learn(stream.task(number))
    with pytest.raises(SettingError, match=r"no free weight left after 4 tasks in backbone\.1; use a smaller keep"):
        learner.learn(stream.task(5))
    with pytest.raises(SettingError, match=r"no weight for task 5 in the smallest layer, which has 30"):
        lifelong.run("split-digits", [PackNet(keep=0.8)], scenario="task", model="mlp:30,1", seeds=1, epochs=1, jobs=1)
