"""Tasks of one stream with inputs and targets of their own, learned by one network: the user's, or a named one."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lifelong
from lifelong.data import ByKind
from lifelong.errors import SettingError
from lifelong.methods import Finetune, Step, StreamSize, build
from lifelong.methods.per_sample import gradients
from lifelong.streams import Stream, stream
from lifelong.training import Learner
from lifelong.types import Classes, Examples, Field, Numbers, Scenario, Space


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


def senses() -> Stream:
    """`skills`, then whether a sentence holds a word, and whether a digit is even: its inputs are those of task 1."""
    word = torch.randint(1, 9, (300, 7), generator=torch.Generator().manual_seed(1))
    word[:, 5:] = 0
    says = (word == 3).any(1).long()
    tasks = [((task.train.x, task.train.y), (task.test.x, task.test.y)) for task in skills()]
    (x, y), (test_x, test_y) = tasks[0]
    tasks += [((word[:200], says[:200]), (word[200:], says[200:])), ((x, y % 2), (test_x, test_y % 2))]
    return Stream.from_datasets(
        tasks,
        target=[Classes(10), Numbers(2), Classes(10), Classes(2), Classes(2)],
        inputs=[None, None, None, Field((7,), vocabulary=9), None],
        names=["digits", "numbers", "turned", "word", "even"],
    )


def learner_of(method: str, own: Stream, model: str = "own") -> Learner:
    torch.manual_seed(0)
    return Learner(Skills() if model == "own" else model, method, own.space, epochs=10, lr=0.1, seed=2)


ANY_KIND = ["finetune", "independent", "joint", "er", "der", "der++", "mir", "gss"]
ANY_KIND += ["ewc", "online-ewc", "l2", "si", "mas", "rwalk", "scp", "gem", "agem", "ogd"]
ONE_KIND = ["gpm", "lwf", "dgr", "icarl", "ncm", "slda", "ranpac", "packnet", "progressive", "hat", "xdg"]


@pytest.mark.parametrize("model", ["own", "mlp:32"])
@pytest.mark.parametrize("method", [name for name in ANY_KIND if name != "joint"])
def test_each_task_is_learned_and_scored_by_its_own_objective(method: str, model: str, tmp_path: Path) -> None:
    own = skills()
    learner = learner_of(method, own, model)
    rows = [learner.evaluate(own)]
    for task in own:
        learner.learn(task)
        rows.append(learner.evaluate(own))
        learner.save(tmp_path / f"{task.number}")
    assert [rows[number][number - 1] > 0.4 for number in (1, 2, 3)] == [True] * 3, rows
    assert list(learner.scores(own.task(1)))[:1] == ["accuracy"]
    assert list(learner.scores(own.task(2)))[:1] == ["r2_clipped"]
    assert learner.predict(own.task(2).test.x, task=2).shape == (100, 2)
    again = Learner.load(tmp_path / "2", model=Skills if model == "own" else None)
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
    for method, reason in (
        ("lwf", "lwf learns tasks that are alike"),
        ("er-ace", "er-ace learns classes, not numbers"),
    ):
        with pytest.raises(SettingError, match=reason):
            learner_of(method, own)
        torch.manual_seed(0)  # where nobody announced what will come, the first task of another kind is refused
        learner = Learner(Skills(), method, Space(), epochs=10, lr=0.1)
        learner.learn(own.task(1))
        before = learner.flat.theta_P.detach().clone()
        with pytest.raises(SettingError, match=reason):
            learner.learn(own.task(2))
        assert torch.equal(learner.flat.theta_P, before)
        assert learner.accuracy(own.task(1)) > 0.4


@pytest.mark.parametrize("method", ONE_KIND)
def test_methods_that_learn_one_kind_refuse_a_stream_of_several_before_training(method: str) -> None:
    datasets = [(task.train, task.test) for task in stream("split-digits", scenario="task", tasks=2)]
    wider = [Examples(part.x.repeat(1, 1, 1, 2), part.y, 2) for part in datasets[1]]
    own = Stream.from_datasets([datasets[0], (wider[0], wider[1])], scenario="task", inputs=[None, None])
    with pytest.raises(SettingError, match=f"{method} learns tasks that are alike in their inputs and targets"):
        Learner("mlp:8", method, own.space)
    with pytest.raises(SettingError, match=rf"{method}(\+er)? learns tasks that are alike|{method}\+er"):
        Learner("mlp:8", build(f"{method}+er"), own.space)


@pytest.mark.parametrize("method", ["gdumb", "er-ace", "er", "joint"])
@pytest.mark.parametrize("scenario", ["task", "class"])
def test_inputs_may_differ_where_heads_grow(method: str, scenario: Scenario, tmp_path: Path) -> None:
    datasets = [(task.train, task.test) for task in stream("split-digits", scenario=scenario, tasks=3)]
    wider = [Examples(part.x.repeat(1, 1, 1, 2), part.y, 2) for part in datasets[1]]
    own = Stream.from_datasets(
        [datasets[0], (wider[0], wider[1]), datasets[2]], scenario=scenario, inputs=[None, None, None]
    )
    learner = Learner("mlp:32", method, own.space, epochs=10, lr=0.1)
    for task in own:
        before = learner.evaluate(own)
        learner.learn(task)
        learner.save(tmp_path / f"{task.number}")
        assert learner.model.head.classes == 2 * task.number
    assert before[2] < 0.9
    assert min(learner.evaluate(own)) > 0.6, learner.evaluate(own)
    again = Learner.load(tmp_path / "2")
    again.learn(own.task(3))
    assert torch.equal(again.flat.theta_P, learner.flat.theta_P)


@pytest.mark.parametrize("model", ["mlp:32,16", "cnn"])
def test_a_named_network_has_an_encoder_for_each_kind_of_input_and_outputs_for_each_target(model: str) -> None:
    own = senses()
    learner = learner_of("finetune", own, model)
    encoders, size = learner.model.backbone.encoders, len(learner.flat)
    assert len(encoders) == 3, "digits and even digits have the same inputs"
    assert learner.model.head.classes == 10 + 2 + 2, "the two targets of two classes share theirs"
    assert any(isinstance(part, nn.Conv2d) for part in encoders.modules()) == (model == "cnn")
    for task, outputs in zip(own, (12, 2, 12, 2, 12), strict=True):
        assert learner.model(task.test.x).shape[1] == outputs, "of each target that such inputs are asked for"
    for task, outputs in zip(own, (10, 2, 10, 2, 2), strict=True):
        learner.learn(task)
        assert learner.logits(task.test.x, task.number).shape[1] == outputs
        assert learner.score(task) > 0.4, task.name
    assert len(learner.flat) == size, "all is there before the first task"


def test_what_a_batch_does_not_ask_has_no_gradient_per_sample_either() -> None:
    own = senses()
    learner = learner_of("finetune", own, "mlp:16")
    for task in own:
        learner._announce(task)
    for task in own:
        few = task.train.at(slice(0, 3))
        rows_NP = gradients(learner, few, learner.objective.losses)
        expected = torch.stack([Step.gradient_on(step_of(learner, few), few.at(slice(n, n + 1))) for n in range(3)])
        torch.testing.assert_close(rows_NP, expected, rtol=1e-4, atol=1e-6)
        asked = {name for name, row in learner.flat.named(rows_NP.abs().sum(0)).items() if float(row.sum()) > 0}
        place = {(1, 8, 8): 0, (6,): 1, (7,): 2}[tuple(few.x.shape[1:])]
        assert {int(name.split(".")[2]) for name in asked if "encoders" in name} == {place}
        own_rows = {10: range(10), 2: range(12, 14)}.get(task.space.classes, range(0))
        own_rows = range(10, 12) if isinstance(task.space.target, Numbers) else own_rows
        weight = learner.flat.named(rows_NP.abs().sum(0))["head.bias"]
        assert weight.nonzero()[:, 0].tolist() == list(own_rows)


def test_a_batch_of_several_targets_has_the_loss_of_each() -> None:
    own = senses()
    learner = learner_of("finetune", own, "mlp:16")
    for task in own:
        learner._announce(task)
    digits, even = (own.task(number).train.at(slice(0, count)) for number, count in ((1, 5), (5, 3)))
    both = Examples.cat([digits, even]).at(torch.tensor([0, 5, 1, 2, 6, 3, 4, 7]))
    losses = learner.objective.losses(learner.model(both.x), both.y, both.task)
    logits = learner.model(both.x)
    right = torch.where(both.task == 1, 0, 1)
    expected = torch.stack([
        torch.nn.functional.cross_entropy(row[10:] if evenness else row[:10], y)
        for row, y, evenness in zip(logits, both.y, right, strict=True)
    ])  # fmt: skip
    torch.testing.assert_close(losses, expected)
    torch.testing.assert_close(learner.objective.loss(logits, both.y, both.task), expected.mean())


def test_joint_learns_batches_of_one_kind_and_each_example_once_in_every_pass(tmp_path: Path) -> None:
    own = senses()
    learner = learner_of("joint", own, "mlp:32")
    learner.training = replace(learner.training, epochs=2)
    met: list[Examples] = []
    for task in own:
        met.clear()

        def save(step: int, number: int = task.number) -> None:
            if number == 4 and step == 30:
                learner.save(tmp_path / "middle")

        learner.learn(task, on_batch=met.append, on_step=save)
        sizes = [len(own.task(number).train) for number in range(1, task.number + 1)]
        assert sum(len(batch) for batch in met) == 2 * sum(sizes)
        for number, size in enumerate(sizes, start=1):
            rows = [
                batch.x[batch.task_numbers() == number]
                for batch in met
                if batch.x.shape[1:] == own.task(number).train.x.shape[1:]
            ]
            passes = torch.cat(rows)
            assert len(passes) == 2 * size
            for once in passes.split(size):
                assert torch.equal(sorted_rows(once), sorted_rows(own.task(number).train.x))
    shapes = [batch.x.shape[1:] for batch in met]
    changes = sum(one != two for one, two in itertools.pairwise(shapes))
    assert changes > 20, "the kinds are interleaved"
    assert min(learner.evaluate(own)) > 0.2
    again = Learner.load(tmp_path / "middle")
    again.learn(own.task(4))
    again.learn(own.task(5))
    assert torch.equal(again.flat.theta_P, learner.flat.theta_P)


def test_a_last_batch_of_one_joins_the_one_before_it_and_the_order_of_kinds_is_drawn() -> None:
    data = ByKind([Examples(torch.zeros(size, width), torch.zeros(size).long(), 1) for size, width in ((9, 2), (5, 3))])
    orders = [torch.randperm(14, generator=torch.Generator().manual_seed(seed)) for seed in range(200)]
    passes = [data.arranged(order_N, 4) for order_N in orders]
    for batches in passes:
        assert sorted(len(rows) for rows in batches) == [4, 5, 5]
        assert torch.equal(torch.cat(batches).sort().values, torch.arange(14))
        assert all(len({int(row) < 9 for row in rows}) == 1 for rows in batches)
    first = sum(int(batches[0][0]) >= 9 for batches in passes)
    assert 40 < first < 95, "the only batch of the second kind comes first in about a third of the passes"


def test_the_room_for_a_life_is_that_of_its_largest_inputs() -> None:
    seen: list[int] = []

    class Sized(Finetune):
        def check(self, size: StreamSize) -> None:
            seen.append(size.input_bytes)

    own = senses()
    tasks = tuple(replace(own.task(number), number=number - 1) for number in (2, 3))
    lifelong.run(Stream("own", own.space, tasks), Sized(), model="mlp:4", epochs=1, seeds=[0])
    assert seen[0] == 64 * 4


def sorted_rows(x: Tensor) -> Tensor:
    return torch.unique(x.flatten(1), dim=0)


def step_of(learner: Learner, batch: Examples) -> Step:
    forward = partial(learner.method.forward, learner.state, learner)
    return Step(learner, forward, batch, 1, 1, 1, 1, 1, 0.1, 1.0, None)


@pytest.mark.parametrize(("model", "settings", "message"), [
    ("linear", {}, "model 'linear' reads one kind of input, .*use mlp:128,128 or cnn"),
    ("lstm:8", {}, "model 'lstm:8' reads one kind of input"),
    ("mlp:8", {"head": "growing"}, "several targets have the head 'all'"),
    ("mlp:8", {"normalize": "first-task"}, "normalize takes the moments of one kind of input"),
])  # fmt: skip
def test_what_a_named_network_cannot_do_with_several_kinds_is_one_sentence(
    model: str, settings: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        Learner(model, "er", senses().space, **settings)


def test_a_task_that_the_stream_did_not_announce_is_refused_before_it_is_learned() -> None:
    learner = learner_of("er", skills(), "mlp:8")
    before = learner.flat.theta_P.detach().clone()
    with pytest.raises(SettingError, match=r"target 2, which the stream's space did not announce"):
        learner.learn(senses().task(5))
    assert torch.equal(learner.flat.theta_P, before)
    assert learner.tasks == []


@pytest.mark.parametrize("model", ["lstm:16", "transformer:16,1"])
def test_sequences_with_several_targets_share_a_named_network(model: str) -> None:
    words = torch.randint(1, 9, (200, 6), generator=torch.Generator().manual_seed(1))
    targets = [(words == 3).any(1).long(), (words == 5).float().sum(1, keepdim=True)]
    own = Stream.from_datasets(
        [((words, y), (words, y)) for y in targets], target=[Classes(2), Numbers(1)], inputs=[Field((6,), 9)] * 2
    )
    learner = Learner(model, "er", own.space, epochs=20, lr=0.01, optimizer="adam")
    for task in own:
        learner.learn(task)
    assert min(learner.evaluate(own)) > 0.6


def test_examples_of_several_kinds_come_one_by_one() -> None:
    own = senses()
    learner = learner_of("er", own, "mlp:16")
    with pytest.raises(SettingError, match="task 1 is unknown"):
        learner.learn_one(own.task(1).train.x[0], 3, task=1)
    rows = learner.evaluate(own)  # which tells what each task is
    for at in [*range(0, 200, 10)] * 6:
        for task in own:
            batch = task.train.at(slice(at, at + 10))
            learner.learn_many(batch.x, batch.y, task.number)
    words = own.task(4).test
    assert learner.predict_one(words.x[0].tolist(), task=4) in (0, 1)
    assert learner.objective.classes[5] == (0, 1)
    after = learner.evaluate(own)
    assert after[0] > rows[0] + 0.2
    assert after[1] > 0.4


def test_class_weights_are_refused_where_several_kinds_are_learned_at_once() -> None:
    own = senses()
    learner = Learner("mlp:8", "joint", own.space, epochs=1, class_weights="balanced")
    learner.learn(own.task(1))
    with pytest.raises(SettingError, match="class_weights are for tasks of one kind"):
        learner.learn(own.task(4))


def test_a_run_names_the_first_score_of_each_task_and_measures_all_of_them_before_the_first() -> None:
    methods = ["finetune", "er", "ewc", "joint", "independent"]
    results = lifelong.run(skills(), methods, model="mlp:32", epochs=5, lr=0.1, seeds=[0])
    assert [record.name for record in results.records] == methods
    for record in results.records:
        assert record.score == "accuracy/r2_clipped"
        assert not np.isnan(record.matrix).any()
        assert max(record.matrix[0]) < 0.4
        names = {name: np.isfinite(matrix[0]).tolist() for name, matrix in record.matrices.items()}
        assert names["accuracy"] == [True, False, True]
        assert names["r2_clipped"] == [False, True, False]


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


def test_a_stored_task_that_was_never_examined_is_named() -> None:
    own = skills()
    learner = learner_of("joint", own)
    learner.state.add(own.task(1).train)
    with pytest.raises(SettingError, match=r"task 1 is unknown.*learn it first"):
        learner.learn(own.task(2))
