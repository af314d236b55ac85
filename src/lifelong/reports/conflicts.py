"""Angles between the gradient and those of the past over a life, before and after a method changed it."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from lifelong.evaluation import Array
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.canvas import blank, plain, tidy

__all__ = ["angles_over_life"]

BEFORE, AFTER = "#D55E00", "#0072B2"


def angles_over_life(angles: Mapping[str, Array], starts: Mapping[int, int], language: Language = "en") -> Figure:
    """The largest angle to any past gradient at every step (S,) that was looked at, one panel per method.

    A ring is the angle before, a dot the angle after; a dot in its ring was let through as it was.

    Takes degrees (S, 3) by method: step, angle before, angle after. `starts`, the first step of each task by number.

    >>> import numpy as np
    >>> figure = angles_over_life({"gem": np.array([[1.0, 120.0, 90.0]])}, {2: 1})
    >>> figure.axes[0].get_ylabel()
    'largest angle to a past gradient (°)'
    """
    figure = blank(3.8 * len(angles) + 0.6, 4.3)
    panels = figure.subplots(1, len(angles), sharey=True, squeeze=False)[0]
    low = min(float(found[:, 1:].min()) for found in angles.values())
    high = max(float(found[:, 1:].max()) for found in angles.values())
    words = (
        Text("before the projection", "投影之前").of(language),
        Text("after the projection", "投影之后").of(language),
    )
    for axes, (method, found) in zip(panels, angles.items(), strict=True):
        tidy(axes)
        axes.axhline(90, color="black", linewidth=1.2, zorder=1)
        rings, dots = {"s": 30, "facecolors": "none", "edgecolors": BEFORE}, {"s": 9, "color": AFTER}
        axes.scatter(found[:, 0], found[:, 1], linewidths=1, label=words[0], **rings)
        axes.scatter(found[:, 0], found[:, 2], linewidths=0, label=words[1], zorder=3, **dots)
        for number, start in starts.items():
            axes.axvline(start, color="#999999", linewidth=0.8, linestyle=":")
            name = Text(f"task {number}", f"任务 {number}").of(language)
            axes.text(start, high + 0.02 * (high - low), f" {name}", fontsize="small", color="#555555")
        axes.set_title(plain(method), loc="left", fontsize="medium", pad=12)
        axes.set_xlabel(Text("step", "训练步数").of(language))
        axes.set_ylim(low - 2, high + 0.1 * (high - low))
    panels[0].set_ylabel(Text("largest angle to a past gradient (°)", "与旧任务梯度的最大夹角（°）").of(language))
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    return figure
