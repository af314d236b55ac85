"""What learning a task does to the others: forward transfer against backward transfer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lifelong.evaluation import Array, bwt, fwt, interval
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.canvas import Groups, Look, blank, checked_groups, looks, plain, tidy
from lifelong.reports.line_labels import label_points

__all__ = ["crowd", "transfer_scatter"]


FORWARD = Text("forward transfer FWT (points)", "前向迁移 FWT（百分点）")
BACKWARD = Text("backward transfer BWT (points)", "反向迁移 BWT（百分点）")
NEITHER = Text("no method has both FWT and BWT", "没有同时具备 FWT 和 BWT 的方法")
ALL = Text("all methods", "所有方法")
NEAR = Text("the same, enlarged where they crowd", "局部放大：靠得近的方法")


def crowd(values: Sequence[float]) -> list[int]:
    """The places of the values that lie on the crowded side of a gap of more than half the range, in order; else none.

    Example:
        >>> crowd([-66.0, -16.0, -4.0, -3.0]), crowd([0.0, 1.0, 2.0])
        ([1, 2, 3], [])
    """
    order = sorted(range(len(values)), key=lambda place: values[place])
    gaps = [values[after] - values[before] for before, after in pairwise(order)]
    if not gaps or max(gaps) <= (values[order[-1]] - values[order[0]]) / 2:
        return []
    cut = 1 + gaps.index(max(gaps))
    larger = max(order[:cut], order[cut:], key=len)
    return sorted(larger) if len(larger) > 1 else []


def transfer_scatter(groups: Groups, language: Language = "en") -> Figure:
    """FWT (across) and BWT (up) in percentage points: small points are seeds, large ones means with 95 % intervals.

    Takes matrices (seeds, T + 1, T) by method, fractions or NaN; what has no FWT or no BWT is left out. Methods that
    lie close together, far from another, are enlarged in a second panel. Raises `SettingError` for other shapes.

    >>> transfer_scatter({"ewc": np.random.default_rng(0).random((3, 4, 3))}).axes[0].get_ylabel()
    'backward transfer BWT (points)'
    """
    checked_groups(groups)
    places = {method: (100 * fwt(matrices), 100 * bwt(matrices)) for method, matrices in groups.items()}
    known = {method: place for method, place in places.items() if bool(np.isfinite(place[0] + place[1]).all())}
    names = list(known)
    near = {names[place] for place in crowd([float(backward.mean()) for _, backward in known.values()])}
    figure = blank(11.0 if near else 7.0, max(4.4, 0.2 * len(known)))
    panels = figure.subplots(1, 2 if near else 1, squeeze=False)[0]
    look = looks([*groups])
    _draw(panels[0], known, look, [name for name in names if name not in near], enlarged=False)
    if near:
        _draw(panels[1], {name: known[name] for name in names if name in near}, look, list(near), enlarged=True)
        for axes, heading in zip(panels, (ALL, NEAR), strict=True):
            axes.set_title(heading.of(language), loc="left", fontsize="medium", fontweight="bold")
    for axes in panels:
        axes.set_xlabel(FORWARD.of(language))
    panels[0].set_ylabel(BACKWARD.of(language))
    if not known:
        panels[0].text(0.5, 0.5, NEITHER.of(language), transform=panels[0].transAxes, ha="center")
    return figure


def _draw(
    axes: Axes,
    places: Mapping[str, tuple[Array, Array]],
    look: Mapping[str, Look],
    named: Sequence[str],
    *,
    enlarged: bool,
) -> None:
    """Draw the methods, and name those of `named`; `enlarged` leaves 0 out of sight where they are far from it."""
    tidy(axes)
    labels = []
    for method, (forward, backward) in places.items():
        x, y = interval(forward), interval(backward)
        colour, marker, _ = look[method]
        if len(forward) > 1:
            axes.scatter(forward, backward, s=14, color=colour, alpha=0.6, marker=marker, linewidths=0)
        axes.errorbar(
            x.mean,
            y.mean,
            xerr=None if math.isnan(x.ci95) else x.ci95,
            yerr=None if math.isnan(y.ci95) else y.ci95,
            fmt=marker,
            color=colour,
            markersize=9,
            markeredgecolor="white",
            markeredgewidth=0.7,
            elinewidth=1.2,
        )
        if method in named:
            labels.append((x.mean, y.mean, plain(method), colour))
    if not enlarged:  # with 0 in sight
        axes.update_datalim([(0, 0)])
        axes.autoscale_view()
    limits = axes.get_xlim(), axes.get_ylim()
    axes.axhline(0, color="#999999", linewidth=1, zorder=0)
    axes.axvline(0, color="#999999", linewidth=1, zorder=0)
    axes.set(xlim=limits[0], ylim=limits[1])
    label_points(axes, labels)
