"""Quantities over something that grows: one panel per quantity, one line per method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from lifelong.errors import require
from lifelong.evaluation import Array
from lifelong.reports.canvas import blank, looks, plain, spread, tidy

__all__ = ["Quantity", "series_panels"]


@dataclass(frozen=True)
class Quantity:
    """A panel: the label of its vertical axis, and per method its values (seeds, places) at (places,).

    `logarithmic` asks for a logarithmic vertical axis, on which values of 0 are not drawn.
    """

    label: str
    lines: Mapping[str, tuple[Sequence[float], Array]]
    logarithmic: bool = False


def series_panels(quantities: Sequence[Quantity], label: str, ticks: Sequence[float] = ()) -> Figure:
    """Every quantity in a panel of its own, over a logarithmic axis called `label` with `ticks`; bands over seeds.

    Raises `SettingError` where a line has more or fewer values than places.

    >>> accuracy = Quantity("accuracy", {"er": ([1, 10, 100], np.full((2, 3), 0.5))})
    >>> series_panels([accuracy], "tasks").axes[0].get_xscale()
    'log'
    """
    require(bool(quantities), "expected at least one quantity, got none")
    figure = blank(1.3 + 3.6 * len(quantities), 3.7)
    row = figure.subplots(1, len(quantities), squeeze=False)[0]
    methods = list(dict.fromkeys(method for quantity in quantities for method in quantity.lines))
    for axes, quantity in zip(row, quantities, strict=True):
        tidy(axes)
        axes.set_xscale("log")
        if quantity.logarithmic:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
        for method, look in looks(methods).items():
            if method not in quantity.lines:
                continue
            places, values = quantity.lines[method]
            fits = values.ndim == 2 and values.shape[1] == len(places)
            require(fits, f"{method}: expected values (seeds, {len(places)}), got {values.shape}")
            _line(axes, np.asarray(places), values, look.colour, look.marker, look.line, method, quantity.logarithmic)
        axes.set_xlabel(label)
        axes.set_ylabel(quantity.label)
        if ticks:
            axes.set_xticks(list(ticks), [f"{tick:g}" for tick in ticks])
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(axis="x", which="minor", length=0)
    handles = {name: handle for axes in row for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles), frameon=False)
    return figure


def _line(
    axes: Axes, places: Array, values: Array, colour: str, marker: str, line: str, label: str, positive: bool
) -> None:
    mean, ci95 = spread(values)
    shown = ~np.isnan(mean) & ((mean > 0) | (not positive))
    places, mean, ci95 = places[shown], mean[shown], ci95[shown]
    axes.plot(places, mean, line, color=colour, marker=marker, markersize=5, linewidth=1.8, label=plain(label))
    low = np.maximum(mean - ci95, mean / 10 if positive else -math.inf)
    axes.fill_between(places, low, mean + ci95, color=colour, alpha=0.12, linewidth=0)
