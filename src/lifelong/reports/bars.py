"""Accuracies as bars in groups: the bars of a group stand side by side, with their numbers and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lifelong.errors import require
from lifelong.evaluation import Array
from lifelong.reports.canvas import OKABE_ITO, blank, looks, plain, spread, tidy
from lifelong.reports.wording import percent

__all__ = ["bar_panels", "grouped_bars"]

WIDEST = 11.0  # inches
MOST_NUMBERED = 24
MOST_LEVEL = 8  # groups whose names stand level


def grouped_bars(
    values: Array, groups: Sequence[str], bars: Sequence[str], label: str, methods: Sequence[str] | None = None
) -> Figure:
    """Means over seeds with 95 % intervals: `values` (seeds, groups, bars), fractions or NaN, shown in percent.

    `groups` stand along the axis, `bars` in the legend; `label` is of the vertical axis. Bars that show `methods` have
    their colours. Raises `SettingError` for other shapes.

    >>> grouped_bars(np.full((3, 2, 2), 0.5), ["before", "after"], ["a", "b"], "accuracy (%)").axes[0].get_ylabel()
    'accuracy (%)'
    """
    expected = (len(groups), len(bars))
    require(values.ndim == 3 and values.shape[1:] == expected, f"expected (seeds, *{expected}), got {values.shape}")
    figure = blank(min(1.6 + 1.1 * len(groups) * max(1.0, 0.55 * len(bars)), WIDEST), 5.0 if _turned(groups) else 4.0)
    axes = figure.subplots()
    colours = [OKABE_ITO[place % len(OKABE_ITO)] for place in range(len(bars))]
    if methods is not None:
        look = looks(methods)
        colours = [look[method].colour for method in methods]
    _draw(axes, values, groups, bars, [[colour] for colour in colours])
    axes.set_ylabel(label)
    figure.legend(loc="outside upper right", ncols=len(bars), frameon=False)
    return figure


def bar_panels(panels: Mapping[str, Array], bars: Sequence[str], label: str) -> Figure:
    """One panel per heading, one bar per method: (seeds, bars), fractions or NaN, in percent with 95 % intervals.

    Raises `SettingError` for other shapes.

    >>> len(bar_panels({"new": np.full((1, 2), 0.9), "all": np.full((1, 2), 0.7)}, ["a", "b"], "accuracy (%)").axes)
    2
    """
    require(bool(panels), "expected at least one panel, got none")
    figure = blank(1.2 + len(panels) * (0.9 + 0.7 * len(bars)), 3.8)
    row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (heading, values) in zip(row, panels.items(), strict=True):
        fits = values.ndim == 2 and values.shape[1] == len(bars)
        require(fits, f"{heading}: expected (seeds, {len(bars)}), got {values.shape}")
        _draw(axes, values[:, :, None], bars, [""], [[look.colour for look in looks(bars).values()]])
        axes.set_title(plain(heading), loc="left", fontsize="medium", fontweight="bold")
    row[0].set_ylabel(label)
    return figure


def _draw(
    axes: Axes, values: Array, groups: Sequence[str], bars: Sequence[str], colours: Sequence[Sequence[str]]
) -> None:
    """Draw the bars; `colours` of each bar, in every group or one for all."""
    tidy(axes)
    axes.grid(visible=False, axis="x")
    mean, ci95 = spread(100 * values)
    width = 0.8 / len(bars)
    for place, name in enumerate(bars):
        x = np.arange(len(groups)) + (place - (len(bars) - 1) / 2) * width
        half = np.nan_to_num(ci95[:, place])
        axes.bar(x, np.nan_to_num(mean[:, place]), 0.94 * width, color=colours[place], label=plain(name))
        below, above = np.minimum(half, np.nan_to_num(mean[:, place])), np.minimum(half, 100 - mean[:, place])
        known = half > 0
        whiskers = np.stack([below, above])[:, known]
        axes.errorbar(x[known], mean[known, place], whiskers, fmt="none", ecolor="#333333", elinewidth=1.2, capsize=3)
        if len(groups) * len(bars) > MOST_NUMBERED:
            continue
        for left, height, top in zip(x, mean[:, place], np.nan_to_num(above), strict=True):
            text = percent(float(height) / 100)
            axes.text(left, np.nan_to_num(height) + top + 1, text, ha="center", va="bottom", fontsize="small")
    axes.set_xticks(range(len(groups)), [plain(group) for group in groups])
    if _turned(groups):
        axes.tick_params(axis="x", rotation=50)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(0, 108)


def _turned(groups: Sequence[str]) -> bool:
    """Whether the names of the groups are too many and too long to stand level."""
    return len(groups) > MOST_LEVEL and max(map(len, groups)) > 3
