"""The working of the scores, and the streams of the lesson on the table R."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons.matrix import LIVES, MATRIX, stream_of
from lifelong.chapter.working import worked
from lifelong.evaluation import acc, bwt, fwt


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
    stream = stream_of(Setup(), "rotated")
    first, third = stream.task(1).test.x, stream.task(3).test.x
    assert [task.name for task in stream] == ["0°", "90°", "180°", "270°"]
    assert torch.equal(third, torch.rot90(first, 2, dims=(-2, -1)))


def test_tables_hold_the_runs_numbers() -> None:
    matrices = {"permuted": np.arange(30.0).reshape(6, 5) / 100, "rotated": np.arange(20.0).reshape(5, 4) / 100}
    values = {kind: record(matrix) for kind, matrix in matrices.items()}
    shown = MATRIX.show(Setup(), values)
    assert len(shown.tables) == 2 * len(LIVES)
    _, heads, rows = shown.tables[0].in_language("en")
    assert heads[1:] == [f"task {number}" for number in range(1, 6)]
    assert rows[0] == ["nothing (random initialisation)", "0.0", "1.0", "2.0", "3.0", "4.0"]
    _, _, steps = shown.tables[3].in_language("zh")
    assert steps[-1] == ["", f"= +{100 * float(fwt(matrices['rotated'])):.1f}"]


def record(matrix: np.ndarray) -> dict[str, object]:
    """The values of a run with this R."""
    cost = {"train_seconds": 1.0, "eval_seconds": 1.0, "stored_bytes": 0, "parameters": 1}
    return {"method": "finetune", "settings": {}, "seed": 0, "matrix": matrix.tolist(), "cost": cost}
