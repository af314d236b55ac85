"""The loop without a database: version 1, a lot of turned digits, exams, the gate; with replay, and with none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pytest
import torch

from lifelong.errors import DataError, SettingError, StorageError
from lifelong.loop import exam, gate, learning
from lifelong.loop.life import VersionRow, life
from lifelong.loop.lot import ExamSettings, Row, cut, pack, task_of, unpack
from lifelong.loop.project import LearnerSettings, MethodChoice, Project
from lifelong.loop.schema import InputSchema
from lifelong.streams.sources import digits
from lifelong.streams.transforms import rotate
from lifelong.training import Progress, Training
from lifelong.types import Task

PROJECT = Project(
    "digits",
    InputSchema((1, 8, 8), 0, 1),
    tuple("0123456789"),
    learner=LearnerSettings("mlp:128", training=Training(epochs=30, lr=0.1)),
    method=MethodChoice("er", {"capacity": 500, "replay_batch": 64}),
    exam=ExamSettings(0.35),
)


def lot(x: torch.Tensor, y: torch.Tensor, number: int, name: str) -> Task:
    """As the engine will do it: rows, the cut, arrays, packed and unpacked."""
    rows = [Row(f"{name} {i}", int(label), i) for i, label in enumerate(y)]
    parts = cut(rows, PROJECT.exam, PROJECT.seed)
    index = {row.id: place for place, row in enumerate(rows)}
    train, test = ([index[name] for name in ids] for ids in (parts.train, parts.exam))
    packed = [unpack(pack(x[part].numpy(), y[part].numpy())) for part in (train, test)]
    return task_of(number, name, PROJECT.scenario, len(PROJECT.classes), packed[0], packed[1])


@dataclass(frozen=True)
class Begun:
    upright: Task
    turned: Task
    version: learning.Candidate

    @property
    def tasks(self) -> list[Task]:
        return [self.upright, self.turned]


@lru_cache(maxsize=1)
def begun() -> Begun:
    source = digits()
    x, y = source.train_x, source.train_y
    upright, turned = lot(x[:1000], y[:1000], 1, "upright"), lot(rotate(x[1000:], 90), y[1000:], 2, "turned")
    return Begun(upright, turned, learning.first_version(PROJECT, [upright]))


def sat(candidate: learning.Candidate) -> gate.Decision:
    start = begun()
    champion = exam.answers(start.version.learner, start.tasks)
    given = exam.answers(candidate.learner, start.tasks)
    latency = exam.latency(candidate.learner, start.upright, count=20)
    return gate.decide(PROJECT.gate, exam.compare(champion, given, start.tasks, new=2), latency)


def test_with_replay_the_update_passes_and_makes_one_version_however_often_it_is_done() -> None:
    start = begun()
    reports: list[Progress] = []
    candidate = learning.update(start.version.data, PROJECT, start.turned, on_progress=reports.append)
    decision = sat(candidate)
    assert decision.promote, decision.reasons
    assert decision.evidence[1]["difference"] > 0.4
    assert learning.update(start.version.data, PROJECT, start.turned).id == candidate.id
    assert reports[-1].step == reports[-1].steps
    assert learning.opened(candidate.data, candidate.id).tasks == [1, 2]
    row = exam.row(exam.answers(candidate.learner, start.tasks), start.tasks)
    assert row == {1: decision.evidence[0]["candidate"], 2: decision.evidence[1]["candidate"]}
    first = exam.row(exam.answers(start.version.learner, start.tasks), start.tasks)
    told = life([VersionRow(1, "a", None, 1, first), VersionRow(2, "b", "a", 2, row)])
    assert told.forgetting()[1] < 0.05


def test_without_a_defence_the_update_is_rejected_with_its_evidence() -> None:
    candidate = learning.update(begun().version.data, PROJECT, begun().turned, MethodChoice("finetune"))
    decision = sat(candidate)
    assert not decision.promote
    assert decision.failed == ("forgetting",)
    assert decision.reasons[0].startswith("1 old task(s) together: ")
    upright, turned = decision.evidence
    assert upright["difference"] < -0.1
    assert upright["mcnemar_p"] < 1e-6
    assert turned["low"] > 0.4, "the new task was learned well"
    assert upright["champion_sha256"] != upright["candidate_sha256"]


def test_a_poisoned_lot_that_slipped_through_is_rejected_by_the_exams_of_old_tasks() -> None:
    """Every label flipped: the new exam is poisoned as well and is passed, those kept from before are not."""
    source = digits()
    poisoned = lot(source.train_x[1000:], (source.train_y[1000:] + 1) % 10, 2, "poisoned")
    start = begun()
    tasks = [start.upright, poisoned]
    candidate = learning.update(start.version.data, PROJECT, poisoned)
    champion, given = (exam.answers(learner, tasks) for learner in (start.version.learner, candidate.learner))
    decision = gate.decide(PROJECT.gate, exam.compare(champion, given, tasks, new=2))
    assert not decision.promote
    assert decision.failed == ("forgetting",)
    assert any(reason.startswith("task 1 (upright), since learned") for reason in decision.reasons)


def test_the_state_of_the_method_goes_on_and_another_method_begins_anew() -> None:
    start = begun()
    short = replace(PROJECT, learner=replace(PROJECT.learner, training=Training(iterations=2)))
    assert len(start.version.learner.state) == 500
    again = learning.update(start.version.data, short, start.turned)
    assert (again.learner.method.name, len(again.learner.state)) == ("er", 500)
    for name in ("finetune", "ewc", "ewc+er", "joint"):
        other = learning.update(start.version.data, short, start.turned, MethodChoice(name))
        assert other.learner.method.name == name
        reopened = learning.opened(other.data, other.id)
        assert torch.equal(reopened.flat.theta_P, other.learner.flat.theta_P)
    smaller = learning.update(start.version.data, short, start.turned, MethodChoice("er", {"replay_batch": 8}))
    assert len(smaller.learner.state) == 500, "the same method with another setting keeps its memory"


def test_another_method_starts_from_the_champions_weights_and_random_numbers() -> None:
    """Fine-tuning from a champion of another method is fine-tuning from one that always was fine-tuned."""
    start = begun()
    short = replace(PROJECT, learner=LearnerSettings("mlp:16", training=Training(iterations=40)))
    plain, sprung = (replace(short, method=MethodChoice(name)) for name in ("finetune", "ewc"))
    own, other = (learning.first_version(project, [start.upright]) for project in (plain, sprung))
    assert torch.equal(own.learner.flat.theta_P, other.learner.flat.theta_P), "springs hold from the second task on"
    expected = learning.update(own.data, plain, start.turned)
    overridden = learning.update(other.data, sprung, start.turned, MethodChoice("finetune"))
    assert torch.equal(expected.learner.flat.theta_P, overridden.learner.flat.theta_P)
    held = learning.update(other.data, sprung, start.turned)
    assert not torch.equal(held.learner.flat.theta_P, overridden.learner.flat.theta_P)


def test_a_method_on_another_network_is_refused_clearly() -> None:
    by_task = replace(PROJECT, scenario="task", learner=LearnerSettings("mlp:8", training=Training(iterations=1)))
    first = learning.first_version(by_task, [begun().upright])
    with pytest.raises(SettingError, match="hat builds its network otherwise than er"):
        learning.update(first.data, by_task, begun().turned, MethodChoice("hat"))
    with pytest.raises(SettingError, match="not defined in the scenario 'domain'"):
        learning.update(begun().version.data, PROJECT, begun().turned, MethodChoice("hat"))


def test_new_classes_come_with_later_lots() -> None:
    source = digits()
    by_class = replace(PROJECT, scenario="class", learner=LearnerSettings("mlp:16", training=Training(iterations=30)))

    def some(labels: list[int], number: int) -> Task:
        chosen = torch.isin(source.train_y, torch.tensor(labels))
        x, y = source.train_x[chosen].numpy(), source.train_y[chosen].numpy()
        return task_of(number, f"lot {number}", "class", 10, (x[40:], y[40:]), (x[:40], y[:40]))

    one, two = some([0, 1], 1), some([1, 2, 3], 2)
    first = learning.first_version(by_class, [one])
    second = learning.update(first.data, by_class, two)
    assert (first.learner.model.head.classes, second.learner.model.head.classes) == (2, 4)
    given = exam.answers(first.learner, [one, two])
    assert given[2].max() <= 3, "an exam on classes to come is answered with the rows they will start from"


class StopError(Exception):
    """What a test raises to cancel."""


def test_cancelling_raises_out_and_leaves_the_champion_as_it_was() -> None:
    start = begun()
    steps: list[int] = []

    def stop(step: int) -> None:
        steps.append(step)
        if step == 5:
            raise StopError

    with pytest.raises(StopError):
        learning.update(start.version.data, PROJECT, start.turned, on_step=stop)
    assert steps == [1, 2, 3, 4, 5]
    assert learning.Candidate.of(learning.opened(start.version.data)).id == start.version.id


def test_wrong_numbers_shapes_and_bytes() -> None:
    start = begun()
    with pytest.raises(SettingError, match="expected a task with a higher number, got 1"):
        learning.update(start.version.data, PROJECT, start.upright)
    flat = task_of(2, "flat", "domain", 10, (np.zeros((4, 64)), [0, 1, 2, 3]), (np.zeros((1, 64)), [0]))
    with pytest.raises(DataError, match=r"inputs of shape \(64,\), project 'digits' expects \(1, 8, 8\)"):
        learning.update(start.version.data, PROJECT, flat)
    with pytest.raises(SettingError, match="at least one task"):
        learning.first_version(PROJECT, [])
    damaged = bytearray(start.version.data)
    damaged[-1] ^= 1
    with pytest.raises(StorageError, match="it is damaged; restore its blob"):
        learning.opened(bytes(damaged), start.version.id)
    with pytest.raises(StorageError, match="no saved learner"):
        learning.opened(b"nothing")


def test_exams_by_number_and_latency_by_the_clock() -> None:
    start = begun()
    champion = exam.answers(start.version.learner, [start.upright])
    with pytest.raises(DataError, match=r"the champion has no answers to the exams of the tasks \[2\]"):
        exam.compare(champion, champion, start.tasks, new=2)
    done: list[tuple[int, int]] = []
    exam.answers(start.version.learner, start.tasks, on_exam=lambda at, of: done.append((at, of)))
    assert done == [(1, 2), (2, 2)]
    ticks = iter([t for step in range(110) for t in (float(step), step + (0.002 if step % 10 else 0.005))])
    timed = exam.latency(start.version.learner, start.upright, count=100, clock=lambda: next(ticks))
    assert timed.median == pytest.approx(2.0)
    assert timed.p99 == pytest.approx(5.0)
    assert timed.count == 100
