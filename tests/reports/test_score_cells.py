"""The cells that a score is made of, against the scores themselves."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from lifelong.evaluation import acc, bwt, fwt
from lifelong.reports.score_cells import score_cells, signs


@pytest.mark.parametrize("tasks", [2, 3, 6])
def test_signed_cells_sum_to_the_scores(tasks: int) -> None:
    matrix = np.random.default_rng(tasks).random((tasks + 1, tasks))
    sums = {score: float((sign * matrix).sum()) for score, sign in signs(tasks).items()}
    assert sums["ACC"] / tasks == pytest.approx(acc(matrix))
    assert sums["BWT"] / (tasks - 1) == pytest.approx(bwt(matrix))
    assert sums["FWT"] / (tasks - 1) == pytest.approx(fwt(matrix))


def test_outlines_stand_on_the_cells_that_enter() -> None:
    figure = score_cells(np.array([[0.1, 0.2], [0.9, 0.3], [0.6, 0.8]]), "finetune")
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["ACC = 70.0", "BWT = −30.0", "FWT = +10.0"]
    outlined = [
        {
            (round(patch.get_y() + 0.42), round(patch.get_x() + 0.44))
            for patch in axes.patches
            if type(patch) is Rectangle
        }
        for axes in figure.axes
    ]
    assert outlined == [{(2, 0), (2, 1)}, {(2, 0), (1, 0)}, {(1, 1), (0, 1)}]


def test_labels_follow_the_language() -> None:
    matrix = np.full((3, 2), 0.5)
    assert score_cells(matrix, "er", "zh").axes[0].get_xlabel() == "测试任务"
    assert score_cells(matrix, "er").axes[0].get_xlabel() == "accuracy on task"
