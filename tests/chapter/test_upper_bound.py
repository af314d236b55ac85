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
