"""What a map of losses holds."""

from __future__ import annotations

import numpy as np
import pytest

from lifelong.reports.bilingual import Text
from lifelong.reports.canvas import png
from lifelong.reports.surfaces import surfaces

TICKS = np.linspace(-1.0, 3.0, 5)
LOSSES = [np.add.outer(TICKS**2, TICKS**2) + 0.1, np.add.outer(TICKS**2, (TICKS - 2) ** 2) + 0.01]
FIRST = np.array([[2.0, 2.0], [1.0, 0.5], [0.0, 0.0]])
AFTER = {"finetune": np.array([[0.0, 0.0], [2.0, 0.0]]), "ewc": np.array([[0.0, 0.0], [1.0, 0.0]])}
LABELS = Text("first", "第一"), Text("second", "第二")


def test_all_tasks_have_the_same_ways_on_the_same_scale() -> None:
    figure = surfaces(TICKS, TICKS, LOSSES, FIRST, AFTER, LABELS, {"joint": np.array([1.0, 1.0])}, "zh")
    one, two, bar = figure.axes
    assert (one.get_title("left"), two.get_title("left")) == ("任务 1 的损失", "任务 2 的损失")
    assert bar.get_ylim() == pytest.approx((0.01, 18.1))
    for axes in (one, two):
        ways = {line.get_label(): np.asarray(line.get_xydata()) for line in axes.lines}
        assert np.array_equal(ways["学习任务 1"], FIRST)
        assert np.array_equal(ways["用 ewc 学习任务 2"], AFTER["ewc"])
        assert {text.get_text(): text.xy for text in axes.texts} == {"θ⁰": (2, 2), "θᵇ": (0, 0), "joint": (1, 1)}


def test_a_way_that_is_not_drawn_has_no_beginning() -> None:
    figure = surfaces(TICKS, TICKS, LOSSES, FIRST[-1:], AFTER, LABELS)
    assert [text.get_text() for text in figure.axes[0].texts] == ["θᵇ"]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["learning task 2 with finetune", "learning task 2 with ewc"]


def test_a_loss_that_is_zero_everywhere_can_be_drawn() -> None:
    flat = np.zeros((5, 5))
    assert png(surfaces(TICKS, TICKS, [flat, flat], FIRST, AFTER, LABELS)).startswith(b"\x89PNG")
