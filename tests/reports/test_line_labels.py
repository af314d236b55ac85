"""Names at the ends of lines: as near as can be, in order, and never on top of each other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from scipy.optimize import LinearConstraint, minimize

from lifelong.reports.canvas import blank
from lifelong.reports.line_labels import label_lines, moved_apart


@pytest.mark.parametrize("seed", range(5))
def test_places_are_the_nearest_that_keep_the_gap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    places, gap = np.sort(rng.random(6)), 0.15
    steps = np.eye(6)[1:] - np.eye(6)[:-1]
    best = minimize(
        lambda moved: ((moved - places) ** 2).sum(),
        np.linspace(0, 1, 6),
        constraints=[LinearConstraint(steps, gap, np.inf)],
        bounds=[(0, 1)] * 6,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    order = rng.permutation(6)
    assert moved_apart(places[order], gap) == pytest.approx(best.x[order], abs=1e-5)


def test_without_room_the_gaps_are_equal() -> None:
    assert moved_apart([0.1, 0.2, 0.15], 0.9) == pytest.approx([0, 1, 0.5])
    assert moved_apart([], 0.1).tolist() == []


def test_drawn_names_do_not_cover_each_other() -> None:
    figure = blank(6, 3.5)
    axes = figure.subplots()
    for number in range(8):
        axes.plot([0, 1, 2], [50, 60, 90 + number / 10], label=f"method {number}", color=f"C{number}")
    axes.plot([0, 2], [0, 0], label="_guide")
    axes.set_ylim(0, 100)
    label_lines(axes)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = [Text.get_window_extent(text, renderer) for text in axes.texts]  # without the lines that lead there
    assert [text.get_text() for text in axes.texts] == [f"method {number}" for number in range(8)]
    extents = sorted((box.y0, box.y1) for box in boxes)
    assert all(below[1] <= above[0] + 0.5 for below, above in pairwise(extents))
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
