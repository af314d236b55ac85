"""LwF, iCaRL and what they share, against slow twins written from their formulas, in float64."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.errors import SettingError
from lifelong.memory import herd
from lifelong.methods import ICaRL, LwF, Method, Step
from lifelong.methods.icarl import ICaRLState
from lifelong.methods.inference import answers, snapshot
from lifelong.objectives import softmax_distance
from lifelong.streams import Stream
from lifelong.training import Learner
from lifelong.types import Examples, HeadKind, Scenario, Space

Clouds = Callable[..., Stream]


def inputs(state: ICaRLState) -> list[Tensor]:
    """The exemplars of each class."""
    return [rows.tree("x") for rows in state.exemplars]


LR = 0.3


def test_a_snapshot_answers_as_the_network_did() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    learner = Learner(network, space=Space((5,), 3))
    x = torch.randn(7, 5)
    network.eval()
    then = network(x).detach()
    kept = snapshot(learner)
    network.train()
    network(100 * torch.randn(7, 5))
    with torch.no_grad():
        learner.flat.theta_P.mul_(2.0)
    now = {name: value.clone() for name, value in network.state_dict().items()}
    batch = Examples(x, torch.zeros(7, dtype=torch.int64), 1)
    forward = partial(learner.method.forward, learner.state, learner)
    step = Step(learner, forward, batch, 1, 1, 1, 1, 1, 0.1, 10.0)
    assert torch.equal(answers(step, kept, x, 1), then)
    assert all(torch.equal(now[name], value) for name, value in network.state_dict().items())
    assert network.training


def slow_distance(now: Tensor, then: Tensor, T: float) -> Tensor:
    """T² Σ p log(p / q), one output at a time; p = exp(z*/T) / Σ exp(z*/T)."""
    total = torch.zeros((), dtype=torch.float64)
    for z, z_star in zip(now, then, strict=True):
        q, p = (torch.exp(v / T) / torch.exp(v / T).sum() for v in (z, z_star))
        for a, b in zip(p, q, strict=True):
            if float(a) > 0:
                total = total + a * torch.log(a / b)
    return T**2 * total / len(now)


def test_distance_is_the_divergence_and_passes_over_outputs_that_do_not_count() -> None:
    torch.manual_seed(0)
    now, then = torch.randn(2, 4, 5, dtype=torch.float64)
    now.requires_grad_()
    assert torch.allclose(softmax_distance(now, then, 3.0), slow_distance(now, then, 3.0))
    hidden = torch.tensor([False, True, False, True, False])
    cut = softmax_distance(now.masked_fill(hidden, -math.inf), then.masked_fill(hidden, -math.inf), 3.0)
    assert torch.allclose(cut, slow_distance(now[:, ~hidden], then[:, ~hidden], 3.0))
    (grad,) = torch.autograd.grad(cut, now)
    assert bool(torch.isfinite(grad).all())
    assert float(grad[:, hidden].abs().max()) == 0


def two_steps(
    stream: Stream, method: Method[object], loss: Callable[[nn.Module, nn.Module, Learner], Tensor]
) -> tuple[Tensor, Tensor]:
    """θ after two whole-batch steps on the last task, by the learner and by `loss(model, teacher, learner)`."""
    learner = Learner("mlp:7", method, stream.space, iterations=2, batch=1000, lr=LR, seed=2)
    for task in stream:
        if task.number == len(stream):
            break
        learner.learn(task)
    learner._announce(task)
    teacher = copy.deepcopy(learner.model).double()
    slow = copy.deepcopy(teacher)
    trained = copy.deepcopy(learner.method.examples(learner.state, task.train))
    steps = learner.training.steps(len(trained), len(task.train))
    for _ in range(steps):
        parameters = list(slow.parameters())
        grads = torch.autograd.grad(loss(slow, teacher, learner), parameters)
        with torch.no_grad():
            for p, g in zip(parameters, grads, strict=True):
                p -= LR * g
    learner.learn(task)
    theta = torch.cat([p.detach().reshape(-1) for p in slow.parameters()])
    return learner.flat.theta_P.detach().double(), theta


@pytest.mark.parametrize(("per", "weight"), [("softmax", 1), ("task", 2)])
@pytest.mark.parametrize("scenario", ["task", "domain", "class"])
def test_lwf_holds_the_old_outputs_in_groups_of_one_softmax(
    clouds: Clouds, scenario: Scenario, per: Literal["softmax", "task"], weight: int
) -> None:
    stream = clouds(scenario)
    task = stream.task(3).train
    x = task.x.double()
    groups = {"task": [[0, 1], [2, 3]], "domain": [[0, 1]], "class": [[0, 1, 2, 3]]}[scenario]
    allowed = {"task": [4, 5], "domain": [0, 1], "class": [0, 1, 2, 3, 4, 5]}[scenario]

    def loss(model: nn.Module, teacher: nn.Module, _: Learner) -> Tensor:
        now, then = model(x), teacher(x).detach()
        new = -torch.log_softmax(now[:, allowed], 1)[range(len(x)), task.y - allowed[0]].mean()
        strength = 0.7 * (weight if len(groups) == 1 else 1)
        return new + strength * sum(slow_distance(now[:, group], then[:, group], 2.0) for group in groups)

    ours, slow = two_steps(stream, LwF(strength=0.7, temperature=2.0, per=per), loss)
    assert torch.allclose(ours, slow, atol=1e-5)


def test_lwf_over_all_outputs_holds_new_classes_at_nothing(clouds: Clouds) -> None:
    stream = clouds("class")
    task = stream.task(3).train
    x = task.x.double()

    def loss(model: nn.Module, teacher: nn.Module, _: Learner) -> Tensor:
        now, then = model(x), teacher(x).detach()
        new = -torch.log_softmax(now, 1)[range(len(x)), task.y].mean()
        old = F.pad(then[:, :4], (0, 2), value=-math.inf)
        return new + 0.7 * slow_distance(now, old, 2.0)

    ours, slow = two_steps(stream, LwF(strength=0.7, temperature=2.0, over="all"), loss)
    assert torch.allclose(ours, slow, atol=1e-5)


def test_lwf_keeps_old_answers_as_its_strength_grows(clouds: Clouds) -> None:
    stream = clouds("domain", tasks=2)
    moved = []
    for strength in (0.0, 1.0, 3.0):
        learner = Learner("mlp:12", LwF(strength=strength, temperature=2.0), stream.space, epochs=5, lr=0.02, seed=1)
        learner.learn(stream.task(1))
        x = stream.task(2).train.x
        then = learner.logits(x).softmax(1)
        learner.learn(stream.task(2))
        moved.append(float((learner.logits(x).softmax(1) - then).abs().mean()))
    assert moved[0] > 1.5 * moved[1]
    assert moved[1] > 1.5 * moved[2]


rows = st.lists(st.tuples(*[st.floats(-2, 2)] * 3), min_size=1, max_size=12)


@given(rows, st.integers(1, 14))
def test_herding_is_the_greedy_definition_on_normal_features(points: list[tuple[float, ...]], size: int) -> None:
    h = F.normalize(torch.tensor(points, dtype=torch.float64), dim=1)
    chosen = herd(h, size).tolist()
    assert len(set(chosen)) == len(chosen) == min(size, len(points))
    mean, total = h.mean(0), torch.zeros(3, dtype=torch.float64)
    for number, pick in enumerate(chosen, start=1):
        rest = [n for n in range(len(h)) if n not in chosen[: number - 1]]
        gaps = {n: float((mean - (total + h[n]) / number).norm()) for n in rest}
        assert gaps[pick] <= min(gaps.values()) + 1e-6, "several may be equally near"
        total = total + h[pick]


@pytest.mark.parametrize("scenario", ["task", "class"])
def test_icarl_learns_new_labels_and_old_answers_with_its_exemplars(clouds: Clouds, scenario: Scenario) -> None:
    stream = clouds(scenario, tasks=2)
    task = stream.task(2).train

    def loss(model: nn.Module, teacher: nn.Module, learner: Learner) -> Tensor:
        state = learner.state
        x = torch.cat([task.x, *inputs(state)]).double()
        y = [
            *task.y.tolist(),
            *(label for label, kept in zip(state.classes, state.exemplars, strict=True) for _ in range(len(kept))),
        ]
        total = torch.zeros((), dtype=torch.float64)
        for g, g_old, label in zip(model(x).sigmoid(), teacher(x).sigmoid().detach(), y, strict=True):
            for output in range(4):
                q = g_old[output] if output < 2 else float(output == label)
                total = total - q * torch.log(g[output]) - (1 - q) * torch.log(1 - g[output])
        return total / len(x)

    ours, slow = two_steps(stream, ICaRL(capacity=10), loss)
    assert torch.allclose(ours, slow, atol=1e-5)


def test_icarl_shares_its_places_and_answers_by_the_nearest_mean(clouds: Clouds) -> None:
    stream = clouds("class")
    learner = Learner("mlp:12", ICaRL(capacity=13), stream.space, epochs=3, batch=10)
    assert torch.equal(learner.logits(torch.ones(2, 6)), learner.model(torch.ones(2, 6)))
    former: dict[int, Tensor] = {}
    for task in stream:
        learner.learn(task)
        state = learner.state
        assert state.classes == list(range(2 * task.number))
        assert [len(x) for x in state.exemplars] == [13 // (2 * task.number)] * len(state.classes)
        for label, x in zip(state.classes, inputs(state), strict=True):
            if label in former:
                assert torch.equal(former[label][: len(x)], x), "the first of those held before are kept"
            former[label] = x
    features = copy.deepcopy(learner.model.backbone).double().requires_grad_(False)
    x = torch.cat([task.test.x for task in stream])
    answer = []
    means = [F.normalize(features(x.double()), dim=1).mean(0) for x in inputs(learner.state)]
    for one in F.normalize(features(x.double()), dim=1):
        gaps = [float((one - mean / mean.norm()).norm()) for mean in means]
        answer.append(gaps.index(min(gaps)))
    assert learner.predict(x).tolist() == answer


def test_icarl_keeps_the_examples_that_herding_chooses(clouds: Clouds) -> None:
    stream = clouds("class", tasks=1)
    learner = Learner("mlp:12", ICaRL(capacity=8), stream.space, epochs=2)
    learner.learn(stream.task(1))
    train = stream.task(1).train
    for label, kept in zip(learner.state.classes, inputs(learner.state), strict=True):
        x = train.x[train.y == label]
        h = F.normalize(learner.model.backbone(x).detach().double(), dim=1)
        assert torch.equal(kept, x[herd(h, 4)])


@pytest.mark.parametrize("head", ["all", "growing"])
def test_icarl_leaves_the_outputs_of_classes_not_seen_yet_alone(head: HeadKind, clouds: Clouds) -> None:
    stream = clouds("class")
    learner = Learner("mlp:12", ICaRL(), stream.space, head=head, lr=0.1, batch=10)
    for number, seen in ((1, 2), (2, 4)):
        learner._announce(stream.task(number))
        before = [p.detach().clone() for p in (learner.model.head.weight, learner.model.head.bias)]
        learner.learn(stream.task(number))
        after = [p.detach() for p in (learner.model.head.weight, learner.model.head.bias)]
        for then, now in zip(before, after, strict=True):
            assert torch.equal(then[seen:], now[seen:])
            assert bool(
                (then[:seen] != now[:seen]).any(-1).all() if then.ndim > 1 else (then[:seen] != now[:seen]).all()
            )


def test_icarl_needs_a_network_that_shows_its_features(clouds: Clouds) -> None:
    with pytest.raises(SettingError, match=r"lifelong\.models\.with_head"):
        Learner(nn.Linear(6, 2), ICaRL(), Space((6,), 2, "class"))
    stream = clouds("class", tasks=2)
    learner = Learner("mlp:12", ICaRL(capacity=3), stream.space)
    learner.learn(stream.task(1))
    with pytest.raises(SettingError, match="each of 4 classes"):
        learner.learn(stream.task(2))
