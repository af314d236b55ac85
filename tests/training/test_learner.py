"""The learner: the loop against a hand-written one, randomness, heads, errors, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lifelong.errors import DataError, DivergedError, SettingError, StorageError
from lifelong.methods import ER, EWC, Finetune
from lifelong.models import build
from lifelong.streams import Stream, stream
from lifelong.training import Learner
from lifelong.types import Examples, Space, Task

Clouds = Callable[..., Stream]


def test_the_loop_is_the_loop_that_one_would_write(clouds: Clouds) -> None:
    task = clouds("domain").task(1)
    learner = Learner("mlp:8", Finetune(), Space((6,), 2), optimizer="adam", lr=0.01, epochs=3, batch=10, seed=5)
    order = torch.Generator()
    order.set_state(learner.randomness.order.get_state())
    model = build("mlp:8", Space((6,), 2), seed=5)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    data = task.train
    for _ in range(3):
        for index in torch.randperm(len(data), generator=order).split(10):
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(model(data.x[index]), data.y[index]))
            optimizer.step()
    learner.learn(task)
    expected = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    assert torch.allclose(learner.flat.theta_P.detach(), expected, rtol=1e-5, atol=1e-6)


def dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))


def test_dropout_draws_from_the_learner_and_nowhere_else(clouds: Clouds, tmp_path: Path) -> None:
    domain = clouds("domain")
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one = Learner(dropout, seed=2, epochs=2)
    one.learn(domain.task(1))
    assert torch.equal(before, torch.get_rng_state()), "the caller's random numbers are left alone"
    torch.manual_seed(99)
    two = Learner(dropout, seed=2, epochs=2)
    two.learn(domain.task(1))
    assert torch.equal(one.flat.theta_P, two.flat.theta_P)
    two.save(tmp_path / "two")
    again = Learner.load(tmp_path / "two", model=dropout)
    one.learn(domain.task(2))
    again.learn(domain.task(2))
    assert torch.equal(one.flat.theta_P, again.flat.theta_P)


def test_methods_with_one_seed_see_the_same_batches(clouds: Clouds) -> None:
    """The first task is the same for a method that draws random numbers of its own and does nothing yet."""
    domain = clouds("domain")
    plain = Learner("mlp:8", Finetune(), domain.space, seed=4)
    ewc = Learner("mlp:8", EWC(fisher="sampled"), domain.space, seed=4)
    plain.learn(domain.task(1))
    ewc.learn(domain.task(1))
    assert torch.equal(plain.flat.theta_P, ewc.flat.theta_P)


def test_heads_give_the_same_numbers_where_the_loss_sees_the_same_outputs(clouds: Clouds) -> None:
    by_task = clouds("task")
    results = []
    for head in ("all", "growing", "per-task"):
        learner = Learner("mlp:8", EWC(), by_task.space, head=head, epochs=2, seed=1)
        rows = [learner.evaluate(by_task)]
        for task in by_task:
            learner.learn(task)
            rows.append(learner.evaluate(by_task))
        results.append(rows)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_growing_head_keeps_optimiser_and_springs_in_place(clouds: Clouds, optimizer: str) -> None:
    """With masked outputs a head that grows is a head that was large from the start, moments and springs included."""
    by_task = clouds("task")
    large, growing = (
        Learner(
            "mlp:8",
            EWC(strength=10.0),
            by_task.space,
            head=head,
            optimizer=optimizer,
            lr=0.02,
            momentum=0.9 if optimizer == "sgd" else 0.0,
            keep_optimizer=True,
        )
        for head in ("all", "per-task")
    )
    for task in by_task:
        large.learn(task)
        growing.learn(task)
    assert torch.allclose(large.flat.theta_P, growing.flat.theta_P, atol=1e-6)
    assert torch.allclose(large.state.importance_P, growing.state.importance_P, rtol=1e-4, atol=1e-9)


def test_an_exam_on_a_task_to_come_is_answered_by_the_rows_it_will_start_from(clouds: Clouds) -> None:
    classes = clouds("class")
    learner = Learner("mlp:8", Finetune(), classes.space, head="growing")
    row = learner.evaluate(classes)
    assert learner.model.head.classes == 0, "asking does not grow the head"
    whole = Learner("mlp:8", Finetune(), classes.space, head="all")
    expected = whole.logits(classes.task(3).test.x).argmax(1)
    assert row[2] == float((expected == classes.task(3).test.y).float().mean())


def test_iterations_are_a_budget_in_steps(clouds: Clouds) -> None:
    steps: list[int] = []
    domain = clouds("domain")
    learner = Learner("mlp:8", Finetune(), domain.space, iterations=17, batch=10)
    learner.learn(domain.task(1), on_step=steps.append)
    assert steps == list(range(1, 18))


def test_clipping_bounds_the_step(clouds: Clouds) -> None:
    domain = clouds("domain")
    learner = Learner("linear", Finetune(), domain.space, iterations=1, lr=1.0, clip=0.01)
    start = learner.flat.theta_P.detach().clone()
    learner.learn(domain.task(1))
    assert float((learner.flat.theta_P.detach() - start).norm()) == pytest.approx(0.01, rel=1e-4)


def test_an_optimiser_of_your_own_sees_the_modules_parameters(clouds: Clouds, tmp_path: Path) -> None:
    domain = clouds("domain")

    def factory(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        assert [tuple(p.shape) for p in parameters] == [(8, 6), (8,), (2, 8), (2,)]
        return torch.optim.RMSprop(parameters, lr=0.01)

    learner = Learner("mlp:8", Finetune(), domain.space, optimizer=factory, epochs=5)
    learner.learn(domain.task(1))
    assert learner.accuracy(domain.task(1)) > 0.9
    learner.save(tmp_path / "own")
    with pytest.raises(SettingError, match="optimizer of your own"):
        Learner.load(tmp_path / "own")
    assert torch.equal(Learner.load(tmp_path / "own", optimizer=factory).flat.theta_P, learner.flat.theta_P)


class Counting(nn.Module):
    """A network with a buffer and batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


@pytest.mark.parametrize("method", [Finetune(), EWC(), ER(capacity=20)])
def test_buffers_are_saved_and_untouched_by_exams(method: Finetune | EWC | ER, clouds: Clouds, tmp_path: Path) -> None:
    domain = clouds("domain")
    learner = Learner(Counting, method, epochs=2)
    learner.learn(domain.task(1))
    before = {name: value.clone() for name, value in learner.model.named_buffers()}
    row = learner.evaluate(domain)
    assert all(torch.equal(value, before[name]) for name, value in learner.model.named_buffers())
    learner.save(tmp_path / "one")
    assert Learner.load(tmp_path / "one", model=Counting).evaluate(domain) == row
    with pytest.raises(SettingError, match="model of your own \\(Counting\\)"):
        Learner.load(tmp_path / "one")


def test_bad_data_is_found_before_anything_changes(clouds: Clouds) -> None:
    domain = clouds("domain")
    learner = Learner("mlp:8", ER(), domain.space)
    start = learner.flat.theta_P.detach().clone()
    x, y = torch.randn(4, 6), torch.tensor([0, 1, 0, 1])
    spoiled = x.clone()
    spoiled[2, 3] = float("nan")
    cases = {
        "1 of 4 inputs hold NaN or infinity, first at row 2": (spoiled, y),
        "is empty": (x[:0], y[:0]),
        r"labels must be in 0 … 1, got 0 … 7": (x, torch.tensor([0, 7, 0, 1])),
        "one target per example": (x, y[:3]),
        "int64 labels": (x, y.float()),
        r"inputs of shape \(5,\), expected \(6,\)": (x[:, :5], y),
    }
    for message, (inputs, labels) in cases.items():
        bad = Examples(inputs, labels, 1)
        with pytest.raises(DataError, match=message):
            learner.learn(Task(1, "bad", (0, 1, 7), {"train": bad}.get))
    assert torch.equal(learner.flat.theta_P.detach(), start)
    assert learner.tasks == []
    learner.learn(domain.task(1))


def test_a_loss_that_is_not_finite_names_task_step_and_mend(clouds: Clouds) -> None:
    domain = clouds("domain")
    learner = Learner("mlp:8", Finetune(), domain.space, lr=1e30, epochs=20)
    with pytest.raises(DivergedError, match=r"at step \d+ of task 1.*smaller lr"):
        learner.learn(domain.task(1))
    with pytest.raises(DivergedError, match="spoiled"):
        learner.predict(domain.task(1).test.x)


def test_the_number_of_the_task_is_needed_where_the_scenario_gives_it(clouds: Clouds) -> None:
    by_task = clouds("task")
    learner = Learner("mlp:8", Finetune(), by_task.space)
    learner.learn(by_task.task(1))
    with pytest.raises(SettingError, match="needs the number of the task"):
        learner.predict(by_task.task(1).test.x)
    answers = learner.predict(by_task.task(1).test.x, task=1)
    assert set(answers.tolist()) <= {0, 1}
    with pytest.raises(SettingError, match="task 3 is unknown"):
        learner.predict(by_task.task(1).test.x, task=3)


def test_only_the_training_part_is_read(clouds: Clouds) -> None:
    task = clouds("domain").task(1)
    asked: list[str] = []
    watched = Task(1, "watched", task.classes, lambda part: (asked.append(part), task.load(part))[1])
    for method in (Finetune(), EWC(), ER()):
        Learner("mlp:8", method, clouds("domain").space).learn(watched)
    assert set(asked) == {"train"}


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other"])
def test_a_damaged_file_is_refused(damage: str, clouds: Clouds, tmp_path: Path) -> None:
    domain = clouds("domain")
    file = tmp_path / "learner.safetensors"
    Learner("mlp:8", Finetune(), domain.space).save(file)
    whole = file.read_bytes()
    file.write_bytes(
        {"cut": whole[:-40], "empty": b"", "text": b"hello", "other": whole[:8] + b"{}" + whole[10:]}[damage]
    )
    with pytest.raises(StorageError, match="damaged"):
        Learner.load(file)


def test_a_failed_save_leaves_the_old_file(clouds: Clouds, tmp_path: Path) -> None:
    learner = Learner("mlp:8", Finetune(), clouds("domain").space)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"):
        learner.save(tmp_path / "file" / "learner.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "sdg"}, "did you mean 'sgd'"),
        ({"epochs": 0}, "1 or more"),
        ({"lr": -1.0}, "above 0"),
        ({"device": "gpu"}, "cpu, cuda"),
        ({"autocast": "int8"}, "bfloat16"),
        ({"head": "per-task"}, "scenario 'task'"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Learner("mlp:8", Finetune(), Space((6,), 2), **options)  # pyrefly: ignore


@pytest.mark.parametrize(
    ("model", "message"),
    [("mpl:8", "did you mean 'mlp'"), ("mlp:8,x", "whole numbers"), ("mlp", "hidden sizes"), ("cnn", "images")],
)
def test_wrong_models_are_refused(model: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Learner(model, Finetune(), Space((6,), 2))


def test_a_convolutional_network_learns_digits() -> None:
    digits = stream("rotated-digits", tasks=2, angles=(0, 90))
    learner = Learner("cnn:8,16", ER(), digits.space, epochs=2, optimizer="adam", lr=3e-3)
    for task in digits:
        learner.learn(task)
    assert min(learner.evaluate(digits)) > 0.6
