"""Isolation: what a finished task answers never changes by a bit, whatever comes after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lifelong.errors import SettingError
from lifelong.methods import ER, EWC, HAT, Chain, PackNet, Progressive, XdG
from lifelong.methods.isolation import Isolation
from lifelong.models import per_task_parts, with_head
from lifelong.streams import Stream
from lifelong.training import Learner

from .isolating import SPACE, learner_of

FOUR: list[Isolation[Any]] = [PackNet(keep=0.4), Progressive(), HAT(), XdG(gate=0.5)]
OPTIMIZERS: list[dict[str, Any]] = [
    {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01},
    {"lr": 0.01, "optimizer": "adam", "keep_optimizer": True, "weight_decay": 0.01, "clip": 0.5},
    {"lr": 0.01, "optimizer": "adamw", "keep_optimizer": True, "weight_decay": 0.1},
]


def pictures(tasks: int = 3) -> Stream:
    """Tasks of two kinds of 6 × 6 pictures."""
    generator = torch.Generator().manual_seed(0)
    datasets: list[tuple[object, object]] = []
    for number in range(tasks):
        centres = torch.randn(2, 1, 6, 6, generator=generator)
        y = torch.arange(40) % 2
        x = centres[y] + 0.3 * torch.randn(40, 1, 6, 6, generator=generator)
        datasets.append(((x, y + 2 * number), (x, y + 2 * number)))
    return Stream.from_datasets(datasets, scenario="task")


@pytest.mark.parametrize("settings", OPTIMIZERS, ids=["momentum", "adam", "adamw"])
@pytest.mark.parametrize("method", FOUR, ids=lambda m: m.name)
def test_past_answers_are_the_same_bits_whatever_comes_after(
    method: Isolation[Any], settings: dict[str, Any], clouds: Callable[..., Stream], tmp_path: Path
) -> None:
    stream = clouds("task", tasks=4)
    learner = learner_of(method, stream, **settings)
    x, said = 3 * torch.randn(50, 6), {}
    for task in stream:
        before = learner.flat.theta_P.detach().clone()
        learner.learn(task)
        assert not torch.equal(before[:200], learner.flat.theta_P.detach()[:200]), "the backbone learned something"
        said[task.number] = learner.logits(x, task.number)[:, list(task.classes)]
        for number, logits in said.items():
            assert torch.equal(learner.logits(x, number)[:, list(stream.task(number).classes)], logits)
    learner.save(tmp_path / "file.safetensors")
    loaded = Learner.load(tmp_path / "file.safetensors")
    for number, logits in said.items():
        assert torch.equal(loaded.logits(x, number)[:, list(stream.task(number).classes)], logits)


@pytest.mark.parametrize("method", [PackNet(), HAT(), XdG(gate=0.5)], ids=lambda m: m.name)
def test_past_answers_are_the_same_bits_with_convolutions_in_half_precision(method: Isolation[Any]) -> None:
    stream = pictures()
    learner = learner_of(method, stream, "cnn:4,8", lr=0.05, momentum=0.9, autocast="bfloat16", head="all")
    x, said = torch.randn(20, 1, 6, 6), {}
    for task in stream:
        learner.learn(task)
        said[task.number] = learner.logits(x, task.number)
    for number, logits in said.items():
        assert torch.equal(learner.logits(x, number), logits)
    assert not torch.equal(said[1].argmax(1), said[2].argmax(1))


@pytest.mark.parametrize("method", FOUR, ids=lambda m: m.name)
def test_capacity_is_used_up_and_a_task_is_learned_once(method: Isolation[Any], clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    learner = learner_of(method, stream)
    used = [method.capacity_used(learner.state)]
    for task in stream:
        learner.learn(task)
        used.append(method.capacity_used(learner.state))
    assert used[0] == 0
    assert used == sorted(used)
    assert used[-1] <= 1
    assert (used[-1] > 0) == (method.name != "progressive")
    with pytest.raises(SettingError, match="give new data a new task number"):
        learner.learn(stream.task(1))


@pytest.mark.parametrize("method", FOUR, ids=lambda m: m.name)
def test_networks_that_cannot_be_treated_are_refused(method: Isolation[Any]) -> None:
    recurrent = nn.Sequential(nn.LSTM(6, 5), nn.ReLU())
    with pytest.raises(SettingError, match="network with a backbone and a head, got Linear"):
        Learner(nn.Linear(6, 2), method, SPACE)
    with pytest.raises(SettingError, match=f"{method.name}|LSTM"):
        Learner(with_head(recurrent, 5, SPACE), method, SPACE)
    with pytest.raises(SettingError, match="mlp:400,400"):
        Learner("linear", method, SPACE)


@pytest.mark.parametrize("method", FOUR, ids=lambda m: m.name)
def test_a_stiff_spring_later_in_the_chain_does_not_move_what_is_frozen(
    method: Isolation[Any], clouds: Callable[..., Stream]
) -> None:
    stream = clouds("task")
    learner = learner_of(Chain(method, EWC(strength=1e6)), stream)
    x, said = torch.randn(9, 6), {}
    for task in stream:
        learner.learn(task)
        said[task.number] = learner.logits(x, task.number)[:, list(task.classes)]
    for number, logits in said.items():
        assert torch.equal(learner.logits(x, number)[:, list(stream.task(number).classes)], logits)


@pytest.mark.parametrize("method", FOUR, ids=lambda m: m.name)
def test_tasks_may_come_in_any_order(method: Isolation[Any], clouds: Callable[..., Stream], tmp_path: Path) -> None:
    stream = clouds("task", tasks=4)
    learner = learner_of(method, stream, momentum=0.9, lr=0.05)
    for number in (3, 1, 2):
        learner.learn(stream.task(number))
    learner.save(tmp_path / "file.safetensors")
    loaded = Learner.load(tmp_path / "file.safetensors")
    loaded.learn(stream.task(4))
    x = torch.randn(9, 6)
    for number in (1, 2, 3):
        assert torch.equal(loaded.logits(x, number)[:, :6], learner.logits(x, number))


@pytest.mark.parametrize("method", FOUR, ids=lambda m: m.name)
def test_replayed_examples_are_answered_by_their_own_task(
    method: Isolation[Any], clouds: Callable[..., Stream]
) -> None:
    stream = clouds("task")
    learner = learner_of(Chain(method, ER(capacity=30)), stream)
    for task in stream:
        learner.learn(task)
    if method.name == "packnet":
        return  # it trains with all weights, whatever the task
    x, tasks = torch.randn(4, 6), [1, 2, 1, 2]
    network = learner.model.eval()
    selected = [part.selected for part in per_task_parts(network)]
    with torch.no_grad():
        mixed = learner.method.forward(learner.state, learner, x, torch.tensor(tasks))
        for row, task in enumerate(tasks):
            alone = learner.method.forward(learner.state, learner, x, task)
            assert torch.allclose(mixed[row], alone[row], atol=1e-5)
    assert selected == [3] * len(selected)
    assert [part.selected for part in per_task_parts(network)] == selected
