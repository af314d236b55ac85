"""What a parameter is worth: the loss as it alone moves, and the importance b that each method gives it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lifelong.evaluation import Array
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.canvas import LOOKS, blank, looks, plain, tidy

__all__ = ["guard_scatters", "single_moves"]

PANELS_PER_ROW = 3
MEASURED = "#333333"
PREDICTED = LOOKS["ewc"].colour


def single_moves(
    moves: Array, rises: Sequence[Array], guards: Sequence[float], titles: Sequence[Text], language: Language = "en"
) -> Figure:
    """How the loss of task 1 rises (M,) as one parameter alone moves (M,), one panel per parameter on one scale.

    Dashed: the parabola `b/2 · move²` of the importance b in `guards`, in the colour of ewc, whose b is a curvature.

    >>> moves = np.linspace(-1, 1, 3)
    >>> figure = single_moves(moves, [moves**2], [2.0], [Text("stiff", "硬")])
    >>> [line.get_ydata().tolist() for line in figure.axes[0].lines]
    [[1.0, 0.0, 1.0], [1.0, 0.0, 1.0]]
    """
    figure = blank(3.1 * len(rises) + 0.6, 3.3)
    panels = figure.subplots(1, len(rises), sharey=True, squeeze=False)[0]
    for axes, rise, guard, title in zip(panels, rises, guards, titles, strict=True):
        tidy(axes)
        axes.plot(moves, rise, color=MEASURED, linewidth=2.2, label=Text("measured", "实测").of(language))
        guess = Text("as b predicts: b/2 · move²", "按 b 预测：b/2 · 位移²").of(language)
        axes.plot(moves, guard / 2 * moves**2, color=PREDICTED, linestyle="--", linewidth=1.8, label=guess)
        axes.set_title(title.of(language), loc="left", fontsize="medium")
        axes.set_xlabel(Text("move of the parameter", "该参数的位移").of(language))
    top = max(float(rise.max()) for rise in rises)
    panels[0].set_ylim(min(0.0, *(float(rise.min()) for rise in rises)) - 0.05 * top, 1.1 * top)
    panels[0].set_ylabel(Text("rise of the loss of task 1", "任务 1 损失的上升").of(language))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def guard_scatters(
    measured: Array, assigned: Mapping[str, Array], ranks: Mapping[str, float | None], language: Language = "en"
) -> Figure:
    """Each parameter's measured curvature (K,) against its importance b (K,), on log axes, one panel per method.

    What a log axis cannot show (0, or a curvature below 0) stands hollow at the edge. `ranks`, Spearman's ρ by method.

    >>> figure = guard_scatters(np.array([1.0, 0.0]), {"ewc": np.array([2.0, 1.0])}, {"ewc": 1.0})
    >>> figure.axes[0].get_title("left")
    'ewc  ρ = 1.00'
    """
    columns = min(len(assigned), PANELS_PER_ROW)
    rows = math.ceil(len(assigned) / columns)
    figure = blank(3.1 * columns + 0.6, 2.9 * rows + 0.4)
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    x, x_real = _on_log(measured)
    chosen = looks([*assigned])
    for axes, (method, guards) in zip(panels, assigned.items(), strict=False):
        tidy(axes)
        look = chosen[method]
        y, y_real = _on_log(guards)
        shown = x_real & y_real
        style = {"s": 14, "marker": look.marker, "alpha": 0.6}
        axes.scatter(x[shown], y[shown], color=look.colour, linewidths=0, **style)
        axes.scatter(x[~shown], y[~shown], facecolors="none", edgecolors=look.colour, linewidths=0.8, **style)
        axes.set_xscale("log")
        axes.set_yscale("log")
        rank = ranks[method]
        axes.tick_params(labelbottom=True)  # below every panel, as the last row may be short
        axes.set_title(plain(method) + ("" if rank is None else f"  ρ = {rank:.2f}"), loc="left")
    for axes in panels[len(assigned) :]:
        axes.remove()
    figure.supxlabel(Text("measured curvature of the loss of task 1", "实测的任务 1 损失的曲率").of(language))
    figure.supylabel(Text("b that the method gives", "方法给出的 b").of(language))
    return figure


def _on_log(values: Array) -> tuple[Array, NDArray[np.bool_]]:
    """The values with those that are not positive put below the smallest that is, and which are real."""
    real = values > 0
    floor = float(values[real].min()) / 3 if bool(real.any()) else 1.0
    return np.where(real, values, floor), real
