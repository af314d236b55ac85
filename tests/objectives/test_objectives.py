"""Each objective against independent computations: torch.distributions, brute force, slow loops."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Normal

from lifelong.errors import DataError, SettingError
from lifelong.objectives import (
    ClassObjective,
    LabelObjective,
    MixedObjective,
    NumberObjective,
    Objective,
    TokenObjective,
    objective_for,
)
from lifelong.types import Labels, Numbers, Scenario, Space, Tokens


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fisher(objective: Objective, answer: Tensor, weight: Tensor) -> Tensor:
    """Σ_n Σ_y w (∂ losses/∂W)² for answers h W, one example at a time, from `support`."""
    total = torch.zeros_like(weight)
    for row in answer:
        variable = weight.clone().requires_grad_()
        z = row[None] @ variable
        for y, w in objective.support(z.detach(), 1):
            (grad,) = torch.autograd.grad(objective.losses(z, y, 1).sum(), variable, retain_graph=True)
            total += w[0] * grad.square()
    return total


def test_losses_are_minus_the_log_likelihood() -> None:
    z, y = random(7, 4), torch.tensor([0, 3, 1, 1, 2, 0, 3])
    torch.testing.assert_close(ClassObjective().losses(z, y, 1), -Categorical(logits=z).log_prob(y))
    numbers = random(7, 4, seed=1)
    constant = 0.5 * 4 * math.log(2 * math.pi)
    gaussian = -Normal(z, 1.0).log_prob(numbers).sum(1) - constant
    torch.testing.assert_close(NumberObjective().losses(z, numbers, 1), gaussian)
    labels = (numbers > 0).float()
    torch.testing.assert_close(LabelObjective().losses(z, labels, 1), -Bernoulli(logits=z).log_prob(labels).sum(1))
    tokens, answer = torch.tensor([[1, 2, 0], [3, 0, 0]]), random(2, 3, 4)
    each = -Categorical(logits=answer).log_prob(tokens)
    slow = torch.stack([each[0, :2].mean(), each[1, :1].mean()])
    torch.testing.assert_close(TokenObjective(Tokens(4)).losses(answer, tokens, 1), slow)
    assert TokenObjective(Tokens(4)).losses(answer, torch.zeros(2, 3).long(), 1).tolist() == [0.0, 0.0]


def test_the_support_gives_the_exact_fisher_information() -> None:
    h, weight = random(5, 3), random(3, 3, seed=2)
    slow = torch.zeros_like(weight)
    for row in h:  # classes: Σ_y p_y (∂ log p_y)²
        for label in range(3):
            variable = weight.clone().requires_grad_()
            log_p = (row @ variable).log_softmax(0)
            (grad,) = torch.autograd.grad(log_p[label], variable)
            slow += log_p[label].exp().detach() * grad.square()
    torch.testing.assert_close(fisher(ClassObjective(), h, weight), slow, rtol=1e-4, atol=1e-6)

    slow = torch.zeros_like(weight)
    for row in h:  # numbers: E_y of a Gaussian of unit variance is Σ_c (∂ f_c)²
        for output in range(3):
            variable = weight.clone().requires_grad_()
            (grad,) = torch.autograd.grad((row @ variable)[output], variable)
            slow += grad.square()
    torch.testing.assert_close(fisher(NumberObjective(), h, weight), slow, rtol=1e-4, atol=1e-6)

    slow = torch.zeros_like(weight)
    for row in h:  # labels: over all 2^3 targets
        for y in itertools.product([0.0, 1.0], repeat=3):
            variable = weight.clone().requires_grad_()
            log_p = Bernoulli(logits=row @ variable).log_prob(torch.tensor(y)).sum()
            (grad,) = torch.autograd.grad(log_p, variable)
            slow += log_p.exp().detach() * grad.square()
    torch.testing.assert_close(fisher(LabelObjective(), h, weight), slow, rtol=1e-4, atol=1e-6)
    with pytest.raises(SettingError, match="sampled"):
        next(TokenObjective(Tokens(4)).support(random(1, 2, 4), 1))


def test_draws_follow_the_answer() -> None:
    generator, z = torch.Generator().manual_seed(0), torch.tensor([[0.0, 1.0, -1.0]]).expand(20_000, 3)
    found = torch.bincount(ClassObjective().draw(z, 1, generator), minlength=3) / len(z)
    torch.testing.assert_close(found, z[0].softmax(0), rtol=0, atol=0.02)
    torch.testing.assert_close(LabelObjective().draw(z, 1, generator).mean(0), z[0].sigmoid(), rtol=0, atol=0.02)
    numbers = NumberObjective().draw(z, 1, generator)
    torch.testing.assert_close(numbers.mean(0), z[0], rtol=0, atol=0.03)
    torch.testing.assert_close(numbers.std(0), torch.ones(3), rtol=0, atol=0.03)
    tokens = TokenObjective(Tokens(3, padding=0)).draw(z[:, None], 1, generator)
    assert int((tokens == 0).sum()) == 0
    share = float((tokens == 1).float().mean())
    assert share == pytest.approx(float(z[0, 1:].softmax(0)[0]), abs=0.02)


def test_the_distance_to_a_teacher_is_the_kl_divergence() -> None:
    now, then = random(6, 4), random(6, 4, seed=1)
    kl = torch.distributions.kl_divergence
    expected = kl(Categorical(logits=then / 2), Categorical(logits=now / 2)).mean() * 4
    torch.testing.assert_close(ClassObjective().distance(now, then, 2.0), expected)
    expected = kl(Bernoulli(logits=then / 2), Bernoulli(logits=now / 2)).sum(1).mean() * 4
    torch.testing.assert_close(LabelObjective().distance(now, then, 2.0), expected)
    expected = kl(Normal(then, 1.0), Normal(now, 1.0)).sum(1).mean()
    torch.testing.assert_close(NumberObjective().distance(now, then), expected)
    for objective in (ClassObjective(), LabelObjective(), NumberObjective()):
        assert float(objective.distance(then, then)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("scenario", "count"), [("task", 2), ("class", 4), ("domain", 4)])
def test_what_counts_in_each_scenario(scenario: Scenario, count: int) -> None:
    z, y = random(3, 4), torch.tensor([2, 3, 2])
    classes, labels = ClassObjective(scenario=scenario), LabelObjective(Labels(4), scenario)
    for objective in (classes, labels):
        objective.announce(1, (0, 1))
        objective.announce(2, (2, 3))
        assert int(torch.isfinite(objective.masked(z, 2)[0]).sum()) == count
        mixed = objective.masked(z, torch.tensor([2, 2, 2]))
        assert torch.equal(mixed, objective.masked(z, 2))
    p = z[:, 4 - count :].softmax(1)
    expected = -p.gather(1, (y - (4 - count))[:, None])[:, 0].log()
    torch.testing.assert_close(classes.losses(z, y, 2), expected)
    torch.testing.assert_close(classes.loss(z, y, 2), expected.mean())
    targets = torch.tensor([[0.0, 1, 1, 0]]).expand(3, 4)
    each = torch.nn.functional.binary_cross_entropy_with_logits(z, targets, reduction="none")
    torch.testing.assert_close(labels.losses(z, targets, 2), each[:, 4 - count :].sum(1))
    blocked = z.clone()
    if scenario == "task":
        blocked[:, :2] = -torch.inf  # as methods that isolate tasks answer
        torch.testing.assert_close(labels.losses(blocked, targets, 2), each[:, 2:].sum(1))


def test_outputs_that_nobody_announced_do_not_count_under_a_growing_head() -> None:
    z = random(4, 6)
    growing, whole = ClassObjective(scenario="class", announced_only=True), ClassObjective(scenario="class")
    for objective in (growing, whole):
        objective.announce(1, (4, 5))
    assert growing.masked(z, 1).argmax(1).min() >= 4
    torch.testing.assert_close(growing.losses(z, torch.full((4,), 4), 1), -z[:, 4:].log_softmax(1)[:, 0])
    assert torch.equal(whole.masked(z, 1), z)
    growing.announce(2, (0, 1, 2, 3))
    assert torch.equal(growing.masked(z, 1), z)


def test_class_weights_make_a_weighted_mean() -> None:
    z, y = random(5, 3), torch.tensor([0, 0, 0, 1, 2])
    objective = ClassObjective()
    objective.weight_C = torch.tensor([0.5, 2.0, 3.0])
    expected = torch.nn.functional.cross_entropy(z, y, objective.weight_C)
    torch.testing.assert_close(objective.loss(z, y, 1), expected)
    apart = ClassObjective(scenario="task")
    apart.announce(1, (0, 1, 2))
    apart.weight_C = objective.weight_C
    torch.testing.assert_close(apart.loss(z, y, 1), expected)
    torch.testing.assert_close(apart.loss(z, y, torch.ones(5).long()), expected)


def test_numbers_of_a_task_are_its_own_outputs() -> None:
    objective = NumberObjective(Numbers(4), "task")
    objective.announce(1, (0, 1))
    objective.announce(2, (2, 3))
    f, y = random(3, 4), random(3, 2, seed=1)
    torch.testing.assert_close(objective.losses(f, y, 2), 0.5 * (f[:, 2:] - y).square().sum(1))
    both = objective.losses(f, y, torch.tensor([1, 2, 1]))
    assert float(both[0]) == pytest.approx(float(0.5 * (f[0, :2] - y[0]).square().sum()))


@pytest.mark.parametrize(
    ("objective", "target", "message"),
    [
        (ClassObjective(), torch.zeros(3), "int64 labels"),
        (ClassObjective(), torch.zeros(3, 2).long(), "one label per example"),
        (ClassObjective(), torch.tensor([0, -1]), "0 or more"),
        (NumberObjective(), torch.zeros(3), r"y\[:, None\]"),
        (NumberObjective(), torch.tensor([[0.0], [math.nan]]), "row 1 is NaN"),
        (LabelObjective(), torch.tensor([[0.0, 0.5]]), "0 or 1, got"),
        (TokenObjective(Tokens(5)), torch.tensor([[0, 5]]), "0 … 4, got 0 … 5"),
        (TokenObjective(Tokens(5)), torch.zeros(3).long(), "int64 tokens"),
    ],
)
def test_targets_of_another_kind_are_refused(objective: Objective, target: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        objective.check(target, "the data")


def test_tasks_with_targets_of_their_own_are_learned_by_their_own_objective() -> None:
    mixed = MixedObjective()
    classes, numbers = mixed.add(1, Space((4,), 3)), mixed.add(2, Space((2,), Numbers(1)))
    assert (classes.name, numbers.name) == ("classes", "numbers")
    assert mixed.add(3, Space((4,), 3)) is classes
    answer, y = random(5, 3), torch.tensor([0, 1, 2, 0, 1])
    assert torch.equal(mixed.losses(answer, y, 1), classes.losses(answer, y, 1))
    f, target = random(5, 1), random(5, 1, seed=1)
    assert torch.equal(mixed.loss(f, target, torch.full((5,), 2)), numbers.loss(f, target, 2))
    with pytest.raises(SettingError, match="task 9 is unknown"):
        mixed.losses(answer, y, 9)


def test_a_target_that_a_scenario_does_not_know_is_refused() -> None:
    with pytest.raises(SettingError, match=r"numbers.*only in task, domain"):
        objective_for(Numbers(2), "class")
