"""What the curves over strengths hold."""

from __future__ import annotations

import math

import numpy as np

from lifelong.reports.tradeoff import strength_curves, tradeoff


def test_the_extremes_are_marked_and_named() -> None:
    same = np.array([[0.5, 0.0], [0.0, 0.7]])
    figure = tradeoff({"ewc": np.array([[0.5, 0.0], [0.2, 0.1], [0.0, 0.6]]), "si": same, "rwalk": same}, "zh")
    axes = figure.axes[0]
    stars = [line for line in axes.lines if line.get_marker() == "*"]
    assert np.concatenate([star.get_xydata() for star in stars]).tolist() == [[0.0, 60.0], [0.0, 70.0], [0.0, 70.0]]
    assert stars[1].get_markersize() > stars[2].get_markersize()  # none hides the other
    names = {text.get_text(): text.xy for text in axes.texts}
    assert names == {"b → ∞：ewc": (0, 60), "b → ∞：si、rwalk": (0, 70), "b = 0：没有正则项": (50, 0)}


def test_zero_and_infinity_stand_at_the_ends_of_a_logarithmic_axis() -> None:
    axes = strength_curves([0.0, 0.5, 2.0, math.inf], {"ewc": np.array([0.1, 0.2, 0.3, 0.4])}, "zh").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.5", "2", "∞"]
    assert np.asarray(axes.lines[0].get_xydata()).tolist() == [[0.05, 10], [0.5, 20], [2, 30], [20, 40]]
    assert [(text.get_text(), text.xy) for text in axes.texts] == [("ewc", (20.0, 40.0))]
