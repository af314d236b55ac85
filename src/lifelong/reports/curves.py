"""Accuracies over the life of a model: each task on its own, and the mean over all tasks seen so far."""

from __future__ import annotations

import math

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lifelong.evaluation import Array, seen_acc
from lifelong.reports.bilingual import Language, Text, score_name
from lifelong.reports.canvas import Groups, Look, blank, checked_groups, life, looks, plain, spread, tidy
from lifelong.reports.line_labels import label_lines

__all__ = ["mean_curve", "task_curves"]

MOST_IN_LEGEND = 10
MOST_NAMED = 16  # lines with their names at their ends
LEARNED = Text("tasks learned", "已学任务数")
TASK = Text("task", "任务")
PANELS_PER_ROW = 3


def task_curves(groups: Groups, language: Language = "en", score: str = "accuracy") -> Figure:
    """The score of every task after 0 … T tasks, one panel per method, with 95 % bands over seeds.

    Takes matrices (seeds, T + 1, T) by method, fractions or NaN; measured points are joined across NaN. A dot marks
    where a task was learned. Raises `SettingError` for other shapes.

    >>> len(task_curves({"ewc": np.full((2, 4, 3), 0.5), "er": np.full((1, 4, 3), 0.7)}).axes)
    2
    """
    checked_groups(groups)
    tasks = max(matrices.shape[2] for matrices in groups.values())
    columns = min(len(groups), PANELS_PER_ROW)
    rows = math.ceil(len(groups) / columns)
    figure = blank(3.0 * columns + 1.4, 2.5 * rows + 0.4)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    width = 1.4 if tasks <= MOST_IN_LEGEND else 1.0
    # tasks have an order, so their colours have one too; the palest end of the map is left out
    scale, colours = Normalize(1, 1 + max(tasks - 1, 1) / 0.9), colormaps["viridis"]
    for axes, (method, matrices) in zip(panels, groups.items(), strict=False):
        tidy(axes)
        for task in range(1, matrices.shape[2] + 1):
            look = Look(to_hex(colours(float(scale(task)))), "", "-")
            _line(axes, 0, matrices[:, :, task - 1], look, f"{TASK.of(language)} {task}", width=width)
            learned, _ = spread(matrices[:, task, task - 1])
            axes.plot(task, 100 * learned, marker="o", markersize=2.5 * width, color=look.colour)
        axes.set_title(plain(method), loc="left", fontsize="medium", fontweight="bold")
        axes.set_ylim(-3, 103)
        life(axes, 0, matrices.shape[2])
    for axes in panels[len(groups) :]:
        axes.remove()
    for axes in panels[: len(groups)][-columns:]:
        axes.set_xlabel(LEARNED.of(language))
    for axes in panels[::columns]:
        axes.set_ylabel(Text(f"{score_name(score)} (%)", f"{score_name(score, 'zh')}（%）").of(language))
    if tasks <= MOST_IN_LEGEND:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", frameon=False)
    else:
        shades, whole = ScalarMappable(scale, colours), MaxNLocator(integer=True)
        bar = figure.colorbar(shades, ax=panels[: len(groups)], label=TASK.of(language), aspect=40, ticks=whole)
        bar.ax.set_ylim(1, tasks)
    return figure


def mean_curve(groups: Groups, language: Language = "en", score: str = "accuracy") -> Figure:
    """Mean score over the tasks seen so far after 1 … T tasks, one line per method, with 95 % bands over seeds.

    Takes matrices (seeds, T + 1, T) by method, fractions or NaN. The bounds `joint` and `finetune` are dashed. Raises
    `SettingError` for other shapes.

    >>> mean_curve({"ewc": np.full((2, 4, 3), 0.5)}).axes[0].get_xlabel()
    'tasks learned'
    """
    checked_groups(groups)
    figure = blank(7.6, 4.2)
    axes = figure.subplots()
    tidy(axes)
    for method, look in looks([*groups]).items():
        _line(axes, 1, seen_acc(groups[method]), look, plain(method), width=1.8)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -2), min(high, 102))
    life(axes, 1, max(matrices.shape[2] for matrices in groups.values()))
    axes.set_xlabel(LEARNED.of(language))
    english, chinese = score_name(score), score_name(score, "zh")
    axes.set_ylabel(Text(f"mean {english} on the tasks seen (%)", f"已学任务的平均{chinese}（%）").of(language))
    if len(groups) <= MOST_NAMED:
        label_lines(axes)
    else:
        figure.legend(loc="outside right upper", frameon=False)
    return figure


def _line(axes: Axes, first: int, values: Array, look: Look, label: str, width: float) -> None:
    """Mean and band of `values` (seeds, steps) at `first`, `first` + 1, …; joined across what was not measured."""
    mean, ci95 = spread(100 * values)
    known = np.flatnonzero(~np.isnan(mean))
    x, mean, ci95 = first + known, mean[known], ci95[known]
    every = max(1, len(x) // 12)  # markers of a long life would hide its line
    axes.plot(x, mean, look.line, color=look.colour, marker=look.marker, markevery=every, label=label, linewidth=width)
    low, high = np.maximum(mean - ci95, 0), np.minimum(mean + ci95, 100)
    axes.fill_between(x, low, high, color=look.colour, alpha=0.12, linewidth=0)
