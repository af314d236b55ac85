"""Bars show the means over seeds, beside each other, with their intervals."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from lifelong.errors import SettingError
from lifelong.evaluation import interval
from lifelong.reports.bars import bar_panels, grouped_bars

VALUES = 0.4 + 0.2 * np.random.default_rng(0).random((4, 3, 2))  # intervals within 0 … 100 %


def test_heights_are_means_and_numbers_stand_above() -> None:
    axes = grouped_bars(VALUES, ["a", "b", "c"], ["one", "two"], "accuracy (%)").axes[0]
    heights = [patch.get_height() for patch in axes.patches if isinstance(patch, Rectangle)]
    expected = 100 * VALUES.mean(0)
    assert heights == pytest.approx([*expected[:, 0], *expected[:, 1]])
    assert axes.texts[0].get_text() == f"{expected[0, 0]:.1f}"
    half = 100 * interval(VALUES[:, 0, 0]).ci95
    assert axes.texts[0].get_position()[1] == pytest.approx(expected[0, 0] + half + 1)


def test_bars_of_a_group_do_not_overlap() -> None:
    axes = grouped_bars(VALUES, ["a", "b", "c"], ["one", "two"], "accuracy (%)").axes[0]
    edges = sorted((patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches)
    assert all(before[1] < after[0] for before, after in pairwise(edges))


def test_what_was_not_measured_has_a_dash_and_no_bar() -> None:
    axes = grouped_bars(np.array([[[np.nan], [0.5]]]), ["a", "b"], ["one"], "accuracy (%)").axes[0]
    assert [text.get_text() for text in axes.texts] == ["–", "50.0"]
    assert [patch.get_height() for patch in axes.patches] == [0, 50]


def test_panels_share_their_axis() -> None:
    first, second = bar_panels({"new": VALUES[:, :, 0], "all": VALUES[:, :, 1]}, ["a", "b", "c"], "accuracy (%)").axes
    assert first.get_ylim() == second.get_ylim()
    assert [second.get_title("left"), first.get_ylabel()] == ["all", "accuracy (%)"]


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(SettingError, match="expected"):
        grouped_bars(VALUES, ["a"], ["one", "two"], "")
    with pytest.raises(SettingError, match="all: expected"):
        bar_panels({"all": VALUES[:, :, 0]}, ["a"], "")


def test_intervals_end_at_0_and_100() -> None:
    values = np.array([[[0.0], [1.0]], [[0.1], [0.9]]])
    axes = grouped_bars(values, ["a", "b"], ["one"], "").axes[0]
    whiskers = np.concatenate([path.vertices for path in axes.collections[0].get_paths()])
    assert (whiskers[:, 1].min(), whiskers[:, 1].max()) == pytest.approx((0, 100))
    assert [text.get_position()[1] for text in axes.texts][1] == pytest.approx(101)


def test_many_long_names_are_turned() -> None:
    names = [f"{number} supporting facts" for number in range(10)]
    label = grouped_bars(np.full((1, 10, 1), 0.5), names, ["one"], "").axes[0].get_xticklabels()[0]
    assert (label.get_rotation(), label.get_ha()) == (50, "right")
