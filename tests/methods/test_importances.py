"""What the springs measure, against slow float64 lives written from the formulas."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from lifelong.methods import L2, MAS, SCP, SI, Method, OnlineEWC, RWalk, Step, build
from lifelong.methods.fisher import fisher_diagonal
from lifelong.methods.mas import sensitivity
from lifelong.methods.scp import sliced_importance
from lifelong.streams import Stream
from lifelong.training import Learner
from lifelong.types import Examples, Scenario, Space

from .odd_networks import Bypassed, Folded, Reused, Unheard

SPRINGS = ["l2", "online-ewc", "si", "mas", "rwalk", "scp"]


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


def tied() -> nn.Module:
    one, other = nn.Linear(9, 9), nn.Linear(9, 9)
    other.weight = one.weight
    return nn.Sequential(one, nn.Tanh(), other, nn.Linear(9, 4))


NETWORKS = [in_place, Convolution, tied, Bypassed, Reused, Folded, Unheard]


def knowing(network: Callable[[], nn.Module], scenario: Scenario) -> tuple[Learner, Examples, list[int]]:
    """A learner that knows two tasks, examples of the second, and the outputs that count for it."""
    torch.manual_seed(1)
    learner = Learner(network(), space=Space((9,), 4, scenario))
    learner.objective.announce(1, (0, 1))
    learner.objective.announce(2, (2, 3))
    task = Examples(torch.randn(13, 9), torch.tensor([2, 3] * 6 + [2]), 2)
    return learner, task, [2, 3] if scenario == "task" else [0, 1, 2, 3]


def gradient_of(value: Tensor, model: nn.Module) -> Tensor:
    grads = torch.autograd.grad(value, list(model.parameters()), retain_graph=True, materialize_grads=True)
    return torch.cat([grad.reshape(-1) for grad in grads])


@pytest.mark.parametrize("scenario", ["domain", "task"])
@pytest.mark.parametrize("network", NETWORKS)
def test_mas_is_the_mean_size_of_the_gradients_per_sample(network: Callable[[], nn.Module], scenario: Scenario) -> None:
    learner, task, counts = knowing(network, scenario)
    ours = sensitivity(learner, task)
    model = learner.model.double().eval()
    slow = [gradient_of(model(x[None])[0, counts].square().sum(), model).abs() for x in task.x.double()]
    assert torch.allclose(ours.double(), torch.stack(slow).mean(0), rtol=1e-4, atol=1e-6)
    assert float(ours.max()) > 0


def test_mas_looks_at_no_label() -> None:
    learner, task, _ = knowing(in_place, "domain")
    assert torch.equal(sensitivity(learner, task), sensitivity(learner, Examples(task.x, 0 * task.y, 2)))


@pytest.mark.parametrize("scenario", ["domain", "task"])
@pytest.mark.parametrize("projections", [1, 7])
@pytest.mark.parametrize("network", NETWORKS)
def test_scp_is_the_mean_over_directions_of_the_mean_response(
    network: Callable[[], nn.Module], projections: int, scenario: Scenario
) -> None:
    learner, task, counts = knowing(network, scenario)
    same_numbers = torch.Generator()
    same_numbers.set_state(learner.generator.get_state())
    ours = sliced_importance(learner, task, projections)
    xi_LC = torch.randn(projections, len(counts), generator=same_numbers).double()
    model = learner.model.double().eval()
    mean_C = model(task.x.double())[:, counts].mean(0)
    slow = [gradient_of((xi_C / xi_C.norm()) @ mean_C, model).square() for xi_C in xi_LC]
    assert torch.allclose(ours.double(), torch.stack(slow).mean(0), rtol=1e-4, atol=1e-9)
    assert float(ours.max()) > 0


# --- whole lives: full batches, plain gradient descent, everything written out in float64 ---


class SlowLife:
    """Gradient descent on whole tasks with a penalty `Σ stiffness/2 (θ − centre)²` whose rule is given."""

    def __init__(self, learner: Learner, lr: float, steps: int) -> None:
        self.model = copy.deepcopy(learner.model).double()
        self.lr, self.steps = lr, steps
        self.centre = self.theta.clone()

    @property
    def theta(self) -> Tensor:
        return torch.cat([p.detach().reshape(-1) for p in self.model.parameters()])

    def gradient(self, task: Examples) -> Tensor:
        loss = nn.functional.cross_entropy(self.model(task.x.double()), task.y)
        return gradient_of(loss, self.model)

    def walk(self, task: Examples, stiffness: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The gradient of the task's loss alone and the displacement, step by step."""
        for _ in range(self.steps):
            g, before = self.gradient(task), self.theta
            theta = before - self.lr * (g + stiffness * (before - self.centre))
            nn.utils.vector_to_parameters(theta, self.model.parameters())
            yield g, theta - before
        self.centre = self.theta.clone()


LR, STEPS = 0.1, 7


def twins(method: Method, stream: Stream) -> tuple[Learner, SlowLife]:
    learner = Learner("mlp:5", method, stream.space, lr=LR, epochs=STEPS, batch=1000, seed=2)
    return learner, SlowLife(learner, LR, STEPS)


def test_si_is_the_path_integral_of_its_paper(clouds: Callable[..., Stream]) -> None:
    stream, c, xi = clouds("domain"), 0.5, 0.05
    learner, slow = twins(SI(strength=c, xi=xi), stream)
    omega = torch.zeros_like(slow.theta)
    for task in stream:
        learner.learn(task)
        start, path = slow.theta, torch.zeros_like(omega)
        for g, moved in slow.walk(task.train, 2 * c * omega.clamp_min(0)):
            path -= g * moved
        omega += path / ((slow.theta - start) ** 2 + xi)
        assert torch.allclose(learner.state.omega_P.double(), omega, rtol=1e-3, atol=1e-5)
        assert torch.allclose(learner.flat.theta_P.double(), slow.theta, rtol=1e-4, atol=1e-5)
    assert float(omega.max()) > 0.01, "aliasing live weights would give no importance at all"


@torch.no_grad()
def loss_on(learner: Learner, task: Examples) -> float:
    return float(nn.functional.cross_entropy(learner.model(task.x), task.y))


def test_si_in_small_steps_shares_out_the_fall_of_the_loss(clouds: Callable[..., Stream]) -> None:
    stream = clouds("domain")
    learner = Learner("mlp:5", SI(), stream.space, lr=0.005, epochs=60, batch=1000)
    before = loss_on(learner, stream.task(1).train)
    learner.learn(stream.task(1))
    fall = before - loss_on(learner, stream.task(1).train)
    assert fall > 0.05
    assert float(learner.state.path_P.sum()) == pytest.approx(fall, rel=0.02)


def test_si_measures_the_way_of_new_rows_from_where_they_began(clouds: Callable[..., Stream]) -> None:
    stream = clouds("class")
    learner = Learner("mlp:5", SI(), stream.space, lr=0.1)
    learner.learn(stream.task(1))
    old = learner.model.head.weight.detach().clone()
    learner.learn(stream.task(2))
    start = learner.flat.named(learner.state.start_P)["head.weight"]
    assert torch.equal(start, torch.cat([old, learner.model.head.initial_rows(2, 4)[0]]))


def test_si_keeps_negative_importance_but_never_repels(clouds: Callable[..., Stream]) -> None:
    stream = clouds("domain")
    learner = Learner("mlp:5", SI(), stream.space)
    learner.state.path_P.fill_(-1.0)
    state = learner.method.end_task(learner.state, learner, stream.task(1).train)
    assert float(state.omega_P.max()) < 0
    assert float(state.spring.importance_P.abs().max()) == 0


@pytest.mark.parametrize("name", ["si", "rwalk"])
def test_a_step_skipped_for_an_overflow_leaves_finite_numbers(name: str, clouds: Callable[..., Stream]) -> None:
    stream = clouds("domain")
    learner = Learner("mlp:5", build(name), stream.space)
    train = stream.task(1).train
    step = Step(learner, partial(learner.method.forward, learner.state, learner), train, 1, 1, 9, 1, 9, 0.1, 10.0)
    learner.method.gradient(learner.state, step, torch.full_like(step.theta_P, float("inf")))
    learner.method.after_step(learner.state, step)
    state = learner.method.end_task(learner.state, learner, train)
    assert bool(torch.isfinite(state.path_P).all())
    assert bool(torch.isfinite(state.spring.importance_P).all())


def to_one(v: Tensor) -> Tensor:
    return (v - v.min()) / (v.max() - v.min())


def test_rwalk_is_the_walk_of_its_paper(clouds: Callable[..., Stream]) -> None:
    stream, lam, alpha, eps, interval = clouds("domain"), 0.5, 0.7, 1e-3, 3
    learner, slow = twins(RWalk(lam, alpha, interval, eps), stream)
    P = len(slow.theta)
    fisher, score, importance = (torch.zeros(P, dtype=torch.float64) for _ in range(3))
    for number, task in enumerate(stream):
        learner.learn(task)
        path, fall, way = (torch.zeros(P, dtype=torch.float64) for _ in range(3))
        for step, (g, moved) in enumerate(slow.walk(task.train, 2 * lam * importance), start=1):
            fisher = alpha * g**2 + (1 - alpha) * fisher
            fall, way = fall - g * moved, way + moved
            if step % interval == 0 or step == STEPS:
                path += fall.clamp_min(0) / (0.5 * fisher * way**2 + eps)
                fall, way = torch.zeros_like(fall), torch.zeros_like(way)
        score = path if number == 0 else 0.5 * (score + path)
        importance = to_one(fisher) + to_one(score)
        assert torch.allclose(learner.state.spring.importance_P.double(), importance, rtol=1e-3, atol=1e-4)
        assert torch.allclose(learner.flat.theta_P.double(), slow.theta, rtol=1e-4, atol=1e-5)
        assert float(importance.max()) > 0.99


@pytest.mark.parametrize(("method", "scale"), [(L2(0.3), 0.3), (MAS(0.02), 0.04), (SCP(0.2), 0.4)])
def test_a_life_is_gradient_descent_on_the_penalty_of_the_card(
    method: Method, scale: float, clouds: Callable[..., Stream]
) -> None:
    """`scale` is λ where the card has λ/2, and 2 λ where it has λ."""
    stream = clouds("domain")
    learner, slow = twins(method, stream)
    importance = torch.zeros_like(slow.theta)
    for task in stream:
        learner.learn(task)
        assert scale * float(importance.max()) < 1 / LR, "soft enough for plain steps"
        list(slow.walk(task.train, scale * importance))
        assert torch.allclose(learner.flat.theta_P.double(), slow.theta, rtol=1e-4, atol=1e-5)
        importance = learner.state.importance_P.double()
        assert float(importance.max()) > 0


def test_mas_and_scp_add_up_and_l2_does_not(clouds: Callable[..., Stream]) -> None:
    stream = clouds("domain", tasks=2)
    of_first: dict[str, Tensor] = {}
    for method in (MAS(), L2()):
        learner = Learner("mlp:5", method, stream.space)
        learner.learn(stream.task(1))
        of_first[method.name] = learner.state.importance_P.clone()
        learner.learn(stream.task(2))
        newest = sensitivity(learner, stream.task(2).train) if method.name == "mas" else torch.zeros(())
        assert torch.allclose(learner.state.importance_P, of_first[method.name] + newest)
        assert torch.equal(learner.state.centre_P, learner.flat.theta_P.detach())
    assert torch.equal(of_first["l2"], torch.ones_like(of_first["l2"]))


def test_online_ewc_decays_what_was_and_pulls_to_the_newest(clouds: Callable[..., Stream]) -> None:
    stream = clouds("domain")
    learner = Learner("mlp:5", OnlineEWC(decay=0.5), stream.space)
    expected: Tensor | float = 0.0
    for task in stream:
        learner.learn(task)
        expected = 0.5 * expected + fisher_diagonal(learner, task.train, "true")
        assert torch.allclose(learner.state.importance_P, expected)
        assert torch.equal(learner.state.centre_P, learner.flat.theta_P.detach())


@pytest.mark.parametrize("name", SPRINGS)
def test_infinite_strength_holds_what_mattered_and_leaves_new_rows_free(
    name: str, clouds: Callable[..., Stream]
) -> None:
    stream = clouds("class", tasks=2)
    learner = Learner("mlp:5", build(name, {"strength": float("inf")}), stream.space, lr=0.05, epochs=2)
    learner.learn(stream.task(1))
    spring = getattr(learner.state, "spring", learner.state)
    before, held = learner.flat.theta_P.detach().clone(), spring.importance_P > 1e-6
    assert int(held.sum()) > 10
    old = learner.flat
    learner.learn(stream.task(2))
    after = learner.flat.theta_P.detach()
    assert bool(torch.isfinite(after).all())
    kept = learner.flat.carry(held.float(), old) > 0
    assert torch.equal(after[kept], learner.flat.carry(before, old)[kept])
    rows = learner.model.head.weight.detach()[2:]
    assert not torch.allclose(rows, learner.model.head.initial_rows(2, 4)[0], atol=1e-3)


@pytest.mark.parametrize("name", SPRINGS)
def test_settings_out_of_range_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}\.strength must be 0 or more, got -1"):
        build(name, {"strength": -1})
