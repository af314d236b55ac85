"""The Fisher diagonal against a loop over samples written from its formula, in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lifelong.methods.fisher import FisherKind, fisher_diagonal
from lifelong.training import Learner
from lifelong.types import Examples, Scenario, Space

from .odd_networks import Bypassed, Folded, Reused, Unheard


def slow_fisher(model: nn.Module, x: Tensor, labels: Tensor, kind: FisherKind, allowed: list[int]) -> Tensor:
    """1/N Σ_n Σ_y w_y (∂ log p(y | x_n) / ∂θ)², one sample and one label at a time."""
    model = model.double().eval()
    parameters = list(model.parameters())
    total = torch.zeros(sum(p.numel() for p in parameters), dtype=torch.float64)
    for one, label in zip(x.double(), labels.tolist(), strict=True):
        for choice in allowed if kind == "true" else [label]:
            logits = model(one[None])[0, allowed]
            log_p = torch.log_softmax(logits, 0)[allowed.index(choice)]
            grads = torch.autograd.grad(log_p, parameters, materialize_grads=True)
            weight = float(log_p.detach().exp()) if kind == "true" else 1.0
            total += weight * torch.cat([g.reshape(-1) for g in grads]).square()
    return total / len(x)


class Convolution(nn.Module):
    """A network that is not made of linear layers alone."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 4))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x.view(-1, 1, 3, 3))
        return logits


def in_place() -> nn.Module:
    return nn.Sequential(nn.Linear(9, 5), nn.ReLU(inplace=True), nn.Linear(5, 4))


def twice() -> nn.Module:
    shared = nn.Linear(9, 9)
    return nn.Sequential(shared, nn.Tanh(), shared, nn.Linear(9, 4))


@pytest.mark.parametrize("scenario", ["domain", "task"])
@pytest.mark.parametrize("kind", ["true", "empirical"])
@pytest.mark.parametrize("network", [in_place, Convolution, twice, Bypassed, Reused, Folded, Unheard])
def test_fisher_is_the_mean_of_squares_per_sample(
    network: Callable[[], nn.Module], kind: FisherKind, scenario: Scenario
) -> None:
    torch.manual_seed(1)
    learner = Learner(network(), space=Space((9,), 4, scenario))
    learner.objective.announce(1, (0, 1))
    learner.objective.announce(2, (2, 3))
    allowed = [2, 3] if scenario == "task" else [0, 1, 2, 3]
    x, y = torch.randn(13, 9), torch.tensor([2, 3] * 6 + [2])
    ours = fisher_diagonal(learner, Examples(x, y, 2), kind)
    expected = slow_fisher(learner.model, x, y, kind, allowed)
    assert torch.allclose(ours.double(), expected, rtol=1e-4, atol=1e-8)
    assert float(ours.max()) > 0


def test_it_does_not_depend_on_the_batch_and_is_no_squared_mean() -> None:
    torch.manual_seed(1)
    learner = Learner(in_place(), space=Space((9,), 4))
    x, y = torch.randn(8, 9), torch.randint(4, (8,))
    once = fisher_diagonal(learner, Examples(x, y, 1), "empirical")
    thrice = fisher_diagonal(learner, Examples(x.repeat(3, 1), y.repeat(3), 1), "empirical")
    assert torch.allclose(once, thrice, rtol=1e-5)
    mean_gradient = learner.flat.gradient(learner.objective.loss(learner.model(x), y, 1))
    assert not torch.allclose(once, mean_gradient.square(), rtol=0.1)


def test_sampled_labels_are_the_true_fisher_on_average() -> None:
    torch.manual_seed(1)
    learner = Learner(in_place(), space=Space((9,), 4))
    x = torch.randn(4, 9).repeat(2000, 1)
    task = Examples(x, torch.zeros(len(x), dtype=torch.int64), 1)
    sampled, true = fisher_diagonal(learner, task, "sampled"), fisher_diagonal(learner, task, "true")
    assert torch.allclose(sampled.sum(), true.sum(), rtol=0.05)


def test_a_cap_on_samples_draws_from_the_method_generator_alone() -> None:
    torch.manual_seed(1)
    learner = Learner(in_place(), space=Space((9,), 4))
    task = Examples(torch.randn(50, 9), torch.randint(4, (50,)), 1)
    order = learner.randomness.order.get_state()
    capped = fisher_diagonal(learner, task, "empirical", samples=10)
    assert not torch.equal(capped, fisher_diagonal(learner, task, "empirical"))
    assert torch.equal(order, learner.randomness.order.get_state())


@pytest.mark.parametrize("network", [in_place, Convolution])
def test_batched_is_the_square_of_each_batchs_mean_gradient(network: Callable[[], nn.Module]) -> None:
    torch.manual_seed(1)
    learner = Learner(network(), space=Space((9,), 4))
    x, y = torch.randn(11, 9), torch.randint(4, (11,))
    ours = fisher_diagonal(learner, Examples(x, y, 1), "batched", batch=4)
    model = learner.model.double()
    total = torch.zeros(len(ours), dtype=torch.float64)
    for start in (0, 4, 8):
        some, labels = x[start : start + 4].double(), y[start : start + 4]
        loss = -torch.stack([torch.log_softmax(model(one[None])[0], 0)[k] for one, k in zip(some, labels)]).mean()  # noqa: B905
        grads = torch.autograd.grad(loss, list(model.parameters()))
        total += torch.cat([g.reshape(-1) for g in grads]).square()
    assert torch.allclose(ours.double(), total / 3, rtol=1e-4, atol=1e-9)


def test_batched_by_one_is_empirical() -> None:
    torch.manual_seed(1)
    learner = Learner(in_place(), space=Space((9,), 4))
    task = Examples(torch.randn(7, 9), torch.randint(4, (7,)), 1)
    single, empirical = fisher_diagonal(learner, task, "batched", batch=1), fisher_diagonal(learner, task, "empirical")
    assert torch.allclose(single, empirical, rtol=1e-4, atol=1e-9)
