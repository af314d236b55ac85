"""Lines over something that grows."""

from __future__ import annotations

import numpy as np
import pytest

from lifelong.errors import SettingError
from lifelong.reports.series import Quantity, series_panels

PLACES = [1, 10, 100]


def test_lines_are_means_over_seeds_in_their_panels() -> None:
    values = np.random.default_rng(0).random((3, 3))
    figure = series_panels(
        [Quantity("seconds", {"er": (PLACES, values)}, True), Quantity("ACC", {"joint": (PLACES, values)})],
        "tasks",
        PLACES,
    )
    first, second = figure.axes
    assert np.asarray(first.lines[0].get_xydata()) == pytest.approx(np.stack([PLACES, values.mean(0)], axis=1))
    assert (first.get_yscale(), second.get_yscale(), first.get_xscale()) == ("log", "linear", "log")
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [["er"], ["joint"]]
    assert [label.get_text() for label in first.get_xticklabels()] == ["1", "10", "100"]


def test_zero_is_left_out_of_a_logarithmic_axis_only() -> None:
    lines = {"er": (PLACES, np.array([[0.0, 1.0, 2.0]]))}
    logarithmic, linear = series_panels([Quantity("a", lines, True), Quantity("b", lines)], "tasks").axes
    assert np.asarray(logarithmic.lines[0].get_xdata()).tolist() == [10, 100]
    assert np.asarray(linear.lines[0].get_xdata()).tolist() == PLACES


def test_bands_end_where_their_quantity_does() -> None:
    values = np.array([[1.0, 50.0, 99.0], [30.0, 50.0, 70.0]])
    axes = series_panels([Quantity("ACC", {"er": (PLACES, values)}, most=100.0)], "tasks").axes[0]
    band = np.asarray(axes.collections[0].get_paths()[0].vertices)
    assert (band[:, 1].min(), band[:, 1].max()) == (0, 100)


def test_what_was_measured_is_a_ring_without_a_name() -> None:
    lines = {"er": (PLACES, np.ones((1, 3)))}
    axes = series_panels([Quantity("MB", lines, measured={"er": (10, 1.1)})], "tasks").axes[0]
    assert np.asarray(axes.lines[1].get_xydata()).tolist() == [[10, 1.1]]
    assert axes.lines[1].get_markerfacecolor() == "none"
    assert len(axes.texts) == 1


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(SettingError, match=r"er: expected values \(seeds, 3\)"):
        series_panels([Quantity("a", {"er": (PLACES, np.zeros((1, 2)))})], "tasks")
    with pytest.raises(SettingError, match="at least one quantity"):
        series_panels([], "tasks")
