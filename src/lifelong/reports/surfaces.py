"""Loss surfaces as maps, one per task, with the ways of gradient descent over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from lifelong.evaluation import Array
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.canvas import Look, blank

__all__ = ["surfaces"]

#: the way of the first task, and of what came after it by method
FIRST = Look("black", "", "-")
AFTER = (Look("#D55E00", "", "-"), Look("#009E73", "", "-"), Look("#CC79A7", "", "-"))
LEVELS = 14
#: below it a loss is drawn as this one, so that a perfect fit has a logarithm
SMALLEST = 1e-6


def surfaces(
    across: Array,
    up: Array,
    losses: Sequence[Array],
    first: Array,
    after: Mapping[str, Array],
    labels: tuple[Text, Text],
    marks: Mapping[str, Array] | None = None,
    language: Language = "en",
) -> Figure:
    """One map of the loss per task on the same plane, and on each the way to the first task's end, then on from there.

    Arguments: `across` (A,), `up` (U,) the ticks of the grid; `losses` one array (U, A) per task, above 0; `first`
    (S, 2) the points of the way from the start through task 1, or its last one alone; `after` (S, 2) by method, the
    ways through task 2; `labels` of the axes; `marks`, further points (2,) by name.

    >>> ways = {"ewc": np.array([[1.0, 0.0], [1.0, 1.0]])}
    >>> ticks, way = np.linspace(-1, 2, 4), np.array([[0.0, 0.0], [1.0, 0.0]])
    >>> figure = surfaces(ticks, ticks, [np.ones((4, 4)) + ticks**2] * 2, way, ways, (Text("a", "甲"), Text("b", "乙")))
    >>> [axes.get_title("left") for axes in figure.axes[:2]]
    ['loss of task 1', 'loss of task 2']
    """
    height = float(np.clip(4.6 * np.ptp(up) / np.ptp(across), 2.5, 5.5))
    figure = blank(5.0 * len(losses) + 1.0, height + 1.4)
    panels = figure.subplots(1, len(losses), sharex=True, sharey=True, squeeze=False)[0]
    low = max(min(float(loss.min()) for loss in losses), SMALLEST)
    high = max(*(float(loss.max()) for loss in losses), 1.01 * low)
    levels = np.geomspace(low, high, LEVELS)
    pale = ListedColormap(colormaps["Blues"](np.linspace(0.0, 0.75, 256)))
    for number, (axes, loss) in enumerate(zip(panels, losses, strict=True), start=1):
        held = np.clip(loss, low, high)
        filled = axes.contourf(across, up, held, levels, cmap=pale, norm=LogNorm(low, high), extend="neither")
        axes.contour(across, up, held, levels, colors="#4a6a8a", linewidths=0.5, alpha=0.7)
        _ways(axes, first, after, language)
        for name, point in (marks or {}).items():
            _point(axes, point, "D", name, beside=True)
        axes.set_aspect("equal")
        axes.set_title(Text(f"loss of task {number}", f"任务 {number} 的损失").of(language), loc="left")
        axes.set_xlabel(labels[0].of(language))
    panels[0].set_ylabel(labels[1].of(language))
    bar = figure.colorbar(filled, ax=list(panels), label=Text("loss", "损失").of(language), shrink=0.85)
    bar.ax.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    bar.ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    return figure


def _ways(axes: Axes, first: Array, after: Mapping[str, Array], language: Language) -> None:
    if len(first) > 1:
        _way(axes, first, FIRST, Text("learning task 1", "学习任务 1").of(language))
    learning = Text("learning task 2 with {}", "用 {} 学习任务 2").of(language)
    for look, (method, way) in zip(AFTER, after.items(), strict=False):
        _way(axes, way, look, learning.format(method))
        axes.plot(*way[-1], marker="*", markersize=15, color=look.colour, markeredgecolor="white", zorder=5)
    if len(first) > 1:
        _point(axes, first[0], "o", "θ⁰")
    _point(axes, first[-1], "s", "θᵇ")


def _way(axes: Axes, way: Array, look: Look, label: str) -> None:
    axes.plot(way[:, 0], way[:, 1], color=look.colour, linestyle=look.line, linewidth=2.2, label=label, zorder=4)


def _point(axes: Axes, point: Array, marker: str, name: str, beside: bool = False) -> None:
    axes.plot(*point, marker=marker, markersize=8, color="black", markeredgecolor="white", zorder=5)
    place, offset = (float(point[0]), float(point[1])), (10, -4) if beside else (9, -15)
    word = axes.annotate(name, place, offset, textcoords="offset points", fontsize="large", zorder=6)
    word.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
