"""Gates of XdG and HAT: functions of seed and task, chosen by row, with numbers of their own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from lifelong.methods import EWC, HAT, Chain, Method, Progressive, XdG
from lifelong.models import Head, select, with_head
from lifelong.models.columns import Columns
from lifelong.models.gated import Gated, gated
from lifelong.models.gates import AttentionGate, RandomGate
from lifelong.models.per_task import generator_for
from lifelong.streams import Stream
from lifelong.training import Learner

from .isolating import SPACE, backbone_of, learner_of


def test_columns_gates_and_rows_of_the_head_share_no_numbers() -> None:
    """What is drawn uniformly is compared as it was drawn, before it was scaled."""
    column = generator_for("column", 0, 2)
    draws = {
        "row": torch.rand(8, generator=torch.Generator().manual_seed(2)),  # of class 2, as models.head draws it
        "column": torch.rand(8, generator=column),
        "random": torch.rand(8, generator=generator_for("random gate", 0, 0, 2)),
        "attention": torch.rand(8, generator=generator_for("attention gate", 0, 0, 2)),
        "place": torch.rand(8, generator=generator_for("random gate", 0, 1, 2)),
        "task": torch.rand(8, generator=generator_for("random gate", 0, 0, 3)),
        "seed": torch.rand(8, generator=generator_for("random gate", 1, 0, 2)),
    }
    for (one, a), (two, b) in itertools.combinations(draws.items(), 2):
        assert not torch.equal(a, b), f"{one} and {two}"
    columns, head = Columns([nn.Linear(12, 12)], seed=0), Head(12, 3, seed=0)
    columns.grow(1)
    columns.grow(2)
    first = columns.columns[1].layers[0].weight.detach()[0]
    assert not torch.allclose(first, head.weight.detach()[2], atol=1e-6)


@pytest.mark.parametrize("method", [XdG(), HAT(), Progressive()], ids=lambda method: method.name)
def test_with_a_network_of_ones_own_the_learner_s_seed_draws(
    method: Method[Any], clouds: Callable[..., Stream]
) -> None:
    stream, drawn = clouds("task", tasks=2), []
    for seed in (1, 2, 1):
        torch.manual_seed(0)
        own = with_head(nn.Sequential(nn.Flatten(), nn.Linear(6, 12), nn.ReLU()), 12, stream.space)
        learner = Learner(own, method, stream.space, seed=seed)
        for task in stream:
            learner._announce(task)
        backbone = backbone_of(learner)
        if isinstance(backbone, Gated):
            drawn.append(
                torch.stack(
                    [gate._row(2) if isinstance(gate, AttentionGate) else gate.of(2) for gate in backbone.gates]
                )
            )
        else:
            drawn.append(backbone.columns[1].layers[0].weight)
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])


def test_gates_are_a_function_of_seed_and_task() -> None:
    gate = RandomGate(200, closed=0.8, seed=5)
    rows_TH = torch.stack([gate.of(task) for task in range(60)])
    assert rows_TH.sum(1).tolist() == [40.0] * 60
    assert torch.equal(RandomGate(200, closed=0.8, seed=5).of(41), rows_TH[41])
    assert not torch.equal(RandomGate(200, closed=0.8, seed=6).of(41), rows_TH[41])
    overlap = (rows_TH[:-1] * rows_TH[1:]).sum(1).mean()  # hypergeometric: mean 8, deviation 2.3 over √59
    assert abs(float(overlap) - 8) < 5 * 2.3 / math.sqrt(59)


@pytest.mark.parametrize("kind", [RandomGate, AttentionGate])
def test_gates_choose_by_row_of_units_and_channels(kind: type[RandomGate] | type[AttentionGate]) -> None:
    gate = RandomGate(4, closed=0.5, seed=0) if kind is RandomGate else AttentionGate(4, 400.0, 0.5, seed=0)
    for task in (3, 1, 2):
        gate.grow(task)
    h, tasks = torch.randn(5, 4, 2, 2), [1, 3, 2, 3, 1]
    gate.select(torch.tensor(tasks))
    found = gate(h)
    for row, task in enumerate(tasks):
        assert torch.equal(found[row], h[row] * gate.of(task)[:, None, None])
    gate.select(2)
    assert torch.equal(gate(h[:, :, 0, 0]), h[:, :, 0, 0] * gate.of(2))


def test_weights_between_open_channels_and_units_are_found() -> None:
    stack = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 2, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(8, 4), nn.ReLU(),
    )  # fmt: skip
    network = gated(with_head(stack, 4, SPACE), "xdg", lambda place, units: RandomGate(units, 0.5, place), SPACE)
    assert isinstance(network.backbone, Gated)
    select(network, 3)
    x = torch.randn(2, 1, 4, 4)
    before = network.backbone(x)
    masks = network.backbone.between([gate.of(3) > 0 for gate in network.backbone.gates])
    with torch.no_grad():
        for name, parameter in network.backbone.named_parameters():
            parameter[~masks[name]] += 100 * torch.rand_like(parameter)[~masks[name]]
    assert torch.equal(network.backbone(x), before), "no other weight has a say"
    for name, parameter in network.backbone.named_parameters():
        place = tuple(masks[name].nonzero()[0].tolist())
        with torch.no_grad():
            parameter[place] += 100
        assert not torch.equal(network.backbone(10 * x.abs()), before), f"{name} has"


def test_without_freezing_it_is_the_gating_of_the_paper_and_goes_with_springs(clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    chain = Chain(XdG(gate=0.5, freeze=False), EWC(strength=10.0))
    learner = learner_of(chain, stream)
    learner.learn(stream.task(1))
    kept = learner.logits(torch.ones(1, 6), 1)
    closed = [bool(v) for v in backbone_of(learner).gates[0].of(1) == 0]
    importance = learner.flat.named(learner.state[1].importance_P)["backbone.layers.1.weight"]
    assert float(importance.sum()) > 0
    assert bool((importance[closed] == 0).all()), "EWC measured the gated network"
    learner.learn(stream.task(2))
    assert not torch.equal(learner.logits(torch.ones(1, 6), 1)[:, :2], kept[:, :2])
