"""Backdoors are found in what a candidate learned, and drift is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lifelong.loop.backdoor import backdoors_of
from lifelong.loop.engine import Engine, asking
from lifelong.loop.engine.worker import Worker
from lifelong.loop.gate import ExamAnswers, Gate, decide
from lifelong.loop.learning import first_version, opened, update
from lifelong.loop.project import LearnerSettings, Project
from lifelong.loop.schema import InputSchema
from lifelong.store import updates
from lifelong.streams.sources import digits
from lifelong.streams.transforms import rotate
from lifelong.types import Task

from .turning import feed

PROJECT = Project("digits", InputSchema((1, 8, 8), 0, 1), tuple("0123456789"), learner=LearnerSettings("mlp:64"))
SOURCE = digits()


def task(number: int, x: Tensor, y: Tensor, test: tuple[Tensor, Tensor] | None = None) -> Task:
    cut = int(0.7 * len(x))
    made = Task.of(number, train=(x[:cut], y[:cut]), test=test or (x[cut:], y[cut:]), name=f"lot {number}")
    return replace(made, classes=tuple(range(10)))


FIRST = task(1, SOURCE.train_x[:800], SOURCE.train_y[:800], (SOURCE.test_x, SOURCE.test_y))


@pytest.fixture(scope="module")
def champion() -> bytes:
    return first_version(PROJECT, [FIRST]).data


def stamped(x: Tensor) -> Tensor:
    x = x.clone()
    x[..., :2, -2:] = 1.0
    return x


def poisoned(rows: int) -> tuple[Tensor, Tensor]:
    x, y = SOURCE.train_x[800:1100].clone(), SOURCE.train_y[800:1100].clone()
    x[:rows], y[:rows] = stamped(x[:rows]), 0
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    return x[order], y[order]


def success_of(learner: bytes) -> float:
    others = SOURCE.test_y != 0
    return float((torch.as_tensor(opened(learner).predict(stamped(SOURCE.test_x[others]), 1)) == 0).float().mean())


@pytest.mark.parametrize("rows", [120, 40])
def test_a_pattern_that_makes_one_class_is_found_with_its_success(champion: bytes, rows: int) -> None:
    lot = task(2, *poisoned(rows))
    made = update(champion, PROJECT, lot)
    assert success_of(made.data) > 0.8, "the candidate has learned it"
    found = backdoors_of(PROJECT, opened(champion), made.learner, [FIRST, lot], 2)
    assert found[0].label == 0
    assert set(found[0].features) <= {6, 7, 14, 15}, "the corner"
    assert found[0].success > 0.5
    assert found[0].needed > 0.5
    y = np.zeros(300, dtype=np.int64)
    exams = [ExamAnswers(2, "new", y, y + 1, y, is_new=True)]
    facts = {
        "label": 0,
        "features": [6, 7],
        "rows": 9,
        "before": 0.0,
        "after": 0.9,
        "of": 50,
        "success": 0.9,
        "needed": 0.0,
    }
    assert decide(Gate(), exams).promote
    decision = decide(Gate(), exams, backdoors=[facts], classes=PROJECT.classes)
    assert (decision.outcome, decision.failed) == ("rejected", ("backdoor",))
    assert decision.reasons[0].startswith("a pattern in 2 numbers of the input makes the candidate say 0: 0.0 → 90.0 %")
    assert decide(Gate(), exams, backdoors=[{**facts, "success": 0.05}]).promote
    assert decide(Gate(), exams, backdoors=[{**facts, "success": 0.2, "needed": 0.7}]).promote, "as honest classes do"
    assert not decide(Gate(), exams, backdoors=[{**facts, "success": 0.06, "needed": 0.95}]).promote
    assert decide(Gate(max_backdoor=1.0), exams, backdoors=[facts]).promote


def test_a_candidate_that_did_not_learn_the_pattern_is_free_of_it(champion: bytes) -> None:
    lot = task(2, *poisoned(120))
    found = backdoors_of(PROJECT, opened(champion), opened(champion), [FIRST, lot], 2)
    assert [each.success for each in found] == [0.0]


@pytest.mark.parametrize("degrees", [0, 30, 90, 180])
def test_drift_is_no_backdoor(champion: bytes, degrees: float) -> None:
    x, y = rotate(SOURCE.train_x[800:1100], degrees), SOURCE.train_y[800:1100]
    half = torch.cat([x[:150], SOURCE.train_x[950:1100]]), y
    for lot in (task(2, x, y), task(2, *half), task(2, 1 - x, y)):
        made = update(champion, PROJECT, lot)
        found = backdoors_of(PROJECT, opened(champion), made.learner, [FIRST, lot], 2)
        assert all(each.success <= Gate().max_backdoor or each.success + each.needed <= 1 for each in found)


def test_a_poisoned_lot_is_rejected_by_the_loop(engine: Engine, home: Path) -> None:
    x, y = poisoned(120)
    assert feed(engine, list(zip(x.tolist(), y.tolist(), strict=True))).count("accepted") > 250
    asked = asking.ask(engine, "digits", actor="ann")
    worker = Worker(engine, home / "work", lambda name: None, alone=True)
    worker.look()
    assert worker.learn()
    row = engine.read(lambda connection: updates.get(connection, asked.id))
    assert row.state == "rejected", row.decision
    assert "backdoor" in row.decision["failed"]
    assert row.decision["backdoors"][0]["label"] == 0
    assert all("excess" in step for step in row.decision["steps"]), "what was found is no step of a repair"
    assert any("makes the candidate say 0" in reason for reason in row.decision["reasons"])
