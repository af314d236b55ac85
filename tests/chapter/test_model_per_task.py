"""What the lesson on one model per task makes of known numbers, and what it computes of storage."""

from __future__ import annotations

import numpy as np
import pytest

from lifelong.chapter.learning import data_stream, joint_after
from lifelong.chapter.lesson import Setup, Values
from lifelong.chapter.lessons.model_per_task import CAPACITY, LIVES, METHODS, MODEL_PER_TASK, SAMPLES, TASKS, storage
from lifelong.chapter.shown import Shown
from lifelong.training import Training

FEW = Setup("digits")
DECLARED = {"independent": [1000 * tasks for tasks in LIVES], "er": [500] * len(LIVES), "joint": [9 * n for n in LIVES]}


def shown(gains: dict[str, list[float]], declared: dict[str, list[int]] = DECLARED) -> Shown:
    """The lesson on two seeds: independent has 50 and 60 %, the others so much more by the number of examples."""
    values: dict[str, Values] = {}
    for method in METHODS:
        for place, samples in enumerate(SAMPLES["digits"]):
            gain = gains[method][place] if method in gains else 0.0
            stored = declared[method][LIVES.index(TASKS)]
            runs = [
                {"samples": samples or 1293, "acc": 0.5 + gain * (1 + 0.01 * seed) + 0.1 * seed, "bytes": stored}
                for seed in (0, 1)
            ]
            values[f"{method}-{samples or 'all'}"] = {"runs": runs, "declared": declared[method]}
    assert set(values) == set(MODEL_PER_TASK.parts(FEW))
    return MODEL_PER_TASK.show(FEW, values)


def test_gain_of_sharing_is_the_difference_seed_by_seed() -> None:
    lesson = shown({"er": [0.1] * 4, "joint": [0.2] * 4})
    accuracies, gained, stored = (table.in_language("en") for table in lesson.tables)
    assert accuracies[1] == ["examples per task", "20", "50", "200", "1293"]
    assert accuracies[2][0] == ["independent", *["55.0 (0.0 … 100.0)"] * 4]
    assert [row[0] for row in gained[2]] == ["joint", "er"]
    assert gained[2][0][1:] == ["+20.1 ± 1.3"] * 4
    assert stored[2][0][:3] == ["independent", "1.0 kB", "2.0 kB"]
    assert stored[2][0][-2:] == ["1.0 MB", "10 kB"]
    assert [len(picture.draw("zh").axes) for picture in lesson.pictures] == [1, 1]


def test_claims_hold_where_sharing_gains_and_say_so_where_it_does_not() -> None:
    claims = shown({"er": [0.1] * 4, "joint": [0.2, 0.1, 0.1, 0.05]}).claims
    assert [claim.holds for claim in claims] == [True, True, True, True, True, False, True]
    assert "With 1293 examples per task, joint is 5.0 ± 0.3 points above" in claims[2].sentence.en
    assert "1.0 kB per task, 1.0 MB for 1,000 tasks; er stores 500 B" in claims[4].sentence.en
    assert claims[5].sentence.en.startswith("Joint training stores less than the models here: 9.0 kB")
    worse = shown({"er": [0.0] * 4, "joint": [-0.1] * 4}, {**DECLARED, "er": [500 * tasks for tasks in LIVES]}).claims
    assert not any(claim.holds for claim in worse[:5])
    assert "the opposite of what was expected" in worse[0].sentence.en
    assert "置信区间包含 0" in worse[1].sentence.zh


def test_what_was_measured_is_compared_with_what_was_computed() -> None:
    claims = shown({}, {**DECLARED, "joint": [0.0001 * n for n in LIVES]}).claims  # type: ignore[dict-item]
    assert claims[-1].holds
    lesson = shown({})
    ring = lesson.pictures[1].draw("en").axes[0].lines[1]
    assert np.asarray(ring.get_xydata()).tolist() == [[TASKS, pytest.approx(0.01)]]


def test_storage_is_exact() -> None:
    """A model of P float32 parameters per task and its task number, all examples, or as many as fit."""
    stream = data_stream(FEW, "rotated", tasks=3, samples=20)
    parameters = 64 * 8 + 8 + 8 * 10 + 10
    example = 4 * 64 + 8 + 8  # an image, its class, its task
    assert storage("independent", stream, "mlp:8") == [tasks * (4 * parameters + 16) for tasks in LIVES]
    assert storage("joint", stream, "mlp:8") == [tasks * 20 * example for tasks in LIVES]
    assert storage("er", stream, "mlp:8")[-1] == CAPACITY * example
    learner, _ = joint_after(2, stream, "mlp:8", Training(epochs=1), seed=0)
    assert learner.stored_bytes == storage("joint", stream, "mlp:8")[LIVES.index(2)]
