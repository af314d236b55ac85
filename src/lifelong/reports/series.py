"""Quantities over something that grows: one panel per quantity, one line per method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from lifelong.errors import require
from lifelong.evaluation import Array
from lifelong.reports.canvas import Look, blank, looks, plain, spread, tidy
from lifelong.reports.line_labels import label_lines

__all__ = ["Quantity", "series_panels"]


@dataclass(frozen=True)
class Quantity:
    """A panel: the label of its vertical axis, and per method its values (seeds, places) at (places,).

    `logarithmic` asks for a logarithmic vertical axis, on which values of 0 are not drawn. Bands end at `most`.
    `measured` are single points (place, value) by method, drawn as rings.
    """

    label: str
    lines: Mapping[str, tuple[Sequence[float], Array]]
    logarithmic: bool = False
    most: float = math.inf
    measured: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def series_panels(quantities: Sequence[Quantity], label: str, ticks: Sequence[float] = ()) -> Figure:
    """Every quantity in a panel of its own, over a logarithmic axis called `label` with `ticks`; bands over seeds.

    Raises `SettingError` where a line has more or fewer values than places.

    >>> accuracy = Quantity("accuracy", {"er": ([1, 10, 100], np.full((2, 3), 0.5))})
    >>> series_panels([accuracy], "tasks").axes[0].get_xscale()
    'log'
    """
    require(bool(quantities), "expected at least one quantity, got none")
    figure = blank(0.6 + 4.3 * len(quantities), 3.7)
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
            _line(axes, np.asarray(places), values, look, method, quantity)
            if method in quantity.measured:
                ring = {"marker": "o", "markersize": 11, "markerfacecolor": "none", "markeredgewidth": 1.8}
                axes.plot(*quantity.measured[method], color=look.colour, linestyle="none", label="_measured", **ring)
        axes.set_xlabel(label)
        axes.set_ylabel(quantity.label)
        if ticks:
            axes.set_xticks(list(ticks), [f"{tick:g}" for tick in ticks])
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(axis="x", which="minor", length=0)
        label_lines(axes)
    return figure


def _line(axes: Axes, places: Array, values: Array, look: Look, label: str, quantity: Quantity) -> None:
    mean, ci95 = spread(values)
    positive = quantity.logarithmic
    shown = ~np.isnan(mean) & ((mean > 0) | (not positive))
    places, mean, ci95 = places[shown], mean[shown], ci95[shown]
    axes.plot(
        places, mean, look.line, color=look.colour, marker=look.marker, markersize=5, linewidth=1.8, label=plain(label)
    )
    low, high = np.maximum(mean - ci95, mean / 10 if positive else 0.0), np.minimum(mean + ci95, quantity.most)
    axes.fill_between(places, low, high, color=look.colour, alpha=0.12, linewidth=0)
