"""θ and g as one vector: views stay views, growth keeps what was there."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lifelong.flat import Flat


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def test_backward_writes_into_the_flat_gradient() -> None:
    model, twin = net(), net()
    flat = Flat(model)
    x = torch.randn(5, 3)
    flat.grad_P.fill_(9.0)
    flat.backward(model(x).square().sum())
    torch.autograd.backward(twin(x).square().sum())
    expected = torch.cat([p.grad.reshape(-1) for p in twin.parameters() if p.grad is not None])
    assert torch.equal(flat.grad_P, expected)
    assert torch.equal(flat.gradient(model(x).square().sum()), expected)


def test_what_has_no_influence_has_the_gradient_zero() -> None:
    model = net()
    flat = Flat(model)
    flat.grad_P.fill_(9.0)
    flat.backward(model[0](torch.ones(2, 3)).sum())
    assert flat.grad_P[: 3 * 4 + 4].tolist() == [2.0] * 16
    assert flat.grad_P[3 * 4 + 4 :].tolist() == [0.0] * 10


def test_sparse_gradients_become_dense() -> None:
    model = nn.Sequential(nn.Embedding(3, 2, sparse=True), nn.Flatten(), nn.Linear(2, 1, bias=False))
    flat = Flat(model)
    flat.assign(torch.arange(8.0))
    loss = model(torch.tensor([[1], [1]])).sum()
    assert flat.gradient(model(torch.tensor([[1], [1]])).sum()).tolist() == [0, 0, 12, 14, 0, 0, 4, 6]
    flat.backward(loss)
    assert flat.grad_P.tolist() == [0, 0, 12, 14, 0, 0, 4, 6]


def test_other_weights_may_answer_between_an_answer_and_its_gradient() -> None:
    model = net()
    flat, x = Flat(model), torch.randn(5, 3)
    loss = model(x).square().sum()
    expected, before = flat.gradient(model(x).square().sum()), flat.theta_P.detach().clone()
    other = torch.randn(len(flat))
    with torch.no_grad(), flat.holding(other):
        theirs = model(x)
    assert torch.equal(flat.gradient(loss), expected)
    with pytest.raises(ValueError, match="broken"), flat.holding(other):
        raise ValueError("broken")
    assert torch.equal(flat.theta_P.detach(), before)
    assert not torch.equal(model(x), theirs)
    flat.assign(other)
    assert torch.equal(model(x), theirs)


def test_other_weights_answer_for_themselves_under_autocast() -> None:
    """Autocast keeps a rounded copy of a weight, by its place in memory."""
    model, x = net(), torch.randn(5, 3)
    flat = Flat(model)
    other = torch.randn(len(flat))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        expected, theirs = model(x), flat.call(model, flat.named(other), x)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        first = model(x)
        with flat.holding(other):
            second = model(x)
        third = model(x)
    assert torch.equal(first, expected)
    assert torch.equal(second, theirs)
    assert torch.equal(third, expected)


def test_views_survive_backward_and_optimiser_steps() -> None:
    model = net()
    flat = Flat(model)
    optimizer = torch.optim.Adam([flat.theta_P], lr=0.1)
    for _ in range(3):
        flat.backward(model(torch.ones(2, 3)).sum())
        optimizer.step()
    start = flat.theta_P.data_ptr()
    for name, p in model.named_parameters():
        place = flat.slices[name]
        assert p.data_ptr() == start + 4 * (place.start or 0)
        assert p.grad is not None
        assert torch.equal(p.detach().reshape(-1), flat.theta_P[place])


def test_one_flat_adam_step_is_the_step_of_every_parameter() -> None:
    model, twin = net(), net()
    flat = Flat(model)
    ours, theirs = torch.optim.Adam([flat.theta_P], lr=0.01), torch.optim.Adam(twin.parameters(), lr=0.01)
    for step in range(5):
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        theirs.zero_grad()
        flat.backward(model(x).square().mean())
        torch.autograd.backward(twin(x).square().mean())
        ours.step()
        theirs.step()
    expected = torch.cat([p.detach().reshape(-1) for p in twin.parameters()])
    assert torch.allclose(flat.theta_P.detach(), expected, rtol=1e-6, atol=1e-7)


def test_carry_lays_a_vector_out_for_a_grown_model() -> None:
    small, large = nn.Linear(3, 2), nn.Linear(3, 4)
    old, new = Flat(small), Flat(large)
    vector = torch.arange(1.0, 9.0)
    carried = new.carry(vector, old)
    assert carried[new.slices["weight"]].view(4, 3).tolist() == [[1, 2, 3], [4, 5, 6], [0, 0, 0], [0, 0, 0]]
    assert carried[new.slices["bias"]].tolist() == [7, 8, 0, 0]
    stacked = new.carry(torch.stack([vector, 2 * vector]), old)
    assert torch.equal(stacked[1], 2 * carried)


def test_frozen_parameters_are_left_out() -> None:
    model = net()
    next(iter(model.parameters())).requires_grad_(False)
    assert len(Flat(model)) == 4 + 4 * 2 + 2


class Tied(nn.Module):
    """One weight under two names, in two modules."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.second(self.first(x))
        return answer


def test_a_call_with_other_values_replaces_shared_weights_everywhere_and_leaves_the_module() -> None:
    shared = nn.Linear(3, 3)
    for make in (Tied, lambda: nn.Sequential(shared, nn.Tanh(), shared)):
        model = make()
        flat = Flat(model)
        before = flat.theta_P.detach().clone()
        other = torch.randn(len(flat))
        answer = flat.call(model, flat.named(other), torch.ones(2, 3))
        assert torch.equal(flat.theta_P.detach(), before)
        flat.assign(other)
        assert torch.equal(model(torch.ones(2, 3)), answer)
