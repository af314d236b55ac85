"""Tasks of one stream with inputs and targets of their own, learned by one network of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lifelong.errors import SettingError
from lifelong.streams import Stream, stream
from lifelong.training import Learner
from lifelong.types import Classes, Numbers


class Skills(nn.Module):
    """A picture gives a digit, a vector gives two numbers; both go through one trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.picture, self.vector = nn.Linear(64, 32), nn.Linear(6, 32)
        self.trunk = nn.Sequential(nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.digit, self.numbers = nn.Linear(32, 10), nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor
        if x.ndim == 4:
            answer = self.digit(self.trunk(self.picture(x.flatten(1))))
        else:
            answer = self.numbers(self.trunk(self.vector(x)))
        return answer


def skills() -> Stream:
    """Digits, regression on vectors, and turned digits."""
    turned = stream("rotated-digits", tasks=2)
    x = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
    y = torch.tanh(x[:, :2] + x[:, 2:4])
    pairs = [((task.train.x, task.train.y), (task.test.x, task.test.y)) for task in turned]
    datasets = [pairs[0], ((x[:200], y[:200]), (x[200:], y[200:])), pairs[1]]
    return Stream.from_datasets(
        datasets, target=[Classes(10), Numbers(2), Classes(10)], names=["digits", "numbers", "turned"]
    )


def learner_of(method: str, own: Stream) -> Learner:
    torch.manual_seed(0)
    return Learner(Skills(), method, own.space, epochs=10, lr=0.1, seed=2)


@pytest.mark.parametrize("method", ["independent", "er", "der++", "ewc", "si", "gem", "agem", "mir", "gss", "ogd"])
def test_each_task_is_learned_and_scored_by_its_own_objective(method: str, tmp_path: Path) -> None:
    own = skills()
    learner = learner_of(method, own)
    rows = [learner.evaluate(own)]
    for task in own:
        learner.learn(task)
        rows.append(learner.evaluate(own))
        learner.save(tmp_path / f"{task.number}")
    assert [rows[number][number - 1] > 0.4 for number in (1, 2, 3)] == [True] * 3, rows
    assert list(learner.scores(own.task(1)))[:1] == ["accuracy"]
    assert list(learner.scores(own.task(2)))[:1] == ["r2_clipped"]
    assert learner.predict(own.task(2).test.x, task=2).shape == (100, 2)
    again = Learner.load(tmp_path / "2", model=Skills)
    assert again.evaluate(own) == rows[2]
    again.learn(own.task(3))
    assert torch.equal(again.flat.theta_P, learner.flat.theta_P)


def test_an_exam_on_a_task_to_come_tells_its_objective_nothing_and_metrics_reach_every_task() -> None:
    own = skills()
    learner = learner_of("er", own)
    learner.objective.metrics = {"size": lambda decision, y: float(len(y))}
    for task in own:
        assert learner.answers(task)["y"].shape[0] == len(task.test)
        assert learner.scores(task)["size"] == len(task.test)
    assert all(part.classes == {} for part in learner.objective.parts.values())
    learner.learn(own.task(1))
    learner.evaluate(own)
    assert list(learner.objective.of(1).classes) == [1], "task 3 is of the same kind, and was only examined"


def test_memories_hold_a_table_for_each_kind_and_a_replayed_batch_is_of_one() -> None:
    own = skills()
    learner = learner_of("er", own)
    for task in own:
        learner.learn(task)
    shapes = sorted(tuple(table.examples().x.shape[1:]) for table in learner.state.tables)
    assert shapes == [(1, 8, 8), (6,)]
    for _ in range(10):
        drawn = learner.state.sample(16, learner.generator)
        assert len({tuple(drawn.x.shape[1:])}) == 1


def test_a_method_refuses_the_kind_that_it_cannot_learn_before_it_learns_it() -> None:
    own = skills()
    with pytest.raises(SettingError, match="lwf asks the previous network about the new inputs"):
        learner_of("lwf", own).learn(own.task(1))
    learner = learner_of("er-ace", own)
    learner.learn(own.task(1))
    before = learner.flat.theta_P.detach().clone()
    with pytest.raises(SettingError, match="er-ace learns classes, not numbers"):
        learner.learn(own.task(2))
    assert torch.equal(learner.flat.theta_P, before)
    assert learner.accuracy(own.task(1)) > 0.4


def test_a_named_network_says_that_it_needs_one_kind_of_input() -> None:
    own = skills()
    with pytest.raises(SettingError, match="needs to know its input"):
        Learner("mlp:8", "er", own.space)


class Picture(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU())
        self.classifier = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.classifier(self.body(x))
        return answer


@pytest.mark.parametrize("method", ["icarl", "ncm", "slda", "er", "packnet"])
def test_the_last_layer_of_a_module_becomes_a_growing_head(method: str, tmp_path: Path) -> None:
    scenario = "task" if method == "packnet" else "class"
    digits = stream("split-digits", scenario=scenario, tasks=3)
    torch.manual_seed(0)
    learner = Learner(Picture(), method, digits.space, head="classifier", epochs=5, lr=0.1)
    learner.learn(digits.task(1))
    learner.learn(digits.task(2))
    assert learner.accuracy(digits.task(2)) > 0.8
    assert learner.logits(digits.task(2).test.x, 2).shape[1] == 4
    learner.save(tmp_path / "l")
    again = Learner.load(tmp_path / "l", model=Picture)
    for each in (learner, again):
        each.learn(digits.task(3))
    assert torch.equal(again.flat.theta_P, learner.flat.theta_P)


def test_a_head_with_all_outputs_keeps_the_weights_of_the_layer() -> None:
    digits = stream("rotated-digits", tasks=2)
    model = Picture()
    expected = model(digits.task(1).test.x)
    learner = Learner(model, None, digits.space, head="classifier")
    torch.testing.assert_close(learner.logits(digits.task(1).test.x), expected)
    for name, message in (("body", "the name of the last linear layer"), ("body.1", "is not the last layer")):
        fresh = Picture()
        with pytest.raises(SettingError, match=message):
            Learner(fresh, None, digits.space, head=name)
        assert fresh(digits.task(1).test.x).shape == expected.shape, "the module is as it was"
