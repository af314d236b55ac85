"""The life of one task: its accuracy before it is learned, right after, and after every task that follows."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from lifelong.errors import require
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.canvas import Groups, blank, checked_groups, life, looks, plain, spread, tidy
from lifelong.reports.line_labels import label_lines

__all__ = ["one_task"]

MOST_TICKS = 20


def one_task(groups: Groups, task: int, language: Language = "en") -> Figure:
    """The accuracy on task number `task` after 0 … T tasks, one line per method; a vertical line marks its turn.

    Takes matrices (seeds, T + 1, T) by method, fractions or NaN; means over seeds. Raises `SettingError` for other
    shapes, or a task that is not there.

    >>> len(one_task({"ewc": np.full((1, 4, 3), 0.5)}, 2).axes[0].lines)
    2
    """
    checked_groups(groups)
    tasks = max(matrices.shape[2] for matrices in groups.values())
    require(1 <= task <= tasks, f"task must be in 1 … {tasks}, got {task}")
    figure = blank(7.6, 4.0)
    axes = figure.subplots()
    tidy(axes)
    learned = Text(f"task {task} is learned", f"学习任务 {task}").of(language)
    axes.axvline(task, color="#999999", linewidth=1.0, linestyle=":")
    axes.annotate(
        learned, (task, 104), ha="center", va="bottom", annotation_clip=False, color="#555555", fontsize="small"
    )
    for method, look in looks([*groups]).items():
        mean, _ = spread(100 * groups[method][:, :, task - 1])
        known = np.flatnonzero(~np.isnan(mean))
        axes.plot(
            known, mean[known], look.line, color=look.colour, marker=look.marker, markersize=4.5, label=plain(method)
        )
    axes.set_ylim(-3, 103)
    life(axes, 0, tasks)
    if tasks <= MOST_TICKS:  # so that the task has one
        axes.set_xticks(range(tasks + 1))
    axes.set_xlabel(Text("tasks learned", "已学任务数").of(language))
    axes.set_ylabel(Text(f"accuracy on task {task} (%)", f"任务 {task} 的准确率（%）").of(language))
    label_lines(axes)
    return figure
