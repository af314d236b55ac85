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
from lifelong.reports.canvas import Look, blank, looks, plain

__all__ = ["surfaces"]

#: the way of the first task
FIRST = Look("black", "", "-")
LEVELS = 18
#: below it a loss is drawn as this one, so that a perfect fit has a logarithm
SMALLEST = 1e-6
#: share of white in the colours of the map, so that ways and words stand out
PALE = 0.35
#: about the width of a map, in points
MAP = 270
#: the places of a word around its point, in points, and its anchor
PLACES = (
    ((9, 0), "left", "center"),
    ((-9, 0), "right", "center"),
    ((0, 9), "center", "bottom"),
    ((0, -9), "center", "top"),
    ((7, 7), "left", "bottom"),
    ((7, -7), "left", "top"),
    ((-7, 7), "right", "bottom"),
    ((-7, -7), "right", "top"),
)


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

    Blue is a low loss, red a high one. The starts and ends are named on the map: θ⁰, θᵇ, and θ* of every method.

    Args:
        across: The ticks (A,) of the horizontal axis.
        up: The ticks (U,) of the vertical axis.
        losses: One array (U, A) per task, above 0.
        first: The points (S, 2) of the way from the start through task 1, or its last one alone.
        after: The ways (S, 2) through task 2 by method.
        labels: Of the axes.
        marks: Further points (2,) by method, each the end of a way that is not drawn.
        language: Of the words.

    Example:
        >>> ways = {"ewc": np.array([[1.0, 0.0], [1.0, 1.0]])}
        >>> ticks, way = np.linspace(-1, 2, 4), np.array([[0.0, 0.0], [1.0, 0.0]])
        >>> loss, names = np.ones((4, 4)) + ticks**2, (Text("a", "甲"), Text("b", "乙"))
        >>> figure = surfaces(ticks, ticks, [loss, loss], way, ways, names)
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['θ* ewc', 'θ⁰', 'θᵇ']
    """
    height = float(np.clip(4.1 * np.ptp(up) / np.ptp(across), 2.5, 5.5))
    figure = blank(4.6 * len(losses) + 1.3, height + 1.0)
    panels = figure.subplots(1, len(losses), sharex=True, sharey=True, squeeze=False)[0]
    low = max(min(float(loss.min()) for loss in losses), SMALLEST)
    high = max(*(float(loss.max()) for loss in losses), 1.01 * low)
    levels = np.geomspace(low, high, LEVELS)
    colours = ListedColormap(PALE + (1 - PALE) * colormaps["RdYlBu_r"](np.linspace(0, 1, 256))[:, :3])
    for number, (axes, loss) in enumerate(zip(panels, losses, strict=True), start=1):
        clipped = np.clip(loss, low, high)
        filled = axes.contourf(across, up, clipped, levels, cmap=colours, norm=LogNorm(low, high), extend="neither")
        axes.contour(across, up, clipped, levels, colors="#555555", linewidths=0.4, alpha=0.6)
        axes.set(xlim=(across[0], across[-1]), ylim=(up[0], up[-1]))
        axes.set_box_aspect(float(np.ptp(up) / np.ptp(across)))
        _ways(axes, first, after, marks or {})
        axes.set_title(Text(f"loss of task {number}", f"任务 {number} 的损失").of(language), loc="left")
        axes.set_xlabel(labels[0].of(language))
    panels[0].set_ylabel(labels[1].of(language))
    words = Text("loss (blue: low, red: high)", "损失（越蓝越小，越红越大）").of(language)
    bar = figure.colorbar(filled, ax=list(panels), label=words, shrink=0.85)
    bar.ax.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    bar.ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    return figure


def _ways(axes: Axes, first: Array, after: Mapping[str, Array], marks: Mapping[str, Array]) -> None:
    """The ways, then their ends, each with its name where it covers neither a way nor another name."""
    for way, look in [(first, FIRST), *zip(after.values(), looks([*after]).values(), strict=True)]:
        [line] = axes.plot(way[:, 0], way[:, 1], color=look.colour, linewidth=2.2, zorder=4)
        line.set_path_effects([withStroke(linewidth=3.8, foreground="white")])
    ends: list[tuple[str, Array, str, str]] = [
        (f"θ* {method}", point, "*", look.colour)
        for (method, point), look in zip(
            [*((method, way[-1]) for method, way in after.items()), *marks.items()],
            looks([*after, *marks]).values(),
            strict=True,
        )
    ]
    ends += [("θ⁰", first[0], "o", "black")] if len(first) > 1 else []
    ends += [("θᵇ", first[-1], "s", "black")]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    scale = MAP / (right - left)
    bounds = np.array([[left, bottom], [right, top]]) * scale
    dots = [np.concatenate([first, *after.values(), *(point[None] for _, point, _, _ in ends)]) * scale]
    for name, point, marker, colour in ends:
        size = 15 if marker == "*" else 8
        axes.plot(*point, marker=marker, markersize=size, color=colour, markeredgecolor="white", zorder=5)
        offset, across, up, box = _free_place(name, point * scale, np.concatenate(dots), bounds)
        dots.append(box)
        style = {"textcoords": "offset points", "fontsize": "large", "ha": across, "va": up, "zorder": 6}
        word = axes.annotate(plain(name), (float(point[0]), float(point[1])), offset, color=colour, **style)
        word.set_path_effects([withStroke(linewidth=2.8, foreground="white")])


def _free_place(name: str, point: Array, dots: Array, bounds: Array) -> tuple[tuple[int, int], str, str, Array]:
    """The place of the word inside `bounds` that covers the fewest `dots` (in points), and dots all over the word."""
    wide, high = 7.5 * len(name), 13.0
    best: tuple[int, tuple[tuple[int, int], str, str, Array]] | None = None
    for offset, across, up in PLACES:
        left = {"left": 0.0, "center": -wide / 2, "right": -wide}[across]
        lower = {"bottom": 0.0, "center": -high / 2, "top": -high}[up]
        corner = point + np.array(offset) + np.array([left, lower])
        opposite = corner + np.array([wide, high])
        outside = bool((corner < bounds[0]).any() or (opposite > bounds[1]).any())
        covered = 1000 * outside + int(((dots >= corner - 2) & (dots <= opposite + 2)).all(1).sum())
        if best is None or covered < best[0]:
            box = corner + np.stack(np.meshgrid(np.linspace(0, wide, 9), np.linspace(0, high, 4)), -1).reshape(-1, 2)
            best = covered, (offset, across, up, box)
    assert best is not None
    return best[1]
