"""What a guard costs: forgetting against intransigence, from no guard at all to a guard that lets nothing move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from lifelong.evaluation import Array
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.canvas import blank, looks, plain, tidy

__all__ = ["strength_curves", "tradeoff"]


def tradeoff(points: Mapping[str, Array], language: Language = "en") -> Figure:
    """Forgetting (across) and intransigence (up) in percentage points, one curve per method over its strength.

    Takes fractions (S, 2) by method, from the strength 0 (a ring) to ∞ (a star).

    >>> figure = tradeoff({"ewc": np.array([[0.5, 0.0], [0.1, 0.1], [0.0, 0.6]])})
    >>> figure.axes[0].lines[2].get_xdata().tolist()
    [50.0, 10.0, 0.0]
    """
    figure = blank(7.4, 5.0)
    axes = figure.subplots()
    tidy(axes)
    axes.axhline(0, color="#999999", linewidth=1)
    axes.axvline(0, color="#999999", linewidth=1)
    for method, look in looks([*points]).items():
        x, y = 100 * points[method].T
        axes.plot(x, y, color=look.colour, marker=look.marker, markersize=4.5, linewidth=1.5, label=plain(method))
        axes.plot(x[-1], y[-1], marker="*", markersize=14, color=look.colour, markeredgecolor="white", zorder=4)
        axes.plot(x[0], y[0], marker="o", markersize=13, markerfacecolor="none", markeredgecolor="black", zorder=4)
    ring = axes.plot([], [], "o", markersize=11, markerfacecolor="none", markeredgecolor="black")[0]
    star = axes.plot([], [], "*", markersize=12, color="#555555")[0]
    ring.set_label(Text("b = 0: no guard", "b = 0：不设防").of(language))
    star.set_label(Text("b → ∞: no move", "b → ∞：寸步不移").of(language))
    axes.set_xlabel(Text("forgetting (points)", "遗忘（百分点）").of(language))
    axes.set_ylabel(Text("intransigence (points)", "不肯学习的程度（百分点）").of(language))
    figure.legend(loc="outside right upper", frameon=False)
    return figure


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
        values = 100 * accuracies[method]
        axes.plot(places, values, color=look.colour, marker=look.marker, markersize=5, linewidth=1.6, label=method)
    axes.set_xscale("log")
    axes.set_xticks(places, ["0", *(f"{factor:g}" for factor in inner), "∞"])
    axes.minorticks_off()
    axes.set_xlabel(
        Text(("strength λ, in multiples of the method's default"), "强度 λ（该方法默认值的倍数）").of(language)
    )
    axes.set_ylabel(Text("mean accuracy on all tasks at the end (%)", "最终在所有任务上的平均正确率 (%)").of(language))
    figure.legend(loc="outside right upper", frameon=False)
    return figure
