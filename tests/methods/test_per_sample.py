"""Gradients per sample are those of one example after the other, whatever the network and the objective."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lifelong import EWC, GEM, Learner, stream
from lifelong.methods import per_sample
from lifelong.methods.base import Step
from lifelong.methods.fisher import fisher_diagonal
from lifelong.methods.inference import evaluating
from lifelong.methods.per_sample import announce_cost, gradients, per_sample_power_sum, products, way_of
from lifelong.objectives import Objective, objective_for
from lifelong.types import Examples, Labels, Numbers, Space, Target, Tokens, Tree, leaves, tree_map

from .odd_networks import Bypassed, Folded, Reused, Unheard


def prepared(model: str, name: str, scenario: str) -> tuple[Step, list[Examples]]:
    """A step of a learner of three tasks, and 12 examples of each task."""
    tasks = stream(name, tasks=3, scenario=scenario)
    learner = Learner(model, GEM(), tasks.space, iterations=3)
    for task in tasks:
        learner.learn(task)
    forward = partial(learner.method.forward, learner.state, learner)
    step = Step(learner, forward, tasks.task(1).train.at(slice(8)), 1, 1, 1, 1, 1, 0.1, None)
    return step, [task.train.at(slice(12)) for task in tasks]


@pytest.mark.parametrize(
    ("name", "scenario"), [("permuted-digits", "domain"), ("split-digits", "class"), ("split-digits", "task")]
)
def test_linear_layers_take_one_pass(name: str, scenario: str) -> None:
    step, past = prepared("mlp:32,16", name, scenario)
    rows_TP = per_sample._at_once(step, past)
    assert rows_TP is not None
    slowly_TP = torch.stack([step.gradient_on(examples) for examples in past])
    assert slowly_TP.abs().max() > 1e-3
    torch.testing.assert_close(rows_TP, slowly_TP, rtol=1e-4, atol=1e-7)
    assert torch.equal(per_sample.task_gradients(step, past), rows_TP)


def test_what_is_not_linear_or_not_of_one_size_takes_a_pass_each(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [
        (prepared(model, "permuted-digits", "domain"), sizes)
        for model, sizes in (("cnn", (12, 12, 12)), ("mlp:32", (12, 5, 12)))
    ]
    monkeypatch.setattr(per_sample, "_at_once", lambda *_: pytest.fail("it cannot be done at once"))
    for (step, past), sizes in cases:
        cut = [examples.at(slice(size)) for examples, size in zip(past, sizes, strict=True)]
        slowly_TP = torch.stack([step.gradient_on(examples) for examples in cut])
        assert torch.equal(per_sample.task_gradients(step, cut), slowly_TP)


@pytest.mark.parametrize("kind", [Bypassed, Reused, Folded, Unheard])
def test_what_the_calls_of_the_layers_do_not_tell_takes_a_pass_each(kind: type[nn.Module]) -> None:
    torch.manual_seed(1)
    learner = Learner(kind(), GEM(), Space((9,), 4))
    learner.objective.announce(1, (0, 1, 2, 3))
    past = [Examples(torch.randn(12, 9), torch.arange(12) % 4, 1) for _ in range(2)]
    step = Step(learner, partial(learner.method.forward, learner.state, learner), past[0], 1, 1, 1, 1, 1, 0.1, 10.0)
    slowly_TP = torch.stack([step.gradient_on(examples) for examples in past])
    torch.testing.assert_close(per_sample.task_gradients(step, past), slowly_TP, rtol=1e-4, atol=1e-7)
    inner_NN = products(learner, past[0], lambda logits_BC, y_B, _: logits_BC.gather(1, y_B[:, None])[:, 0])
    single = [learner.flat.gradient(learner.model(x[None])[0, y]) for x, y in zip(past[0].x, past[0].y, strict=True)]
    rows_NP = torch.stack(single)
    torch.testing.assert_close(inner_NN, rows_NP @ rows_NP.T, rtol=1e-4, atol=1e-5)


class Clamp(torch.autograd.Function):
    """A function of one's own, as torch.func cannot run it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyrefly: ignore
        (x,) = ctx.saved_tensors
        return grad * (x > 0)


class OwnFunction(nn.Module):
    """Usual layers around a function of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv1d(1, 3, 2, padding=1, stride=2), nn.Linear(9, 4)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.two(Clamp.apply(self.one(x[:, None])).flatten(1)[:, :9])
        return answer


class Counting(nn.Module):
    """Writes a buffer whenever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(6, 5), nn.Linear(5, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        answer: Tensor = self.two(self.one(x).relu())
        return answer


class Scaled(nn.Module):
    """A function of one's own, and a weight that belongs to no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.scale = nn.Linear(6, 4), nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = Clamp.apply(self.scale * self.one(x))
        return answer


class Words(nn.Module):
    """Embeddings, some of them sparse, with a padding; a normalisation and layers over sequences."""

    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 8, padding_idx=0, sparse=sparse)
        self.norm, self.one, self.two = nn.LayerNorm(8), nn.Linear(8, 5), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.one(self.norm(self.words((3 * x).long().abs().clamp(0, 9))))
        answer: Tensor = self.two(hidden.relu().mean(1))
        return answer


class Recurrent(nn.Module):
    """A recurrent layer over the numbers of an input."""

    def __init__(self, kind: type[nn.LSTM | nn.GRU | nn.RNN], **more: Any) -> None:
        super().__init__()
        self.cells = kind(2, 5, batch_first=True, **more)
        self.head = nn.Linear(10 if self.cells.bidirectional else self.cells.proj_size or 5, 4)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.head(self.cells(x.view(len(x), 3, 2))[0][:, -1])
        return answer


class Attentive(nn.Module):
    """A layer of a transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(2, 1, 4, batch_first=True)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.head(self.layer(x.view(len(x), 3, 2)).flatten(1))
        return answer


def pictures() -> nn.Module:
    network = nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, (1, 3), padding="same", bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1, groups=2, padding_mode="circular"), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(),
        nn.Linear(24, 4),
    )  # fmt: skip
    with torch.no_grad():
        network(torch.randn(20, 6) * 3 + 1)
    return network


def scripted() -> nn.Module:
    return torch.jit.script(nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 4)))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "own function": (OwnFunction, "layers"), "counting": (Counting, "layers"), "pictures": (pictures, "layers"),
    "words": (lambda: Words(False), "layers"), "sparse words": (lambda: Words(True), "layers"),
    "lstm": (lambda: Recurrent(nn.LSTM, proj_size=3), "func"), "rnn": (lambda: Recurrent(nn.RNN, bias=False), "func"),
    "gru": (lambda: Recurrent(nn.GRU, num_layers=2, bidirectional=True), "func"),
    "attention": (Attentive, "func"), "scripted": (scripted, "single"), "scaled": (Scaled, "single"),
}  # fmt: skip


def slow_rows(learner: Learner, examples: Examples, answer: Callable[..., Tensor]) -> Tensor:
    """The gradient of each example by plain autograd."""
    rows: list[Tensor] = []
    with evaluating(learner.model):
        for row in range(len(examples)):
            one = examples.at(slice(row, row + 1))
            value = answer(learner.model(one.x), one.y, one.task).sum()
            grads = torch.autograd.grad(value, learner.flat.parameters, allow_unused=True, materialize_grads=True)
            rows.append(torch.cat([(g.to_dense() if g.is_sparse else g).reshape(-1) for g in grads]))
    return torch.stack(rows)


def learner_with(network: nn.Module, target: Target | int = 4) -> tuple[Learner, Objective]:
    """A learner that knows one task of four outputs."""
    learner = Learner(network, EWC(), Space(None, 4), seed=1)
    learner.objective = objective_for(target, "domain")
    learner.objective.announce(1, (0, 1, 2, 3))
    return learner, learner.objective


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:LSTM with projections")
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_any_network_are_those_of_one_example_after_the_other(name: str) -> None:
    torch.manual_seed(1)
    make, kind = NETWORKS[name]
    learner, objective = learner_with(make())
    x, y = torch.randn(11, 6), torch.arange(11) % 4
    examples = Examples(x, y, 1)
    slow_NP = slow_rows(learner, examples, objective.losses)
    assert way_of(learner, examples).kind == kind
    torch.testing.assert_close(gradients(learner, examples, objective.losses), slow_NP, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(products(learner, examples, objective.losses), slow_NP @ slow_NP.T, rtol=1e-4, atol=1e-5)
    for power, expected in ((1, slow_NP.abs().sum(0)), (2, slow_NP.square().sum(0))):
        ours_P = per_sample_power_sum(learner, examples, objective.losses, power)  # pyrefly: ignore
        torch.testing.assert_close(ours_P, expected, rtol=1e-4, atol=1e-5)
    p_NC = learner.model.eval()(x).softmax(1).detach()
    true_P = sum(
        (p_NC[:, [c]] * slow_rows(learner, Examples(x, torch.full_like(y, c), 1), objective.losses).square()).sum(0)
        for c in range(4)
    )
    torch.testing.assert_close(fisher_diagonal(learner, examples, "true") * 11, true_P, rtol=1e-4, atol=1e-5)


def test_who_gets_gradients_one_by_one_is_told_before_training_and_once() -> None:
    torch.manual_seed(1)
    learner, _ = learner_with(Scaled())
    examples = Examples(torch.randn(11, 6), torch.arange(11) % 4, 1)
    with pytest.warns(UserWarning, match=r"^ewc needs the gradient of every example, and this network gives them one"):
        learner.method.begin_task(learner.state, learner, examples)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        announce_cost(learner, examples, "ewc")
        quick, _ = learner_with(Counting())
        announce_cost(quick, examples, "ewc")


class Sequence(nn.Module):
    """An answer for each position of a sequence, from a dict of inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.numbers, self.head = nn.Embedding(7, 5), nn.Linear(3, 5), nn.Linear(5, 6)

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        answer: Tensor = self.head(torch.tanh(self.words(x["words"]) + self.numbers(x["numbers"])[:, None]))
        return answer


def sequences() -> tuple[nn.Module, Tree, Tree]:
    x = {"words": torch.randint(0, 7, (9, 4)), "numbers": torch.randn(9, 3)}
    y = torch.randint(1, 6, (9, 4))
    y[::2, 2:] = 0
    return Sequence(), x, y


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))


CASES: dict[str, tuple[Target, Callable[[], tuple[nn.Module, Tree, Tree]]]] = {
    "numbers": (Numbers(4), lambda: (plain(), torch.randn(9, 6), torch.randn(9, 4))),
    "labels": (Labels(4), lambda: (plain(), torch.randn(9, 6), torch.randint(0, 2, (9, 4)).float())),
    "tokens": (Tokens(6), sequences),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_any_objective_are_those_of_one_example_after_the_other(name: str) -> None:
    torch.manual_seed(1)
    target, make = CASES[name]
    network, x, y = make()
    learner, objective = learner_with(network, target)
    examples = Examples(x, y, 1)
    slow_NP = slow_rows(learner, examples, objective.losses)
    assert float(slow_NP.norm()) > 0.1
    assert way_of(learner, examples).kind == "layers"
    torch.testing.assert_close(gradients(learner, examples, objective.losses), slow_NP, rtol=1e-4, atol=1e-5)
    empirical_P = fisher_diagonal(learner, examples, "empirical")
    torch.testing.assert_close(empirical_P, slow_NP.square().mean(0), rtol=1e-4, atol=1e-7)
    many = Examples(*(tree_map(lambda leaf: leaf.repeat(800, *[1] * (leaf.ndim - 1)), tree) for tree in (x, y)), 1)
    sampled_P = fisher_diagonal(learner, many, "sampled")
    assert len(leaves(many.x)[0]) == 7200
    if name != "tokens":
        true_P = fisher_diagonal(learner, examples, "auto")
        assert float((sampled_P - true_P).norm()) < 0.1 * float(true_P.norm()), "the exact sum is the mean of draws"
    if name == "numbers":  # unit-variance Gaussians: F = Σ_c (∂f_c)²
        outputs = [slow_rows(learner, examples, lambda answer, *_, c=c: answer[:, c]) for c in range(4)]
        expected_P = torch.stack([rows_NP.square().mean(0) for rows_NP in outputs]).sum(0)
        torch.testing.assert_close(true_P, expected_P, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("outputs", "passes"), [(10, 10), (11, 1), (100, 1)])
def test_the_default_fisher_takes_a_pass_for_each_of_few_outputs_and_else_one(outputs: int, passes: int) -> None:
    torch.manual_seed(1)
    learner = Learner(nn.Linear(6, outputs), EWC(), Space((6,), outputs))
    learner.objective.announce(1, tuple(range(outputs)))
    examples, count = Examples(torch.randn(8, 6), torch.arange(8), 1), list[int]()
    way_of(learner, examples)
    plain_losses = learner.objective.losses

    def losses(*arguments: Any) -> Tensor:
        count.append(1)
        return plain_losses(*arguments)

    learner.objective.losses = losses
    state = learner.method.end_task(learner.state, learner, examples)
    assert sum(count) == passes
    assert float(state.largest) > 0


class Sometimes(nn.Module):
    """Uses the weights of a layer without calling it, for some examples."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.layer(x) + (x[:, :1] > 3) * nn.functional.linear(x.square(), self.layer.weight)
        return answer


def test_a_use_of_weights_that_only_some_examples_make_is_noticed() -> None:
    torch.manual_seed(1)
    learner, objective = learner_with(Sometimes())
    x = torch.randn(11, 6).clamp(max=2)
    x[5, 0] = 4.0
    examples = Examples(x, torch.arange(11) % 4, 1)
    assert way_of(learner, examples).kind == "func"
    rows_NP = gradients(learner, examples, objective.losses)
    torch.testing.assert_close(rows_NP, slow_rows(learner, examples, objective.losses), rtol=1e-4, atol=1e-5)
