"""Repairs: what looks safe, the step between champion and candidate, replay and retraining, and what cannot be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lifelong.errors import DivergedError, SettingError
from lifelong.loop import exam, learning
from lifelong.loop.gate import ExamAnswers, Gate
from lifelong.loop.project import MethodChoice
from lifelong.loop.repair import Estimate, Repaired, estimate, interpolated, repaired
from lifelong.streams.sources import digits
from lifelong.streams.transforms import rotate
from lifelong.types import Task

from .turning import PROJECT, upright

REPAIRING = replace(PROJECT, repair=("interpolate", "replay", "retrain"))
ALL = tuple(range(10))


def lot(number: int, start: int, angle: float) -> Task:
    source = digits()
    part = slice(start, start + 240)
    test = rotate(source.test_x, angle), source.test_y
    task = Task.of(number, train=(rotate(source.train_x[part], angle), source.train_y[part]), test=test)
    return replace(task, classes=ALL)


def begun() -> tuple[bytes, Task, Task]:
    first = replace(upright(), classes=ALL)
    return learning.first_version(PROJECT, [first]).data, first, lot(2, 700, 90.0)


def accuracies(candidate: learning.Candidate, tasks: list[Task]) -> dict[int, float]:
    return exam.row(exam.answers(candidate.learner, tasks), tasks)


def test_each_repair_mends_what_finetune_forgets() -> None:
    champion, first, turned = begun()
    tasks = [first, turned]
    lost = accuracies(learning.update(champion, PROJECT, turned, MethodChoice("finetune")), tasks)
    assert lost[1] < 0.8
    asked: list[int] = []

    def lots() -> list[Task]:
        asked.append(1)
        return [first]

    for repair in ("replay", "retrain"):
        project = replace(REPAIRING, repair=(repair,))
        made = repaired(project, champion, tasks, 2, MethodChoice("finetune"), {}, [], lots)
        kept = accuracies(made.candidate, tasks)
        assert kept[1] > 0.88
        assert kept[2] > 0.7
        assert made.candidate.learner.tasks == [1, 2]
        assert [step["step"] for step in made.steps] == ["learned", repair]
    assert asked == [1, 1], "old data is fetched where a repair needs it"


def test_a_candidate_that_looks_safe_is_handed_in_as_it_is() -> None:
    champion, first, turned = begun()

    def lots() -> list[Task]:
        raise AssertionError("nothing is to be repaired")

    wide = replace(REPAIRING, gate=Gate(max_forgetting=0.4))
    made = repaired(wide, champion, [first, turned], 2, None, {}, [], lots)
    assert made.candidate.id == learning.update(champion, PROJECT, turned).id
    assert [step["step"] for step in made.steps] == ["learned"]


def test_known_lots_are_learned_beside_the_new_one() -> None:
    champion, first, turned = begun()
    beside = lot(3, 1000, 180.0)
    made = repaired(PROJECT, champion, [first, turned, beside], 3, None, {}, [2], lambda: [])
    alone = repaired(PROJECT, champion, [first, turned, beside], 3, None, {}, [], lambda: [])
    with_it, without = (accuracies(each.candidate, [turned]) for each in (made, alone))
    assert with_it[2] > without[2] + 0.1


def test_the_step_between_is_the_mean_of_the_numbers() -> None:
    champion, _, turned = begun()
    candidate = learning.update(champion, PROJECT, turned, MethodChoice("finetune"))
    before, after = learning.opened(champion).flat.theta_P, candidate.learner.flat.theta_P.clone()
    for alpha in (0.0, 0.25, 1.0):
        between = interpolated(learning.opened(champion), learning.opened(candidate.data), turned, alpha)
        torch.testing.assert_close(between.flat.theta_P, before + alpha * (after - before))
    stiff = learning.update(champion, PROJECT, turned, MethodChoice("ewc"))
    with pytest.raises(SettingError, match="ewc relies on the weights that it left"):
        interpolated(learning.opened(champion), stiff.learner, turned, 0.5)


def test_a_repair_that_cannot_be_made_is_a_step_with_its_reason() -> None:
    champion, first, turned = begun()
    project = replace(REPAIRING, gate=Gate(max_forgetting=0.001), repair=("interpolate", "retrain"))
    made = repaired(project, champion, [first, turned], 2, MethodChoice("ewc"), {}, [], lambda: [first])
    (step,) = [step for step in made.steps if step["step"] == "interpolate"]
    assert "ewc relies on" in step["why_not"]


def test_where_learning_diverges_a_retrain_may_not() -> None:
    champion, first, turned = begun()
    project = replace(REPAIRING, repair=("retrain",))

    def diverging(times: int) -> Callable[[int], None]:
        """A loss that is not finite, so many times."""
        left = iter(range(times))

        def on_step(step: int) -> None:
            if next(left, None) is not None:
                raise DivergedError("the loss became nan")

        return on_step

    def made_with(on_step: Callable[[int], None]) -> Repaired:
        return repaired(project, champion, [first, turned], 2, None, {}, [], lambda: [first], on_step=on_step)

    with pytest.raises(SettingError, match="no candidate could be learned: the loss became nan"):
        made_with(diverging(2))
    made = made_with(diverging(1))
    assert ["why_not" in step for step in made.steps] == [True, False]
    assert accuracies(made.candidate, [first])[1] > 0.85


def exams(**changes: Any) -> list[ExamAnswers]:
    """100 old examples that the champion answers rightly, and 50 new ones that only the candidate does."""
    y, new = np.arange(100) % 10, np.arange(50) % 10
    old = ExamAnswers(1, "old", y, y, changes.get("candidate", y), is_new=False, learned=changes.get("learned"))
    return [old, ExamAnswers(2, "new", new, (new + 1) % 10, new, is_new=True)]


def test_estimates_are_of_the_worst_fall() -> None:
    gate, y = Gate(), np.arange(100) % 10
    assert estimate(gate, exams()).gain == 1.0
    assert estimate(gate, exams()).excess == pytest.approx(-0.05 / 5)
    assert estimate(gate, exams()).behind
    fallen = np.where(np.arange(100) < 3, 11, y)
    assert estimate(gate, exams(candidate=fallen)).excess == pytest.approx(0.03 - 0.05 / 5), "the mean"
    one_class = np.where((y == 3), 11, y)
    wide = Gate(max_forgetting=0.5, max_total_forgetting=1.0, max_task_forgetting=1.0, max_class_forgetting=0.5)
    assert estimate(wide, exams(candidate=one_class)).excess == pytest.approx(10 / 20 - 0.3), "a class, shrunk by ten"
    two = np.where(np.isin(np.arange(100), (3, 13)), 11, y)
    assert estimate(wide, exams(candidate=two)).excess < 0.0
    assert estimate(wide, exams(candidate=two), strict=True).excess == pytest.approx(0.2 - 0.25 * 0.5), (
        "2 of 10 answers"
    )
    assert estimate(gate, exams()[1:]) == Estimate(1.0, -1.0, behind=True)
