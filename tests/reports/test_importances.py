"""What the pictures of single weights hold."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from lifelong.reports.bilingual import Text
from lifelong.reports.importances import guard_scatters, single_moves


def test_a_parabola_of_the_guard_beside_what_was_measured() -> None:
    moves = np.array([-2.0, 0.0, 2.0])
    titles = [Text("flat", "平"), Text("stiff", "陡")]
    figure = single_moves(moves, [0 * moves, moves**2], [0.0, 3.0], titles, "zh")
    assert [axes.get_title("left") for axes in figure.axes] == ["平", "陡"]
    measured, guess = figure.axes[1].lines
    assert np.asarray(measured.get_ydata()).tolist() == [4, 0, 4]
    assert np.asarray(guess.get_ydata()).tolist() == [6, 0, 6]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def test_what_has_no_logarithm_is_hollow_at_the_edge() -> None:
    measured = np.array([1.0, 0.3, -0.1, 0.0])
    figure = guard_scatters(
        measured, {"ewc": np.array([5.0, 0.0, 2.0, 0.0]), "si": np.zeros(4)}, {"ewc": 0.5, "si": None}
    )
    ewc, si = figure.axes
    assert (ewc.get_title("left"), si.get_title("left")) == ("ewc  ρ = 0.50", "si")
    full, hollow = ewc.collections
    assert np.asarray(full.get_offsets()).tolist() == [[1.0, 5.0]]
    assert np.asarray(hollow.get_offsets()) == pytest.approx(np.array([[0.3, 2 / 3], [0.1, 2.0], [0.1, 2 / 3]]))
    assert len(np.asarray(si.collections[0].get_offsets())) == 0


def test_every_panel_has_its_ticks() -> None:
    measured = np.array([1.0, 0.3])
    methods = ["ewc", "si", "mas", "rwalk"]
    figure = guard_scatters(measured, dict.fromkeys(methods, measured), dict.fromkeys(methods, 1.0))
    FigureCanvasAgg(figure).draw()
    assert all(axes.xaxis.get_tick_params()["labelbottom"] for axes in figure.axes)
