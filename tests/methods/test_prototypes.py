"""Prototypes against the statistics written down in numpy over all examples at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lifelong.errors import SettingError
from lifelong.methods import NCM, SLDA, RanPAC
from lifelong.methods.closed_form import ClassMeans, ClosedForm, means_of, merged, scatter
from lifelong.models import Network
from lifelong.streams import Stream, stream
from lifelong.training import Learner
from lifelong.types import Scenario, Space, Task

THREE: list[ClosedForm[Any]] = [NCM(), SLDA(shrinkage=0.01), RanPAC(width=40, ridge=0.1)]
X = torch.randn(20, 6, generator=torch.Generator().manual_seed(5)) * 2


def learned(method: ClosedForm[Any], stream: Stream, order: tuple[int, ...] = (1, 2, 3), **settings: Any) -> Learner:
    learner = Learner("mlp:12", method, stream.space, seed=1, **settings)
    for number in order:
        learner.learn(stream.task(number))
    return learner


def everything(stream: Stream) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    x = np.concatenate([task.train.x.double().numpy() for task in stream])
    return x, np.concatenate([task.train.y.numpy() for task in stream])


def shuffled(task: Task) -> Task:
    order = torch.randperm(len(task.train), generator=torch.Generator().manual_seed(3))
    return Task.of(task.number, train=(task.train.x[order], task.train.y[order]), test=(task.test.x, task.test.y))


@pytest.mark.parametrize("scenario", ["class", "domain"])
def test_ncm_is_the_nearest_mean(clouds: Callable[..., Stream], scenario: Scenario) -> None:
    stream = clouds(scenario)
    x, y = everything(stream)
    found = learned(NCM(), stream).logits(X)
    for row, one in enumerate(X.double().numpy()):
        for label in range(int(y.max()) + 1):
            expected = -float(((one - x[y == label].mean(0)) ** 2).sum())
            assert float(found[row, label]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scenario", ["class", "domain"])
def test_slda_is_the_discriminant_of_one_covariance(clouds: Callable[..., Stream], scenario: Scenario) -> None:
    stream = clouds(scenario)
    x, y = everything(stream)
    found = learned(SLDA(shrinkage=0.3), stream).logits(X)
    means = np.stack([x[y == label].mean(0) for label in range(int(y.max()) + 1)])
    covariance = np.zeros((6, 6))
    for one, label in zip(x, y, strict=True):
        covariance += np.outer(one - means[label], one - means[label]) / len(x)
    inverse = np.linalg.inv(0.7 * covariance + 0.3 * np.eye(6))
    for row, one in enumerate(X.double().numpy()):
        for label, mean in enumerate(means):
            expected = mean @ inverse @ one - 0.5 * mean @ inverse @ mean
            assert float(found[row, label]) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_slda_shrunk_to_a_ball_is_ncm(clouds: Callable[..., Stream]) -> None:
    stream = clouds("class")
    apart = 2 * learned(SLDA(shrinkage=1.0), stream).logits(X) - learned(NCM(), stream).logits(X)
    assert torch.allclose(apart, apart[:, :1].expand_as(apart), atol=1e-3)


@pytest.mark.parametrize("scenario", ["class", "domain"])
def test_ranpac_is_ridge_regression_on_all_examples(clouds: Callable[..., Stream], scenario: Scenario) -> None:
    stream = clouds(scenario)
    x, y = everything(stream)
    learner = learned(RanPAC(width=30, ridge=0.5), stream)
    projection = learner.state.projection_DM.double().numpy()
    hidden = np.maximum(x @ projection, 0)
    targets = np.eye(int(y.max()) + 1)[y]
    weights = np.linalg.solve(hidden.T @ hidden + 0.5 * np.eye(30), hidden.T @ targets)
    expected = np.maximum(X.double().numpy() @ projection, 0) @ weights
    assert np.allclose(learner.logits(X).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("width", [20, 200])
def test_ranpac_chooses_the_ridge_of_generalised_cross_validation(clouds: Callable[..., Stream], width: int) -> None:
    """With fewer examples than units and with more, it chooses as a loop over all λ and the whole hat matrix does."""
    learner = learned(RanPAC(width=width), clouds("class"))
    X_N, y_N = (torch.cat(parts) for parts in zip(*((t.train.x, t.train.y) for t in clouds("class")), strict=True))
    hidden = torch.relu(X_N.double() @ learner.state.projection_DM.double()).numpy()
    targets, count = np.eye(6)[y_N.numpy()], len(y_N)
    errors = []
    for power in range(-8, 9):
        hat = hidden @ np.linalg.solve(hidden.T @ hidden + 10.0**power * np.eye(width), hidden.T)
        residual = ((targets - hat @ targets) ** 2).sum()
        errors.append(count * residual / (count - np.trace(hat)) ** 2)
    chosen = errors[round(np.log10(learner.state.ridge)) + 8]
    assert chosen <= min(errors) * (1 + 1e-6)
    assert chosen < 0.9 * max(errors)


@pytest.mark.parametrize(
    ("name", "scenario", "method"),
    [("split-digits", "class", RanPAC()), ("permuted-digits", "domain", RanPAC(width=600))],
)
def test_ranpac_depends_on_no_order_and_answers_well(name: str, scenario: Scenario, method: RanPAC) -> None:
    digits = stream(name, scenario=scenario, tasks=2)
    first, other, mixed = (Learner("linear", method, digits.space, seed=1) for _ in range(3))
    for task, last in zip(digits, reversed(digits.tasks), strict=True):
        first.learn(task)
        other.learn(last)
        mixed.learn(shuffled(task))
    asked = torch.cat([task.test.x for task in digits])
    for twin in (other, mixed):
        torch.testing.assert_close(twin.logits(asked), first.logits(asked), rtol=0, atol=1e-4)
    assert min(first.evaluate(digits)) > 0.97


@pytest.mark.parametrize("method", THREE, ids=lambda m: m.name)
def test_neither_the_order_of_examples_nor_of_tasks_matters(
    method: ClosedForm[Any], clouds: Callable[..., Stream]
) -> None:
    stream = clouds("class")
    first = learned(method, stream)
    other = learned(method, stream, (3, 1, 2))
    mixed = Learner("mlp:12", method, stream.space, seed=1)
    for task in stream:
        mixed.learn(shuffled(task))
    assert torch.allclose(first.logits(X), other.logits(X), atol=1e-4)
    assert torch.allclose(first.logits(X), mixed.logits(X), atol=1e-4)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=5), st.integers(0, 1000))
def test_statistics_of_parts_are_those_of_the_whole(sizes: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    h_ND = 100 + torch.randn(sum(sizes), 3, generator=generator).double()
    y_N = torch.randint(4, (sum(sizes),), generator=generator)
    whole = means_of(h_ND, y_N, 4)
    scatter_DD = scatter(ClassMeans(), whole, h_ND, y_N)
    parts, sums_DD = ClassMeans(), torch.zeros(3, 3).double()
    for h_BD, y_B in zip(h_ND.split(sizes), y_N.split(sizes), strict=True):
        new = means_of(h_BD, y_B, int(max(y_B.max() + 1, len(parts.count_C))))
        sums_DD += scatter(parts, new, h_BD, y_B)
        parts = merged(parts, new)
    seen = len(parts.count_C)
    assert torch.allclose(whole.mean_CD[:seen], parts.mean_CD)
    assert torch.equal(whole.count_C[:seen], parts.count_C)
    assert torch.allclose(scatter_DD, sums_DD, atol=1e-8)


@pytest.mark.parametrize("budget", [{"epochs": 3}, {"iterations": 7}])
@pytest.mark.parametrize("method", THREE, ids=lambda m: m.name)
def test_no_step_is_taken(method: ClosedForm[Any], budget: dict[str, int], clouds: Callable[..., Stream]) -> None:
    stream = clouds("domain")
    learner = Learner("mlp:12", method, stream.space, momentum=0.9, weight_decay=0.1, **budget)
    before, steps = learner.flat.theta_P.detach().clone(), []
    learner.learn(stream.task(1), on_step=steps.append)
    assert steps == []
    assert torch.equal(learner.flat.theta_P, before)
    assert learner.accuracy(stream.task(1)) > 0.9


@pytest.mark.parametrize("method", THREE, ids=lambda m: m.name)
def test_the_network_answers_for_what_was_never_seen(method: ClosedForm[Any], clouds: Callable[..., Stream]) -> None:
    by_task, by_class = clouds("task"), clouds("class")
    learner = Learner("mlp:12", method, by_task.space, seed=1)
    plain = Learner("mlp:12", None, by_task.space, seed=1)
    row_0 = plain.evaluate(by_task)
    assert learner.evaluate(by_task) == row_0
    learner.learn(by_task.task(1))
    assert learner.evaluate(by_task)[1:] == row_0[1:]
    learner = Learner("mlp:12", method, by_class.space, seed=1)
    learner.learn(by_class.task(2))
    logits = learner.logits(X)
    assert bool((logits[:, :2] == float("-inf")).all())
    assert bool(torch.isfinite(logits[:, 2:]).all())
    assert learner.accuracy(by_class.task(3)) == 0


def test_features_may_come_from_the_backbone_that_was_given(clouds: Callable[..., Stream]) -> None:
    stream = clouds("class")
    learner = learned(NCM(features="backbone"), stream)
    assert isinstance(learner.model, Network)
    task = stream.task(2)
    with torch.no_grad():
        features = learner.model.backbone(task.train.x).double()
    for label in task.classes:
        assert torch.allclose(learner.state.mean_CD[label], features[task.train.y == label].mean(0))
    with pytest.raises(SettingError, match="use features='raw' or give"):
        Learner(nn.Linear(6, 2), SLDA(features="backbone"), Space((6,), 2))
    own = Learner(nn.Linear(6, 6), NCM(), stream.space)
    own.learn(stream.task(1))
    assert own.accuracy(stream.task(1)) > 0.9


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NCM(features="pixels"), "ncm.features must be auto, raw or backbone, got 'pixels'"),  # pyrefly: ignore
        (lambda: SLDA(shrinkage=0.0), "slda.shrinkage must be"),
        (lambda: RanPAC(width=0), "ranpac.width must be 1 or more"),
        (lambda: RanPAC(ridge=-1.0), "ranpac.ridge must be 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make()


def test_singular_statistics_are_no_special_case(clouds: Callable[..., Stream]) -> None:
    x = torch.tensor([[1.0, 0.0, 0.0]] * 4 + [[0.0, 1.0, 0.0]] * 4)
    y = torch.tensor([0] * 4 + [1] * 4)
    task = Task.of(1, train=(x, y), test=(x, y))
    for method in (SLDA(), RanPAC(width=50, ridge=0.0), RanPAC(width=50)):
        learner = Learner("linear", method, Space((3,), 2, "domain"))
        learner.learn(task)
        logits: Tensor = learner.logits(x)
        assert bool(torch.isfinite(logits).all())
        assert learner.accuracy(task) == 1
