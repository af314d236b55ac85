"""Names at the ends of lines in place of a legend, moved apart where they would cover each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from lifelong.evaluation import Array

__all__ = ["label_lines", "label_points", "moved_apart"]

FONT = 9.0  # points
LEADING = 1.25
ROOM = 0.75  # of the height of a figure that its axes take, at least


def moved_apart(places: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0) -> Array:
    """The places nearest to `places` (least squares) that keep their order, a distance of `gap`, and `low` … `high`.

    Where there is no room for all, the gaps are smaller and equal. Equal places keep the order in which they come.

    Example:
        >>> moved_apart([0.5, 0.5, 0.9], 0.25).round(3).tolist()
        [0.375, 0.625, 0.9]
    """
    order = np.argsort(places, kind="stable")
    gap = min(gap, (high - low) / max(1, len(order) - 1))
    steps = gap * np.arange(len(order))
    # what is left to find is the nearest sequence that never falls: neighbours that would fall share their mean
    blocks: list[list[float]] = []
    for value in np.asarray(places, dtype=np.float64)[order] - steps:
        blocks.append([float(value)])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    rising = np.concatenate([np.full(len(block), np.mean(block)) for block in blocks]) if blocks else np.empty(0)
    moved = np.empty(len(order))
    moved[order] = np.clip(rising, low, high - gap * max(0, len(order) - 1)) + steps
    return moved


def label_lines(axes: Axes) -> None:
    """Write the label of every line of `axes` that has one at its last point, in its colour.

    Call it when all limits are set. A thin line leads to a label that had to move.

    Example:
        >>> from lifelong.reports.canvas import blank
        >>> axes = blank(4, 3).subplots()
        >>> _ = axes.plot([0, 1], [0, 1], label="ewc")
        >>> label_lines(axes)
        >>> axes.texts[0].get_text()
        'ewc'
    """
    lines = [
        line for line in axes.lines if not str(line.get_label()).startswith("_") and len(np.asarray(line.get_xydata()))
    ]
    label_points(
        axes,
        [
            (float(x), float(y), str(line.get_label()), to_hex(line.get_color()))
            for line in lines
            for x, y in [np.asarray(line.get_xydata())[-1]]
        ],
    )


def label_points(axes: Axes, points: Sequence[tuple[float, float, str, str]]) -> None:
    """Write the label of every point (x, y, label, colour) at the right of `axes`, at its height or near it."""
    to_fraction = axes.transScale + axes.transLimits
    heights = [float(to_fraction.transform((x, y))[1]) for x, y, _, _ in points]
    figure = axes.get_figure(root=True)
    assert figure is not None
    gap = LEADING * FONT / 72 / (ROOM * figure.get_figheight())
    for (x, y, label, colour), height in zip(points, moved_apart(heights, gap), strict=True):
        axes.annotate(
            label,
            xy=(x, y),
            xytext=(1.04, float(height)),
            textcoords="axes fraction",
            color=colour,
            fontsize=FONT,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3},
        )
