"""What learning a task does to the others: forward transfer against backward transfer."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from lifelong.evaluation import bwt, fwt, interval
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.canvas import Groups, blank, checked_groups, looks, plain, tidy

__all__ = ["transfer_scatter"]


FORWARD = Text("forward transfer FWT (points)", "向前迁移 FWT（百分点）")
BACKWARD = Text("backward transfer BWT (points)", "向后迁移 BWT（百分点）")
NEITHER = Text("no method has both FWT and BWT", "没有同时具备 FWT 和 BWT 的方法")


def transfer_scatter(groups: Groups, language: Language = "en") -> Figure:
    """FWT (across) and BWT (up) in percentage points: small points are seeds, large ones means with 95 % intervals.

    Takes matrices (seeds, T + 1, T) by method, fractions or NaN; what has no FWT or no BWT is left out. Raises
    `SettingError` for other shapes.

    >>> transfer_scatter({"ewc": np.random.default_rng(0).random((3, 4, 3))}).axes[0].get_ylabel()
    'backward transfer BWT (points)'
    """
    checked_groups(groups)
    figure = blank(7.0, 4.6)
    axes = figure.subplots()
    tidy(axes)
    axes.axhline(0, color="#999999", linewidth=1)
    axes.axvline(0, color="#999999", linewidth=1)
    for method, look in looks([*groups]).items():
        forward, backward = 100 * fwt(groups[method]), 100 * bwt(groups[method])
        if not bool(np.isfinite(forward + backward).all()):
            continue
        x, y = interval(forward), interval(backward)
        if len(forward) > 1:
            axes.scatter(forward, backward, s=14, color=look.colour, alpha=0.6, marker=look.marker, linewidths=0)
        axes.errorbar(
            x.mean,
            y.mean,
            xerr=None if math.isnan(x.ci95) else x.ci95,
            yerr=None if math.isnan(y.ci95) else y.ci95,
            fmt=look.marker,
            color=look.colour,
            markersize=9,
            markeredgecolor="white",
            markeredgewidth=0.7,
            elinewidth=1.2,
            label=plain(method),
        )
    axes.set_xlabel(FORWARD.of(language))
    axes.set_ylabel(BACKWARD.of(language))
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside right upper", frameon=False)
    else:
        axes.text(0.5, 0.5, NEITHER.of(language), transform=axes.transAxes, ha="center")
    return figure
