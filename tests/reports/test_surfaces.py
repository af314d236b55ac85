"""What a map of losses holds."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lifelong.reports.bilingual import Text
from lifelong.reports.canvas import looks, png
from lifelong.reports.surfaces import surfaces

TICKS = np.linspace(-1.0, 3.0, 5)
LOSSES = [np.add.outer(TICKS**2, TICKS**2) + 0.1, np.add.outer(TICKS**2, (TICKS - 2) ** 2) + 0.01]
FIRST = np.array([[2.0, 2.0], [1.0, 0.5], [0.0, 0.0]])
AFTER = {"finetune": np.array([[0.0, 0.0], [2.0, 0.0]]), "ewc": np.array([[0.0, 0.0], [1.0, 0.0]])}
LABELS = Text("first", "第一"), Text("second", "第二")


def names(axes: Axes) -> dict[str, tuple[float, float]]:
    return {text.get_text(): text.xy for text in axes.texts}


def test_all_tasks_have_the_same_ways_on_the_same_scale() -> None:
    figure = surfaces(TICKS, TICKS, LOSSES, FIRST, AFTER, LABELS, {"joint": np.array([1.0, 1.0])}, "zh")
    one, two, bar = figure.axes
    assert (one.get_title("left"), two.get_title("left")) == ("任务 1 的损失", "任务 2 的损失")
    assert bar.get_ylim() == pytest.approx((0.01, 18.1))
    for axes in (one, two):
        ways = [np.asarray(line.get_xydata()) for line in axes.lines if len(line.get_xydata()) > 1]
        assert np.array_equal(ways[0], FIRST)
        assert all(np.array_equal(way, drawn) for way, drawn in zip(AFTER.values(), ways[1:], strict=True))
        places = {"θ⁰": (2, 2), "θᵇ": (0, 0), "θ* finetune": (2, 0), "θ* ewc": (1, 0), "θ* joint": (1, 1)}
        assert names(axes) == places
        colours = {text.get_text(): text.get_color() for text in axes.texts}
        assert colours["θ* ewc"] == looks(["ewc"])["ewc"].colour


def test_a_way_that_is_not_drawn_has_no_beginning() -> None:
    figure = surfaces(TICKS, TICKS, LOSSES, FIRST[-1:], AFTER, LABELS)
    assert set(names(figure.axes[0])) == {"θᵇ", "θ* finetune", "θ* ewc"}


def test_the_bluer_the_lower() -> None:
    figure = surfaces(TICKS, TICKS, LOSSES, FIRST, AFTER, LABELS)
    colours = figure.axes[0].collections[0].get_facecolor()
    red, _, blue, _ = np.asarray(colours).T
    assert blue[0] > red[0]
    assert red[-1] > blue[-1]


def test_names_lie_inside_the_map_and_apart() -> None:
    close = {"finetune": np.array([[0.0, 0.0], [2.9, 2.9]]), "ewc": np.array([[0.0, 0.0], [2.8, 2.9]])}
    figure = surfaces(TICKS, TICKS, LOSSES, FIRST, close, LABELS)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_a_loss_that_is_zero_everywhere_can_be_drawn() -> None:
    flat = np.zeros((5, 5))
    assert png(surfaces(TICKS, TICKS, [flat, flat], FIRST, AFTER, LABELS)).startswith(b"\x89PNG")
