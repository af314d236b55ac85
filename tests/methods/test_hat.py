"""HAT: its annealing, compensation, cost of new units, and what its gates freeze."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lifelong.methods import HAT, Step
from lifelong.models.gated import Gated
from lifelong.streams import Stream
from lifelong.training import Learner
from lifelong.types import Examples

from .isolating import backbone_of, learner_of


def test_hat_anneals_within_each_pass(clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    learner = learner_of(HAT(s_max=100.0), stream, epochs=3)
    for task in stream:
        found: list[float] = []
        learner.learn(task, on_step=lambda step, found=found: found.append(learner.state.scale))
        one_pass = [1 / 100 + (100 - 1 / 100) * b / 5 for b in range(6)]  # 54 examples in batches of 10
        assert found == pytest.approx(3 * one_pass)


def started(method: HAT, stream: Stream) -> tuple[Learner, Gated]:
    """A learner in the first step of task 2."""
    learner = learner_of(method, stream, lr=0.02)
    learner.learn(stream.task(1))
    task = stream.task(2)
    learner._announce(task)
    learner.state = method.begin_task(learner.state, learner, task.train)
    backbone = backbone_of(learner)
    assert isinstance(backbone, Gated)
    return learner, backbone


def step_of(learner: Learner, batch: Examples, number: int) -> Step:
    def forward(x: Tensor, task: int | Tensor) -> Tensor:
        return learner.method.forward(learner.state, learner, x, task)

    return Step(learner, forward, batch, 2, number, 18, 1, 6, 0.1, 10.0)


def test_hat_compensates_the_gradient_of_the_embeddings(clouds: Callable[..., Stream]) -> None:
    """As σ'(z) = 1 / (2 (cosh z + 1)), what is left is s_max σ'(e) ∂L/∂a, whatever s is."""
    method = HAT(s_max=50.0, sparsity=0.0)
    learner, backbone = started(method, clouds("task"))
    step = step_of(learner, clouds("task").task(2).train.at(slice(0, 10)), number=2)
    for gate in backbone.gates:
        gate.embedding.data.mul_(0.1)
    learner.flat.backward(method.loss(learner.state, step, Step.base_loss))
    grad_P = method.gradient(learner.state, step, learner.flat.grad_P.clone())
    assert learner.state.scale == pytest.approx(0.02 + (50 - 0.02) / 5)
    gate = backbone.gates[1]
    e_H = gate.embedding.detach()[1].double()
    gates = [torch.sigmoid(learner.state.scale * g.embedding.detach()[1]).requires_grad_() for g in backbone.gates]
    h = step.batch.x
    for layer, a_H in zip((backbone.layers[1], backbone.layers[3]), gates, strict=True):
        h = torch.relu(layer(h)) * a_H
    loss = learner.objective.loss(learner.model.head(h), step.batch.y, 2)
    (to_gate,) = torch.autograd.grad(loss, gates[1])
    sigma = torch.sigmoid(e_H)
    found = learner.flat.named(grad_P)["backbone.gates.1.embedding"]
    assert torch.allclose(found[1].double(), 50 * sigma * (1 - sigma) * to_gate.double(), rtol=1e-3, atol=1e-6)
    assert float(found[1].abs().max()) > 0
    assert bool((found[0] == 0).all()), "the embedding of task 1 is held"


def test_hat_charges_for_units_that_no_task_used(clouds: Callable[..., Stream]) -> None:
    method = HAT(s_max=400.0, sparsity=2.0)
    learner, backbone = started(method, clouds("task"))
    step = step_of(learner, clouds("task").task(2).train.at(slice(0, 10)), number=1)
    total = count = 0.0
    for gate in backbone.gates:
        past, now = gate.embedding.detach().double()
        for used, e in zip(past.tolist(), now.tolist(), strict=True):
            if used <= 0:
                total, count = total + 1 / (1 + math.exp(-e / 400)), count + 1
    assert 0 < count < 22
    with_price = float(method.loss(learner.state, step, Step.base_loss).detach())
    assert with_price - float(step.base_loss().detach()) == pytest.approx(2.0 * total / count, rel=1e-5)


def test_hat_freezes_what_lies_between_used_units(clouds: Callable[..., Stream]) -> None:
    stream = clouds("task")
    learner = learner_of(HAT(s_max=400.0), stream)
    for task in (1, 2):
        learner.learn(stream.task(task))
    backbone = backbone_of(learner)
    assert isinstance(backbone, Gated)
    used = [(torch.sigmoid(400 * gate.embedding.detach()) > 0.5).any(0).tolist() for gate in backbone.gates]
    assert 0 < sum(used[0] + used[1]) < 22
    frozen = learner.flat.named(learner.state.frozen.mask_P)
    for i in range(10):
        for j in range(12):
            assert bool(frozen["backbone.layers.3.weight"][i, j]) == (used[1][i] and used[0][j])
    assert frozen["backbone.layers.3.bias"].tolist() == used[1]
    assert frozen["backbone.layers.1.weight"].tolist() == [[unit] * 6 for unit in used[0]]
    assert bool(frozen["backbone.gates.0.embedding"].all())
    assert bool(frozen["head.weight"].all())
