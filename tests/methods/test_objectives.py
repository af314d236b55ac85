"""Every method learns each objective that it declares, by registration; the others it refuses before training."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lifelong.errors import SettingError
from lifelong.methods import METHODS, Method, StreamSize
from lifelong.objectives import OBJECTIVES
from lifelong.streams import Stream
from lifelong.training import Learner
from lifelong.types import (
    Classes,
    Data,
    Examples,
    Field,
    Labels,
    Numbers,
    Scenario,
    Space,
    Target,
    Task,
    Tokens,
    Tree,
    leaves,
    tree_map,
)

from ..small import build

TARGETS: dict[str, Target] = {"classes": Classes(4), "numbers": Numbers(4), "labels": Labels(4), "tokens": Tokens(7)}
DECLARED = [(name, objective) for name in METHODS for objective in OBJECTIVES if objective in METHODS[name].objectives]
REFUSED = [
    (name, objective) for name in METHODS for objective in OBJECTIVES if objective not in METHODS[name].objectives
]


class Tagger(nn.Module):
    """Logits for each position of a sequence of words."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.words, self.hidden, self.head = nn.Embedding(7, 6), nn.Linear(6, 12), nn.Linear(12, 7)
        self.words.requires_grad_(name != "gpm")  # which treats linear layers and convolutions

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.head(torch.tanh(self.hidden(self.words(x))))
        return answer


class Fused(nn.Module):
    """An answer from two fields."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(4, 12), nn.Linear(2, 12), nn.Linear(12, outputs)

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        answer: Tensor = self.head(torch.tanh(self.left(x["left"]) + self.right(x["right"])))
        return answer


def scenario_of(name: str, objective: str) -> Scenario:
    return next(s for s in ("domain", "task") if s in METHODS[name].scenarios and s in OBJECTIVES[objective].scenarios)


def targets(objective: str, x: Tensor, number: int, scenario: Scenario) -> Tensor:
    """What the inputs mean: a linear rule that is a little another in each task."""
    one, other = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    z = x @ (one + 0.4 * (number - 1) * other)
    if scenario == "task":  # each task has two of the outputs
        if objective == "classes":
            return z[:, :2].argmax(1) + 2 * (number - 1)
        if objective == "numbers":
            return z[:, :2] / 3
        y = torch.zeros(len(x), 4)
        y[:, 2 * (number - 1) : 2 * number] = (z[:, :2] > 0).float()
        return y
    if objective == "classes":
        return z.argmax(1)
    return z / 3 if objective == "numbers" else (z > 0).float()


def stream_of(objective: str, scenario: Scenario, fields: bool = False) -> Stream:
    """Two tasks of 40 examples."""
    tasks: list[Task] = []
    for number in (1, 2):
        generator = torch.Generator().manual_seed(10 + number)
        x: Tree = torch.randn(40, 6, generator=generator)
        if objective == "tokens":
            x = torch.randint(1, 7, (40, 5), generator=generator)
            y = 1 + (2 * x) % 6 if number == 1 else 1 + (2 * x + (x == 3)) % 6
            y[::3, 3:] = 0
        else:
            y = targets(objective, x, number, scenario)
        if fields:
            x = {"left": x[:, :4], "right": x[:, 4:]}
        classes = tuple(range(2 * number - 2, 2 * number)) if scenario == "task" else tuple(range(4))
        classes = () if objective in ("numbers", "tokens") and scenario == "domain" else classes
        data = Examples(x, y, number)
        tasks.append(Task(number, f"task {number}", classes, {"train": data, "test": data}.get))
    words = Field((5,), vocabulary=7)
    inputs: Any = {"left": Field((4,)), "right": Field((2,))} if fields else words if objective == "tokens" else (6,)
    return Stream("rules", Space(inputs, TARGETS[objective], scenario), tuple(tasks))


def learner_for(name: str, objective: str, **settings: Any) -> tuple[Learner, Stream]:
    scenario = scenario_of(name, objective)
    stream = stream_of(objective, scenario)
    torch.manual_seed(3)
    model = Tagger(name) if objective == "tokens" else "mlp:12"
    chosen = {"epochs": 6, "batch": 10, "lr": 0.1, "seed": 1, **settings}
    return Learner(model, build(name), stream.space, **chosen), stream


def loss_on(learner: Learner, task: Task) -> float:
    """The mean loss by the answers of the method."""
    examples = task.train
    if task.number not in learner.objective.classes:
        learner._announce(task)
    learner.model.eval()
    with torch.no_grad():
        answer = learner.method.predict(learner.state, learner, examples.x, task.number)
    answer = answer.float().masked_fill(torch.isinf(answer), 0.0)  # outputs of other tasks
    return float(learner.objective.losses(answer, examples.y, task.number).mean())


def accuracy_on(learner: Learner, task: Task) -> float:
    examples = task.train
    learner.model.eval()
    with torch.no_grad():
        answer = learner.method.predict(learner.state, learner, examples.x, task.number)
    return float((learner.objective.masked(answer, task.number).argmax(1) == examples.y).float().mean())


@pytest.mark.parametrize(("name", "objective"), DECLARED)
def test_learns_the_newest_task(name: str, objective: str) -> None:
    learner, stream = learner_for(name, objective, epochs=20)
    for task in stream:
        untrained, _ = learner_for(name, objective)
        learner.learn(task)
        if objective == "classes":
            assert accuracy_on(learner, task) > 0.55
        else:
            assert loss_on(learner, task) < 0.9 * loss_on(untrained, task)
    assert all(bool(torch.isfinite(p).all()) for p in learner.model.parameters())


def save_at(learner: Learner, file: Path, stop: int, step: int) -> None:
    if step == stop:
        learner.save(file)


@pytest.mark.parametrize(("name", "objective"), DECLARED)
def test_saved_in_the_middle_of_a_task_and_after_it_goes_on_bit_for_bit(
    name: str, objective: str, tmp_path: Path
) -> None:
    learner, stream = learner_for(name, objective)
    learner.learn(stream.task(1))
    after, middle = tmp_path / "after.safetensors", tmp_path / "middle.safetensors"
    learner.save(after)
    learner.learn(stream.task(2), on_step=partial(save_at, learner, middle, 7))
    model = {"model": Tagger(name)} if objective == "tokens" else {}
    for file in (after, middle):
        if not file.exists():
            continue  # it learns without a step
        loaded = Learner.load(file, **model)
        loaded.learn(stream.task(2))
        assert torch.equal(loaded.flat.theta_P, learner.flat.theta_P), file.name
        x = stream.task(1).train.x
        for number in (1, 2):
            asked = [one.method.predict(one.state, one, x, number) for one in (loaded, learner)]
            assert torch.equal(*asked)


@pytest.mark.parametrize(("name", "objective"), REFUSED)
def test_refuses_what_its_paper_does_not_allow_and_names_what_works(name: str, objective: str) -> None:
    scenario = next((s for s in METHODS[name].scenarios if s in OBJECTIVES[objective].scenarios), None)
    if scenario is None:
        pytest.skip("refused by its scenarios already")
    known = ", ".join(METHODS[name].objectives)
    with pytest.raises(SettingError, match=f"^{re.escape(name)} learns {known}, not {objective}; use .*, as er"):
        Learner("mlp:12", build(name), Space((6,), TARGETS[objective], scenario))


@pytest.mark.parametrize(("name", "objective"), DECLARED)
def test_stores_no_more_than_it_says(name: str, objective: str) -> None:
    learner, stream = learner_for(name, objective)
    for task in stream:
        learner.learn(task)
    one = stream.task(1).train.at(slice(0, 1))
    bytes_of = [sum(leaf.nbytes for leaf in leaves(tree)) for tree in (one.x, one.y)]
    parameters, outputs = sum(p.numel() for p in learner.model.parameters()), 7 if objective == "tokens" else 4
    widths = (13, 13, 7)
    size = StreamSize.of(2, 40, bytes_of[0], parameters, outputs, target_bytes=bytes_of[1], widths=widths)
    assert learner.stored_bytes <= learner.method.declared_bytes(size)


class Lazily:
    """Data that are no `Examples`: read when they are asked for."""

    def __init__(self, examples: Examples) -> None:
        self.examples, self.read = examples, 0

    def __len__(self) -> int:
        return len(self.examples)

    def at(self, index: Tensor | slice) -> Examples:
        rows = self.examples.at(index)
        self.read += len(rows)
        return rows

    def batches(self, order_N: Tensor, size: int) -> Iterator[Examples]:
        for index_B in order_N.split(size):
            yield self.at(index_B)

    def with_task(self, number: int) -> Data:
        return Lazily(self.examples.with_task(number))


@pytest.mark.parametrize("name", METHODS)
def test_hooks_take_data_that_are_read_batch_by_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objective = METHODS[name].objectives[0]
    whole, stream = learner_for(name, objective)
    lazy, _ = learner_for(name, objective)
    for task in stream:
        whole.learn(task)
    kind = METHODS[name]
    for hook in ("check_data", "begin_task", "end_task"):
        real = getattr(kind, hook)
        monkeypatch.setattr(kind, hook, lambda *given, real=real: real(*given[:-1], Lazily(given[-1])))
    if kind.examples is not Method.examples:
        chosen = kind.examples

        def examples(method: Method[Any], state: Any, data: Examples) -> Any:
            return chosen(method, state, Lazily(data))

        monkeypatch.setattr(kind, "examples", examples)
    for task in stream:
        lazy.learn(task)
    assert torch.equal(whole.flat.theta_P, lazy.flat.theta_P)
    for task in stream:
        asked = [one.method.predict(one.state, one, task.train.x, task.number) for one in (whole, lazy)]
        assert torch.equal(*asked)


WITH_FIELDS = [name for name in METHODS if "domain" in METHODS[name].scenarios and name not in ("dgr", "icarl", "gpm")]


@pytest.mark.parametrize("name", WITH_FIELDS)
def test_learns_from_inputs_with_several_fields(name: str, tmp_path: Path) -> None:
    stream = stream_of("classes", "domain", fields=True)

    def network() -> nn.Module:
        torch.manual_seed(3)
        return Fused(4)

    learner = Learner(network(), build(name), stream.space, epochs=20, batch=10, lr=0.1, seed=1)
    for task in stream:
        learner.learn(task)
        assert accuracy_on(learner, task) > 0.55
    learner.save(tmp_path / "learner.safetensors")
    loaded = Learner.load(tmp_path / "learner.safetensors", model=network())
    x = stream.task(1).train.x
    assert torch.equal(*(one.method.predict(one.state, one, x, 1) for one in (learner, loaded)))
    assert len(leaves(tree_map(lambda leaf: leaf[:1], x))) == 2


def test_dgr_refuses_inputs_with_several_fields_before_training() -> None:
    stream = stream_of("classes", "domain", fields=True)
    learner = Learner(Fused(4), build("dgr"), stream.space)
    with pytest.raises(ValueError, match="dgr makes one input of floating-point numbers, got the fields left, right"):
        learner.learn(stream.task(1))
