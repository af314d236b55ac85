"""A-GEM, OGD and GPM: what they forbid does not happen, and nothing else is forbidden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from lifelong.errors import SettingError
from lifelong.methods import AGEM, GPM, OGD, Finetune, Method, Step, build
from lifelong.methods.agem import _drawn, without_conflict
from lifelong.methods.layers import layer_inputs, weight_layers
from lifelong.methods.ogd import OGDState
from lifelong.methods.per_sample import gradients
from lifelong.methods.projection import project
from lifelong.methods.subspace import extended, outside, principal
from lifelong.streams import Stream
from lifelong.training import Learner
from lifelong.types import Examples, Scenario, Space, Task

from .odd_networks import Bypassed, Reused, Unheard

vectors = st.lists(st.floats(-3, 3, width=32), min_size=4, max_size=4).map(torch.tensor)


# --- A-GEM ---


@given(vectors, vectors)
def test_agem_is_the_projection_on_one_halfspace(g: Tensor, r: Tensor) -> None:
    ours = without_conflict(g, r)
    if float(g @ r) >= 0 or float(r @ r) < 1e-6:
        assert float(g @ r) < 0 or torch.equal(ours, g)
        assert bool(torch.isfinite(ours).all())
    else:
        assert float(ours @ r) == pytest.approx(0, abs=1e-4)
        assert torch.allclose(ours, project(g, r[None]), atol=1e-4)  # the same as GEM's with one past task


def test_agem_takes_nothing_from_a_gradient_of_zero() -> None:
    g = torch.tensor([1.0, -2.0])
    assert torch.equal(without_conflict(g, torch.zeros(2)), g)


def test_agem_shares_its_memory_evenly(clouds: Callable[..., Stream]) -> None:
    stream = clouds("class", tasks=3)
    learner = Learner("mlp:5", AGEM(capacity=40), stream.space)
    for number in (1, 2, 3):
        learner.learn(stream.task(number))
        held = [len(learner.state.of(task)) for task in learner.state.tasks]
        assert held == [min(54, 40 // number)] * number
        assert len(learner.state) <= 40


def test_agem_steps_along_the_paper_s_gradient(clouds: Callable[..., Stream]) -> None:
    stream = clouds("task", tasks=3)
    learner = Learner("mlp:5", AGEM(capacity=30, replay_batch=1000), stream.space, epochs=2)
    for task in stream:
        learner.learn(task)
    step = Step(
        learner, partial(learner.method.forward, learner.state, learner), stream.task(3).train, 3, 1, 9, 1, 9, 0.1, 10.0
    )
    losses = [learner.objective.loss(learner.model(m.x), m.y, m.task) * len(m) for m in learner.state.past(3)]
    r = learner.flat.gradient(torch.stack(losses).sum() / 20)
    for g in (r + torch.randn(len(r)) * 0.01, -r + torch.randn(len(r)) * 0.01):
        expected = g - (g @ r) / (r @ r) * r if float(g @ r) < 0 else g
        assert torch.allclose(learner.method.gradient(learner.state, step, g.clone()), expected, atol=1e-5)


def test_agem_draws_stored_examples_evenly_and_none_twice() -> None:
    lengths, size, rounds = (3, 20, 7), 10, 3000
    ids = torch.arange(30.0).split(list(lengths))
    past = [Examples(x[:, None], x.long(), number) for number, x in enumerate(ids, start=1)]
    generator, counts = torch.Generator().manual_seed(0), Counter[int]()
    for _ in range(rounds):
        [batch] = _drawn(past, size, generator)
        labels = batch.y.tolist()
        assert len(set(labels)) == size
        assert torch.equal(batch.x[:, 0].long(), batch.y)
        assert batch.task_numbers().tolist() == [1 + (label >= 3) + (label >= 23) for label in labels]
        counts.update(labels)
    expected, spread = rounds * size / 30, (rounds * (1 / 3) * (2 / 3)) ** 0.5
    assert max(abs(counts[label] - expected) for label in range(30)) < 5 * spread


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("agem", {"capacity": -1}, r"agem\.capacity must be 0 or more, got -1"),
        ("agem", {"replay_batch": 0}, r"agem\.replay_batch must be 1 or more, got 0"),
        ("ogd", {"capacity": -1}, r"ogd\.capacity must be 0 or more, got -1"),
        ("gpm", {"threshold": 1.1}, r"gpm\.threshold must be in 0 … 1, got 1\.1"),
        ("gpm", {"samples": 0}, r"gpm\.samples must be 1 or more, got 0"),
    ],
)
def test_settings_out_of_range_are_named(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        build(name, settings)


# --- directions ---


def test_a_basis_stays_orthonormal_and_spans_what_it_was_given() -> None:
    torch.manual_seed(0)
    basis = torch.zeros(0, 50)
    seen: list[Tensor] = []
    for _ in range(4):
        rows = torch.randn(9, 50) * torch.logspace(-4, 3, 9)[:, None]
        rows = torch.cat([rows, rows[:2] + rows[3:5], 1e-3 * rows[:1], torch.zeros(1, 50), *[r[:1] for r in seen]])
        basis = extended(basis, rows)
        seen.append(rows)
        assert torch.allclose(basis @ basis.T, torch.eye(len(basis)), atol=1e-5)
    assert len(basis) == 36
    rows = torch.cat(seen)
    assert float((outside(rows, basis).norm(dim=1) / rows.norm(dim=1).clamp_min(1e-30)).max()) < 1e-3
    assert len(extended(basis, torch.randn(99, 50))) == 50


@pytest.mark.parametrize("shape", [(6, 20), (20, 6)])
def test_principal_directions_are_those_of_the_singular_values(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    rows = torch.randn(*shape, dtype=torch.float64)
    squares, directions = principal(rows)
    _, values, axes = torch.linalg.svd(rows, full_matrices=False)
    assert torch.allclose(squares, values**2)
    assert torch.allclose((directions * axes).sum(1).abs(), torch.ones(6, dtype=torch.float64))


# --- OGD ---


OPTIMIZERS = [{"optimizer": "sgd"}, {"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "adamw", "weight_decay": 0.1}]


@pytest.mark.parametrize("settings", OPTIMIZERS)
@pytest.mark.parametrize("scenario", ["domain", "class"])
def test_ogd_walks_orthogonally_with_any_optimiser(
    scenario: Scenario, settings: dict[str, object], clouds: Callable[..., Stream]
) -> None:
    stream = clouds(scenario)
    learner = Learner("mlp:12", OGD(capacity=12), stream.space, lr=0.02, epochs=2, **settings)
    learner.learn(stream.task(1))
    for number in (2, 3):
        past = len(learner.state.basis_KP)
        learner.learn(stream.task(number))
        basis = learner.state.basis_KP[:past]
        walked = learner.flat.theta_P.detach() - learner.state.start_P
        assert past >= 8 * (number - 1)
        assert float(walked.norm()) > 0.01
        assert float((basis @ walked).abs().max() / walked.norm()) < 1e-5
    basis = learner.state.basis_KP
    assert torch.allclose(basis @ basis.T, torch.eye(len(basis)), atol=1e-5)


class Twice(OGD):
    """The paper's way: every gradient is projected too, whatever the optimiser."""

    def gradient(self, state: OGDState, step: Step, grad_P: Tensor) -> Tensor:
        return outside(grad_P, state.basis_KP)


@pytest.mark.parametrize("settings", [{"momentum": 0.9, "weight_decay": 0.01}, {"optimizer": "adam", "lr": 0.02}])
def test_ogd_projects_every_gradient_where_that_makes_a_difference(
    settings: dict[str, object], clouds: Callable[..., Stream]
) -> None:
    stream, ways = clouds("domain"), []
    for method in (OGD(capacity=12), Twice(capacity=12)):
        learner = Learner("mlp:12", method, stream.space, epochs=2, **settings)
        for task in stream:
            learner.learn(task)
        ways.append(learner.flat.theta_P.detach() - learner.state.start_P)
    assert float((ways[0] - ways[1]).norm() / ways[1].norm()) < 1e-3


def test_ogd_stores_the_gradients_of_the_right_logits(clouds: Callable[..., Stream]) -> None:
    task = clouds("domain").task(1)
    learner = Learner("mlp:12", OGD(), clouds("domain").space)
    learner.learn(task)
    ten = zip(task.train.x[:10], task.train.y[:10], strict=True)
    rows = torch.stack([learner.flat.gradient(learner.model(x[None])[0, y]) for x, y in ten])
    assert torch.allclose(gradients(learner, task.train.at(slice(0, 10)), right_logit), rows, atol=1e-5)
    assert float(outside(rows, learner.state.basis_KP).norm() / rows.norm()) < 1e-3


def test_ogd_stores_the_gradients_of_layers_that_the_answer_does_not_hear_of() -> None:
    learner = Learner(Unheard(), OGD(), Space((9,), 4))
    task = Task.of(1, train=(torch.randn(10, 9), torch.arange(10) % 4))
    learner.learn(task)
    each = zip(task.train.x, task.train.y, strict=True)
    rows = torch.stack([learner.flat.gradient(learner.model(x[None])[0, y]) for x, y in each])
    assert torch.allclose(gradients(learner, task.train, right_logit), rows, atol=1e-5)
    assert float(outside(rows, learner.state.basis_KP).norm() / rows.norm()) < 1e-3


def right_logit(logits_BC: Tensor, y_B: Tensor, task: int | Tensor) -> Tensor:
    return logits_BC.gather(1, y_B[:, None])[:, 0]


def wide(scenario: Scenario, tasks: int = 2) -> Stream:
    """Few examples in many dimensions, so that past inputs leave room."""
    generator = torch.Generator().manual_seed(3)
    datasets: list[tuple[object, object]] = []
    for number in range(tasks):
        x = torch.randn(8, 1, 6, 6, generator=generator)
        y = torch.arange(8) % 2 + (0 if scenario == "domain" else 2 * number)
        datasets.append(((x, y), (x, y)))
    return Stream.from_datasets(datasets, scenario=scenario, validation=0.0)


def change_of_the_first_answers(method: Method, scenario: Scenario, model: str, **settings: object) -> Tensor:
    """How the logits on task 1 changed while task 2 was learned, for the outputs of task 1."""
    stream = wide(scenario)
    learner = Learner(model, method, stream.space, epochs=60, batch=4, **{"lr": 0.1, **settings})
    first, second = stream
    learner.learn(first)
    before = learner.logits(first.train.x, 1)[:, list(first.classes)]
    learner.learn(second)
    assert learner.accuracy(second) == 1.0, "there is room for the new task"
    return learner.logits(first.train.x, 1)[:, list(first.classes)] - before


@pytest.mark.parametrize("scenario", ["domain", "class", "task"])
def test_ogd_keeps_the_right_logits_of_a_linear_model_exactly(scenario: Scenario) -> None:
    """A linear model has no higher orders, so what holds to first order holds."""
    right = torch.arange(8) % 2
    kept = change_of_the_first_answers(OGD(), scenario, "linear")[range(8), right]
    assert float(kept.abs().max()) < 1e-4
    if scenario == "domain":
        lost = change_of_the_first_answers(Finetune(), scenario, "linear")[range(8), right]
        assert float(lost.abs().max()) > 0.1


# --- GPM ---


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adamw", "weight_decay": 0.01, "lr": 0.01}])
@pytest.mark.parametrize("scenario", ["domain", "class", "task"])
@pytest.mark.parametrize("model", ["linear", "mlp:30,30", "cnn:8"])
def test_gpm_with_threshold_1_changes_no_past_answer(
    model: str, scenario: Scenario, settings: dict[str, object]
) -> None:
    """Every layer keeps its answers to its past inputs, so the next layer's inputs are the same too."""
    kept = change_of_the_first_answers(GPM(threshold=1.0), scenario, model, **settings)
    assert float(kept.abs().max()) < 2e-4
    if (scenario, model) != ("task", "linear"):  # where rows are all there is, and those of the tasks are apart
        lost = change_of_the_first_answers(Finetune(), scenario, model, **settings)
        assert float(lost.abs().max()) > 0.1


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9, "weight_decay": 0.01}, {"optimizer": "adam", "lr": 0.01}])
@pytest.mark.parametrize("model", ["mlp:30,30", "cnn:8"])
def test_gpm_walks_orthogonally_to_the_stored_inputs_of_every_layer(model: str, settings: dict[str, object]) -> None:
    stream = wide("domain", tasks=3)
    learner = Learner(model, GPM(threshold=0.9), stream.space, epochs=10, batch=4, **{"lr": 0.05, **settings})
    for task in stream:
        bases = {name: basis_KD.clone() for name, basis_KD in learner.state.bases.items()}
        before = {name: value.detach().clone() for name, value in learner.model.named_parameters()}
        learner.learn(task)
        way = {name: value.detach() - before[name] for name, value in learner.model.named_parameters()}
        assert len(bases) > 1 or task.number == 1
        for name, basis_KD in bases.items():
            way_HD = torch.cat([way[f"{name}.weight"].flatten(1), way[f"{name}.bias"][:, None]], dim=1)
            assert float(way_HD.norm()) > 1e-3
            assert float((way_HD @ basis_KD.T).norm()) < 1e-5 * float(way_HD.norm())


def test_gpm_frees_only_rows_that_no_past_task_answers_with() -> None:
    """In the scenario `task` with the same classes in every task the rows are shared, and so protected."""
    x = torch.randn(2, 8, 36, generator=torch.Generator().manual_seed(0))
    tasks = [Task.of(number, train=(x[number - 1], torch.arange(8) % 2)) for number in (1, 2)]
    learner = Learner("linear", GPM(threshold=1.0), Space((36,), 2, "task"), epochs=10)
    learner.learn(tasks[0])
    before = learner.logits(x[0], 1)
    learner.learn(tasks[1])
    assert torch.allclose(learner.logits(x[0], 1), before, atol=1e-4)
    assert learner.accuracy(tasks[1], "train") == 1.0


def test_gpm_takes_the_fewest_directions_that_hold_the_energy(clouds: Callable[..., Stream]) -> None:
    stream, eps = clouds("domain"), 0.9
    learner = Learner("mlp:12", GPM(threshold=eps), stream.space, epochs=2)
    for task in stream:
        old = {name: basis.double() for name, basis in learner.state.bases.items()}
        learner.learn(task)
        for name, rows in layer_inputs(learner, task.train).items():
            R = rows.double().T
            M = old.get(name, torch.zeros(0, len(R), dtype=torch.float64)).T
            U, _, _ = torch.linalg.svd(R - M @ (M.T @ R))
            kept = [float(torch.cat([M, U[:, :k]], 1).T.matmul(R).square().sum()) for k in range(len(R) + 1)]
            fewest = next(k for k, energy in enumerate(kept) if energy >= eps * float(R.square().sum()))
            basis = learner.state.bases[name]
            assert len(basis) == M.shape[1] + fewest
            assert torch.allclose(basis @ basis.T, torch.eye(len(basis)), atol=1e-5)
            assert float((basis.double() @ R).square().sum()) >= (eps - 1e-5) * float(R.square().sum())
    assert len(learner.state.bases) == 2


def test_layers_answer_with_their_inputs_times_their_weights() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 3, (2, 3), stride=(2, 1), padding=(0, 1), dilation=(1, 2))
    model = nn.Sequential(conv, nn.Flatten(), nn.Linear(30, 4, bias=False))
    learner = Learner(model, space=Space((2, 4, 7), 4))
    x = torch.randn(1, 2, 4, 7)
    z = conv(x)
    inputs = layer_inputs(learner, Examples(x, torch.zeros(1).long(), 1))
    joint = torch.cat([conv.weight.flatten(1), conv.bias[:, None]], 1)
    assert inputs["0"].shape == (10, 13)
    assert torch.allclose(inputs["0"] @ joint.T, z[0].flatten(1).T, atol=1e-5)
    assert torch.allclose(inputs["2"], z.flatten(1), atol=1e-5)


def test_many_inputs_are_replaced_by_few_with_the_same_energies() -> None:
    torch.manual_seed(0)
    learner = Learner(nn.Linear(5, 2), space=Space((5,), 2))
    x = torch.randn(500, 5)
    rows = layer_inputs(learner, Examples(x, torch.zeros(500).long(), 1))[""]
    full = torch.cat([x, torch.ones(500, 1)], 1)
    assert rows.shape == (6, 6)
    assert torch.allclose(rows.T @ rows, full.T @ full, rtol=1e-4, atol=1e-2)


def half_frozen() -> nn.Module:
    layer = nn.Linear(4, 3)
    layer.bias.requires_grad_(False)
    return layer


def shared() -> nn.Module:
    one, other = nn.Linear(4, 4), nn.Linear(4, 4)
    other.weight = one.weight
    return nn.Sequential(one, other)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), "the running statistics of 1: freeze these layers"),
        (nn.Sequential(nn.Linear(4, 4), nn.GroupNorm(2, 4)), "layer 1 is a GroupNorm"),
        (nn.Sequential(nn.Conv2d(2, 2, 1, groups=2), nn.Flatten(), nn.LazyLinear(2)), "layer 2 is a LazyLinear"),
        (nn.Sequential(nn.Conv2d(2, 2, 1, groups=2), nn.Flatten()), "layer 0 must be a convolution with groups=1"),
        (nn.Sequential(nn.Conv2d(2, 2, 3, padding="same"), nn.Flatten()), "layer 0 must be a convolution"),
        (half_frozen(), "is frozen in part"),
        (shared(), "layers 0 and 1 share weights"),
    ],
)
def test_gpm_refuses_networks_that_it_cannot_treat(model: nn.Module, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Learner(model, GPM(), Space(None, 2))


def test_frozen_layers_are_left_out() -> None:
    model = nn.Sequential(
        nn.BatchNorm1d(4).requires_grad_(False), nn.Linear(4, 3), nn.Linear(3, 2).requires_grad_(False)
    )
    assert [name for name, _ in weight_layers(model)] == ["1"]


@pytest.mark.parametrize(("network", "named"), [(Bypassed(), "all that a is given"), (Reused(), "all that a layer is")])
def test_gpm_refuses_weights_that_are_used_without_their_layer(network: nn.Module, named: str) -> None:
    learner = Learner(network, GPM(), Space((9,), 4))
    before = learner.flat.theta_P.detach().clone()
    with pytest.raises(SettingError, match=named):
        learner.learn(Task.of(1, train=(torch.randn(8, 9), torch.arange(8) % 4)))
    assert torch.equal(learner.flat.theta_P, before)
