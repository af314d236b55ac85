"""Springs: many are one, the extremes hold, and no stiffness diverges."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lifelong.methods import EWC, Finetune
from lifelong.methods.quadratic_penalty import Spring, merge, penalty_gradient, proximal_step
from lifelong.streams import Stream
from lifelong.streams import stream as stream_named
from lifelong.training import Learner

numbers = st.floats(-5, 5)
importances = st.one_of(st.just(0.0), st.floats(0.01, 10))


@given(st.lists(st.tuples(importances, numbers), min_size=1, max_size=6), numbers)
def test_a_sum_of_springs_is_one_spring(springs: list[tuple[float, float]], theta: float) -> None:
    one = Spring(torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    for importance, centre in springs:
        one = merge(one, torch.tensor([importance], dtype=torch.float64), torch.tensor([centre], dtype=torch.float64))
    expected = sum(importance * (theta - centre) for importance, centre in springs)
    grad = penalty_gradient(
        one,
        1.0,
        torch.tensor([theta], dtype=torch.float64),
        torch.zeros(1, dtype=torch.float64),
        max_stable_stiffness=1e9,
    )
    assert float(grad) == pytest.approx(expected, abs=1e-9)


def test_online_decays_and_moves_the_centre() -> None:
    spring = Spring(torch.tensor([4.0]), torch.tensor([1.0]), 4.0)
    spring = merge(spring, torch.tensor([1.0]), torch.tensor([3.0]), decay=0.5, online=True)
    assert (float(spring.importance_P), float(spring.centre_P)) == (3.0, 3.0)


@given(st.floats(0, 1e6), st.floats(1e-3, 1), numbers, numbers, numbers)
def test_the_step_is_stable_for_every_stiffness(s: float, lr: float, theta: float, centre: float, g: float) -> None:
    """Explicit part and implicit rest together never overshoot: |θ' − c| ≤ |θ − c| + lr |g|."""
    spring = Spring(torch.tensor([s], dtype=torch.float64), torch.tensor([centre], dtype=torch.float64), s)
    theta_P = torch.tensor([theta], dtype=torch.float64)
    grad_P = penalty_gradient(spring, 1.0, theta_P, torch.tensor([g], dtype=torch.float64), 1 / lr)
    theta_P = theta_P - lr * grad_P
    proximal_step(spring, 1.0, theta_P, lr, 1 / lr)
    assert abs(float(theta_P) - centre) <= abs(theta - centre) + lr * abs(g) + 1e-9


def test_soft_springs_are_the_plain_gradient_of_the_penalty() -> None:
    torch.manual_seed(0)
    F, c, theta, g = torch.rand(9), torch.randn(9), torch.randn(9), torch.randn(9)
    spring = Spring(F, c, float(F.max()))
    x = theta.clone().requires_grad_()
    (penalty,) = torch.autograd.grad(0.5 * 7.0 * (F * (x - c) ** 2).sum(), x)
    assert torch.allclose(
        penalty_gradient(spring, 7.0, theta, g.clone(), max_stable_stiffness=100.0), g + penalty, rtol=1e-5, atol=1e-6
    )


def learned(stream: Stream, method: EWC | Finetune, optimizer: str = "sgd") -> Learner:
    learner = Learner("mlp:16", method, stream.space, optimizer=optimizer, lr=0.05, epochs=2, seed=3)
    for task in stream:
        learner.learn(task)
    return learner


def test_strength_zero_is_fine_tuning_bit_for_bit(clouds: Callable[..., Stream]) -> None:
    stream = clouds("domain")
    for optimizer in ("sgd", "adam"):
        ewc, plain = learned(stream, EWC(strength=0.0), optimizer), learned(stream, Finetune(), optimizer)
        assert torch.equal(ewc.flat.theta_P, plain.flat.theta_P)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("strength", [1e12, float("inf")])
def test_weights_do_not_move_as_strength_grows(clouds: Callable[..., Stream], strength: float, optimizer: str) -> None:
    stream = clouds("domain", tasks=2)
    learner = Learner("mlp:16", EWC(strength=strength), stream.space, optimizer=optimizer, lr=0.05, epochs=2)
    learner.learn(stream.task(1))
    before = learner.flat.theta_P.detach().clone()
    held = learner.state.importance_P > 1e-6
    assert int(held.sum()) > 20
    learner.learn(stream.task(2))
    after = learner.flat.theta_P.detach()
    assert bool(torch.isfinite(after).all())
    assert torch.allclose(after[held], before[held], atol=0 if strength == float("inf") else 1e-4)


def test_ewc_keeps_an_old_task_better_than_fine_tuning() -> None:
    digits = stream_named("permuted-digits", tasks=2)
    kept, lost = (
        Learner("mlp:32", method, digits.space, epochs=5, lr=0.1) for method in (EWC(strength=1000.0), Finetune())
    )
    for task in digits:
        kept.learn(task)
        lost.learn(task)
    assert kept.accuracy(digits.task(1)) > lost.accuracy(digits.task(1)) + 0.05
