"""The current gradient, past gradients and the projected one, in two dimensions: the picture of GEM."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from lifelong.evaluation import Array
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.canvas import blank

__all__ = ["projections"]

CURRENT, PAST, PROJECTED = "#0072B2", "#D55E00", "#009E73"
REACH = 1.5
SHADE = 0.14  # of the area that is allowed


def projections(
    cases: Sequence[tuple[Array, Array, Array]], titles: Sequence[Text], language: Language = "en"
) -> Figure:
    """One panel per case: g (2,), the past gradients g_k (T, 2) and the projected z (2,), as arrows from the origin.

    Shaded is where no past loss rises: ⟨z, g_k⟩ ≥ 0 for all k; dashed, the way from g to the nearest point there.

    >>> case = np.array([1.0, -1.0]), np.array([[0.0, 1.0]]), np.array([1.0, 0.0])
    >>> figure = projections([case], [Text("one", "一个")])
    >>> [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    ['g₁', 'g', 'g′']
    """
    figure = blank(3.2 * len(cases), 4.1)
    panels = figure.subplots(1, len(cases), squeeze=False)[0]
    for axes, (current, past, projected), title in zip(panels, cases, titles, strict=True):
        _allowed(axes, past)
        for number, gradient in enumerate(past):
            _arrow(axes, gradient, PAST, "g" + "₁₂₃₄₅"[number])
        same = np.allclose(current, projected)
        _arrow(axes, current, CURRENT, "" if same else "g")
        _arrow(axes, projected, PROJECTED, "g = g′" if same else "g′")
        axes.plot(*np.stack([current, projected]).T, color="#555555", linestyle="--", linewidth=1.2)
        axes.set_title(title.of(language), loc="left", fontsize="medium")
        axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xticks=[], yticks=[])
        axes.spines[:].set_color("#bbbbbb")
    words = (
        (CURRENT, Text("g: current task's gradient", "g：当前任务的梯度")),
        (PAST, Text("gₖ: gradient of past task k", "gₖ：旧任务 k 的梯度")),
        (PROJECTED, Text("g′: gradient that is used", "g′：实际采用的梯度")),
    )
    handles = [panels[0].plot([], [], color=colour, linewidth=3)[0] for colour, _ in words]
    shade = panels[0].fill([], [], color=PROJECTED, alpha=SHADE)[0]
    allowed = Text("no past loss rises (to first order)", "旧任务的损失都不上升（一阶近似）").of(language)
    labels = [*(text.of(language) for _, text in words), allowed]
    figure.legend([*handles, shade], labels, loc="outside lower center", ncols=len(cases), frameon=False)
    return figure


def _allowed(axes: Axes, past: Array) -> None:
    ticks = np.linspace(-REACH, REACH, 401)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1)
    worst = (grid @ past.T).min(-1)
    axes.contourf(ticks, ticks, worst, levels=[0, np.inf], colors=[PROJECTED], alpha=SHADE)
    for gradient in past:
        along = 3 * REACH * np.array([-gradient[1], gradient[0]]) / np.linalg.norm(gradient)
        axes.plot(*np.stack([-along, along]).T, color=PAST, linewidth=1, alpha=0.6)


def _arrow(axes: Axes, tip: Array, colour: str, name: str) -> None:
    x, y = float(tip[0]), float(tip[1])
    length = float(np.linalg.norm(tip))
    if length < 1e-6:  # nothing is left to point along
        axes.plot(0, 0, marker="o", markersize=9, color=colour, zorder=5)
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": 2.4, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 18}
    if length >= 1e-6:
        axes.annotate("", (x, y), (0, 0), arrowprops=style)
    away = np.array([0.0, 0.24]) if length < 1e-6 else tip / length * (0.14 + 0.02 * len(name))
    word = axes.text(x + away[0], y + away[1], name, color=colour, fontsize="x-large", ha="center", va="center")
    word.set_path_effects([withStroke(linewidth=3, foreground="white")])
