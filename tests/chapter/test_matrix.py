"""The working of the scores, and the streams of the lesson on the table R."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from lifelong.chapter.learning import by_class, learned
from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons.matrix import ANGLES, LIVES, MATRIX, stream_of
from lifelong.chapter.working import worked
from lifelong.evaluation import acc, bwt, fwt
from lifelong.training import Training


def value_of(line: str) -> float:
    """What a line of numbers comes to: 1/n [a + (b − c) + …]."""
    count, terms = re.fullmatch(r"1/(\d+) \[(.*)\]", line).groups()  # type: ignore[union-attr]
    plain = terms.replace("−", "-").replace(" ", "")
    pieces = re.findall(r"\(?([+-]?[\d.]+)(?:-([\d.]+))?\)?", plain)
    return sum(float(first) - float(second or 0) for first, second in pieces) / int(count)


@pytest.mark.parametrize("tasks", [2, 5, 12])
def test_every_line_of_numbers_comes_to_the_score(tasks: int) -> None:
    matrix = np.random.default_rng(tasks).integers(0, 1000, (tasks + 1, tasks)) / 1000  # one decimal in percent
    for working, score in zip(worked(matrix), (acc, bwt, fwt), strict=True):
        for line in working.lines[1:]:
            assert value_of(line) == pytest.approx(100 * float(score(matrix)), abs=1e-9)
        assert float(working.result.replace("−", "-")) == pytest.approx(100 * float(score(matrix)), abs=0.051)


def test_the_first_line_names_the_cells_of_the_definition() -> None:
    average, backward, forward = worked(np.full((4, 3), 0.5))
    assert average.lines[0] == "1/3 [R₃,₁ + R₃,₂ + R₃,₃]"
    assert backward.lines[0] == "1/2 [(R₃,₁ − R₁,₁) + (R₃,₂ − R₂,₂)]"
    assert forward.lines[0] == "1/2 [(R₁,₂ − R₀,₂) + (R₂,₃ − R₀,₃)]"


def test_right_angles_turn_the_same_images() -> None:
    stream = stream_of(Setup(), "rotated", 0)
    first, third = stream.task(1).test.x, stream.task(3).test.x
    assert [task.name for task in stream] == ["0°", "90°", "180°", "270°"]
    assert torch.equal(third, torch.rot90(first, 2, dims=(-2, -1)))


def test_both_lives_have_as_many_tasks_and_begin_with_the_upright_digits() -> None:
    permuted, rotated = stream_of(Setup(), "permuted", 0), stream_of(Setup(), "rotated", 0)
    assert len(permuted) == len(rotated) == 4
    assert torch.equal(permuted.task(1).test.x, rotated.task(1).test.x)


def test_accuracies_by_class_come_to_the_r_of_the_same_run(tmp_path: Path) -> None:
    stream, training = stream_of(Setup(), "rotated", 0), Training(epochs=2)
    classes = np.array(by_class(stream, "finetune", model="linear", training=training), dtype=np.float64)
    counts = np.bincount(stream.task(1).test.y, minlength=10)  # all tasks have the same images
    record = learned(tmp_path, stream, "finetune", model="linear", training=training)
    np.testing.assert_allclose(classes @ counts / counts.sum(), np.array(record["matrix"])[1:], atol=1e-6)


def test_tables_hold_the_runs_numbers() -> None:
    matrices = {"permuted": np.arange(20.0).reshape(5, 4) / 100, "rotated": np.arange(20.0).reshape(5, 4) / 50}
    shown = MATRIX.show(Setup(), {kind: life(matrix) for kind, matrix in matrices.items()})
    assert len(shown.tables) == 1 + 2 * len(LIVES)
    _, heads, rows = shown.tables[1].in_language("en")
    assert heads[1:] == [f"task {number}" for number in range(1, 5)]
    assert rows[0] == ["nothing (random initialisation)", "0.0", "1.0", "2.0", "3.0"]
    _, _, steps = shown.tables[4].in_language("zh")
    assert steps[-1] == ["", f"= +{100 * float(fwt(matrices['rotated'])):.1f}"]
    assert len(shown.pictures[0].draw("zh").subfigs) == 2


def test_claims_compare_the_two_lives_seed_by_seed() -> None:
    """Rotations: 90 % after learning, 20 points above chance before, 30 points lost; permutations lose 50."""
    rotated, permuted = matrix(before=0.3, end=0.6), matrix(before=0.1, end=0.4)
    claims = MATRIX.show(Setup(), {"permuted": life(permuted), "rotated": life(rotated)}).claims
    assert all(claim.holds for claim in claims)
    sentences = " ".join(claim.sentence.en for claim in claims)
    assert "their BWT is 20.0 ± 0.0 points higher" in sentences
    assert "ACC on rotations is 15.0 ± 0.0 points higher" in sentences
    assert "already 20.0 ± 0.0 points above" in sentences


def test_claims_that_fail_say_what_was_measured() -> None:
    same = matrix(before=0.3, end=0.6)
    claims = MATRIX.show(Setup(), {"permuted": life(same), "rotated": life(same, spread=0.2)}).claims
    assert [claim.holds for claim in claims] == [True, False, False, False, True, False]
    assert "the interval includes 0" in claims[2].sentence.en
    assert "置信区间不包含 0" in claims[5].sentence.zh
    one = MATRIX.show(Setup(), {"permuted": life(same, seeds=1), "rotated": life(same, seeds=1)}).claims
    assert "one seed has no interval" in one[0].sentence.en


def matrix(before: float, end: float) -> np.ndarray:
    """R of four tasks: chance is 10 %, each is at `before` until it is learned, then at 90 %, at the end at `end`."""
    R = np.full((5, 4), 0.1)
    for task in range(4):
        R[1 : task + 1, task], R[task + 1, task], R[task + 2 :, task] = before, 0.9, end
    return R


def life(matrix: np.ndarray, seeds: int = 3, spread: float = 0.0) -> dict[str, object]:
    """The values of runs with this R, whose last row differs by `spread` from seed to seed."""
    cost = {"train_seconds": 1.0, "eval_seconds": 1.0, "stored_bytes": 0, "parameters": 1}
    runs = []
    for seed in range(seeds):
        R = matrix.copy()
        R[-1, :-1] += spread * (seed - 1)
        runs.append({"method": "finetune", "settings": {}, "seed": seed, "matrix": R.tolist(), "cost": cost})
    digits = np.full((len(ANGLES), len(ANGLES), 10), 0.5).tolist()
    return {"runs": runs, "images": np.zeros((len(ANGLES), 5, 8, 8)).tolist(), "digits": digits}
