"""Lives that are cut short, the time of a whole life, and the tables over the number of tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons.upper_bound import LENGTHS, UPPER_BOUND, one_by_one, whole_life
from lifelong.methods import ER
from lifelong.streams import Stream
from lifelong.training import Learner


def test_whole_life_of_joint_training_is_the_sum_of_its_tasks() -> None:
    tasks = np.array([1.0, 2.0, 10.0, 200.0])
    assert whole_life(tasks, 0.5 * tasks) == pytest.approx(0.5 * 200 * 201 / 2)
    assert whole_life(tasks, np.full(4, 3.0)) == pytest.approx(600)


def test_a_life_cut_short_goes_on_to_the_same_end(clouds: Callable[..., Stream], tmp_path: Path) -> None:
    stream = clouds("domain", tasks=4)

    def make() -> Learner:
        return Learner("mlp:8", ER(capacity=10), stream.space, epochs=1)

    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    whole = one_by_one(make, stream, (1, 2, 4), tmp_path / "whole")
    one_by_one(make, stream, (1, 2), tmp_path / "cut")
    again = one_by_one(make, stream, (1, 2, 4), tmp_path / "cut")
    assert [(note["tasks"], note["acc"], note["bytes"]) for note in again] == [
        (note["tasks"], note["acc"], note["bytes"]) for note in whole
    ]
    learner = make()
    for task in stream:
        learner.learn(task)
    assert whole[-1]["acc"] == pytest.approx(np.mean(learner.evaluate(stream)))


def test_parts_of_joint_training_make_one_line_in_order() -> None:
    def note(tasks: int) -> dict[str, float]:
        return {"tasks": tasks, "seconds": tasks / 10, "bytes": 1000 * tasks, "acc": 0.5}

    names = UPPER_BOUND.parts(Setup())
    values = {
        name: {"noted": [note(int(name[6:]))] if name.startswith("joint-") else [note(length) for length in LENGTHS]}
        for name in names
    }
    shown = UPPER_BOUND.show(Setup(), values)
    _, heads, rows = shown.tables[1].in_language("en")
    assert heads[1:] == [str(length) for length in LENGTHS]
    assert rows[0] == ["joint", "1.0 kB", "2.0 kB", "5.0 kB", "10 kB", "20 kB", "50 kB", "100 kB", "200 kB"]
    assert shown.tables[3].in_language("en")[2][0] == ["joint", "34 min"]  # 0.1 · 200 · 201 / 2 seconds
    assert len(shown.pictures[0].draw("en").axes) == 3
    assert len(UPPER_BOUND.show(Setup(), values).notes) == 2


def lines(joint: dict[int, tuple[float, float]], er: dict[int, tuple[float, float]]) -> dict[str, object]:
    """The values of parts with (seconds, accuracy) by number of tasks; finetune is er with half the accuracy."""

    def noted(line: dict[int, tuple[float, float]], share: float = 1.0, stored: int = 0) -> list[dict[str, float]]:
        return [
            {"tasks": tasks, "seconds": taken, "bytes": stored * tasks, "acc": share * accuracy}
            for tasks, (taken, accuracy) in line.items()
        ]

    parts = {f"joint-{note['tasks']}": {"noted": [note]} for note in noted(joint, stored=1000)}
    return {**parts, "er": {"noted": noted(er)}, "finetune": {"noted": noted(er, 0.5)}}


def test_claims_on_cost_and_bound_hold_where_joint_grows_and_is_best() -> None:
    values = lines({1: (0.1, 0.9), 200: (20.0, 0.6)}, {1: (0.1, 0.9), 200: (0.1, 0.3)})
    claims = UPPER_BOUND.show(Setup(), values).claims
    assert all(claim.holds for claim in claims)
    grows, flat, stored, bound, falls = (claim.sentence.en for claim in claims)
    assert "100 ms for task 1 and 20 s to add task 200, 200 times as long" in grows
    assert "at most 1.0 times" in flat
    assert "takes joint 100 times as long as finetune" in flat  # (1 + 200) / 2
    assert "1.0 kB for 1 task, 200 kB for 200" in stored
    assert "60.0 % against finetune 15.0 %, er 30.0 %" in bound
    assert "from 90.0 % with 1 task to 60.0 % with 200" in falls


def test_claims_on_cost_and_bound_fail_where_they_must() -> None:
    values = lines({1: (0.1, 0.6), 200: (0.2, 0.7)}, {1: (0.1, 0.9), 200: (0.5, 0.8)})
    values["joint-200"]["noted"][0]["bytes"] = 7  # type: ignore[index]
    claims = UPPER_BOUND.show(Setup(), values).claims
    assert not any(claim.holds for claim in claims)
    assert "too little growth" in claims[0].sentence.en
    assert "5.0 times as long" in claims[1].sentence.en
    assert "not proportional" in claims[2].sentence.en
    assert "above joint training at 200 tasks" in claims[3].sentence.en
    assert "上界没有下降" in claims[4].sentence.zh
