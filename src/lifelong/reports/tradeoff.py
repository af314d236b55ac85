"""What a penalty costs: forgetting against intransigence, and accuracy, from no penalty to one that freezes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from lifelong.evaluation import Array
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.canvas import blank, looks, plain, tidy
from lifelong.reports.line_labels import label_lines

__all__ = ["strength_curves", "tradeoff"]

FREEZES = Text("b → ∞: {}", "b → ∞：{}")


def tradeoff(points: Mapping[str, Array], language: Language = "en") -> Figure:
    """Forgetting (across) and intransigence (up) in percentage points, one curve per method over its strength.

    Takes fractions (S, 2) by method, from the strength 0 (a ring) to ∞ (a star with the names of all that end there).

    >>> figure = tradeoff({"ewc": np.array([[0.5, 0.0], [0.1, 0.1], [0.0, 0.6]])})
    >>> figure.axes[0].lines[2].get_xdata().tolist()
    [50.0, 10.0, 0.0]
    """
    figure = blank(7.4, 5.0)
    axes = figure.subplots()
    tidy(axes)
    axes.axhline(0, color="#999999", linewidth=1)
    axes.axvline(0, color="#999999", linewidth=1)
    ends: dict[tuple[float, float], list[str]] = {}
    for method, look in looks([*points]).items():
        x, y = 100 * points[method].T
        axes.plot(
            x, y, look.line, color=look.colour, marker=look.marker, markersize=4.5, linewidth=1.5, label=plain(method)
        )
        here = ends.setdefault((round(float(x[-1]), 1), round(float(y[-1]), 1)), [])
        here.append(method)
        size = 30 - 7 * min(len(here), 3)  # a star inside that of another method
        axes.plot(x[-1], y[-1], marker="*", markersize=size, color=look.colour, markeredgecolor="white", zorder=4)
        axes.plot(x[0], y[0], marker="o", markersize=13, markerfacecolor="none", markeredgecolor="black", zorder=4)
    for (x_end, y_end), methods in ends.items():
        names = plain(Text(", ", "、").of(language).join(methods))
        _word(axes, (x_end, y_end), (13, 3), FREEZES.of(language).format(names), "left")
    x_none, y_none = 100 * next(iter(points.values()))[0]
    none = Text("b = 0: no penalty", "b = 0：没有正则项").of(language)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom - 0.06 * (top - bottom), top)
    _word(axes, (float(x_none), float(y_none)), (6, -22), none, "right")
    axes.set_xlabel(Text("forgetting (points)", "遗忘（百分点）").of(language))
    axes.set_ylabel(Text("intransigence (points)", "不妥协（百分点）").of(language))
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def _word(axes: Axes, point: tuple[float, float], offset: tuple[int, int], word: str, anchor: str) -> None:
    text = axes.annotate(word, point, offset, textcoords="offset points", ha=anchor, va="bottom", zorder=6)
    text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def strength_curves(factors: Sequence[float], accuracies: Mapping[str, Array], language: Language = "en") -> Figure:
    """Mean accuracy on all tasks at the end (S,) by method, over the strength as a multiple of its default (S,).

    The factors rise from 0 to ∞, which stand at the two ends of the logarithmic axis.

    >>> figure = strength_curves([0, 1, 10, float("inf")], {"ewc": np.array([0.5, 0.8, 0.7, 0.3])})
    >>> figure.axes[0].lines[0].get_xdata().tolist()
    [0.1, 1.0, 10.0, 100.0]
    """
    inner = np.array(factors[1:-1], dtype=np.float64)
    places = np.array([inner[0] / 10, *inner, inner[-1] * 10])
    figure = blank(7.4, 4.2)
    axes = figure.subplots()
    tidy(axes)
    for method, look in looks([*accuracies]).items():
        style = {"color": look.colour, "marker": look.marker, "markersize": 5, "linewidth": 1.6}
        axes.plot(places, 100 * accuracies[method], look.line, label=plain(method), **style)
    axes.set_xscale("log")
    axes.set_xlim(places[0] / 1.5, places[-1] * 1.5)
    axes.set_xticks(places, ["0", *(f"{factor:g}" for factor in inner), "∞"])
    axes.minorticks_off()
    axes.set_xlabel(Text("strength, in multiples of the default", "强度（默认值的倍数）").of(language))
    axes.set_ylabel(Text("mean accuracy on all tasks at the end (%)", "最终在所有任务上的平均准确率（%）").of(language))
    label_lines(axes)
    return figure
