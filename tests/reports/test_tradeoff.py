"""What the curves over strengths hold."""

from __future__ import annotations

import math

import numpy as np

from lifelong.reports.tradeoff import strength_curves, tradeoff


def test_the_extremes_are_marked() -> None:
    figure = tradeoff({"ewc": np.array([[0.5, 0.0], [0.2, 0.1], [0.0, 0.6]]), "si": np.array([[0.5, 0.0], [0.0, 0.7]])})
    axes = figure.axes[0]
    stars = [line.get_xydata() for line in axes.lines if line.get_marker() == "*" and len(line.get_xydata()) == 1]
    assert np.concatenate(stars).tolist() == [[0.0, 60.0], [0.0, 70.0]]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["ewc", "si", "b = 0: no guard", "b → ∞: no move"]


def test_zero_and_infinity_stand_at_the_ends_of_a_logarithmic_axis() -> None:
    axes = strength_curves([0.0, 0.5, 2.0, math.inf], {"ewc": np.array([0.1, 0.2, 0.3, 0.4])}, "zh").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.5", "2", "∞"]
    assert np.asarray(axes.lines[0].get_xydata()).tolist() == [[0.05, 10], [0.5, 20], [2, 30], [20, 40]]
