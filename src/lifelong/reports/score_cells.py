"""Which cells of the table R enter ACC, BWT and FWT: one heat map per score, the other cells faded."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from lifelong.evaluation import Array, acc, bwt, fwt
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.canvas import blank, checked_groups, plain
from lifelong.reports.wording import percent, points

__all__ = ["score_cells", "signs"]

START = Text("0 (start)", "0（初始）")
AFTER = Text("after learning task", "学完的任务")
ON = Text("accuracy on task", "测试任务")
ADDED = Text("added", "相加的格子")
SUBTRACTED = Text("subtracted", "相减的格子")
COLOURS = {1: "#D55E00", -1: "#CC79A7"}
LINES: dict[int, Literal["solid", "dashed"]] = {1: "solid", -1: "dashed"}


def signs(tasks: int) -> dict[str, NDArray[np.int64]]:
    """+1 for the cells of R (T + 1, T) that a score adds, −1 for those that it subtracts, else 0.

    >>> signs(2)["BWT"].tolist()
    [[0, 0], [-1, 0], [1, 0]]
    """
    average, backward, forward = (np.zeros((tasks + 1, tasks), dtype=np.int64) for _ in range(3))
    average[tasks] = 1
    backward[tasks, : tasks - 1] = 1
    forward[0, 1:] = -1
    for task in range(1, tasks):
        backward[task, task - 1] = -1
        forward[task, task] = 1
    return {"ACC": average, "BWT": backward, "FWT": forward}


def score_cells(matrix: Array, title: str, language: Language = "en") -> Figure:
    """R (T + 1, T), fractions, three times: the cells that enter ACC, BWT and FWT in full colour, with an outline.

    Solid outlines are added, dashed ones subtracted; each panel is headed by its score in percent or points.

    >>> len(score_cells(np.array([[0.1, 0.1], [0.9, 0.2], [0.7, 0.8]]), "finetune").axes)
    3
    """
    checked_groups({title: matrix[None]})
    tasks = matrix.shape[1]
    results = {
        "ACC": percent(float(acc(matrix))),
        "BWT": points(float(bwt(matrix))),
        "FWT": points(float(fwt(matrix))),
    }
    figure = blank(3.3 + 1.5 * tasks, 1.7 + 0.42 * tasks)
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (score, sign) in zip(panels, signs(tasks).items(), strict=True):
        _panel(axes, 100 * matrix, sign)
        axes.set_title(f"{score} = {results[score]}", loc="left", fontweight="bold")
        axes.set_xlabel(ON.of(language))
    panels[0].set_yticks(range(tasks + 1), [START.of(language), *(str(task) for task in range(1, tasks + 1))])
    panels[0].set_ylabel(AFTER.of(language))
    keys = [
        Patch(fill=False, edgecolor=COLOURS[sign], linestyle=LINES[sign], linewidth=2, label=label.of(language))
        for sign, label in ((1, ADDED), (-1, SUBTRACTED))
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(plain(title), x=0.01, ha="left", fontsize="medium")
    return figure


def _panel(axes: Axes, percents: Array, sign: NDArray[np.int64]) -> None:
    rows, tasks = percents.shape
    axes.imshow(percents, cmap="cividis", vmin=0, vmax=100, aspect="auto", alpha=np.where(sign == 0, 0.18, 1.0))
    for row, column in np.ndindex(rows, tasks):
        value, kind = float(percents[row, column]), int(sign[row, column])
        if np.isnan(value):
            continue
        ink = "#666666" if kind == 0 else "black" if value > 50 else "white"
        axes.text(column, row, f"{value:.0f}", color=ink, ha="center", va="center", fontsize="small")
        if kind != 0:
            corner = (column - 0.44, row - 0.42)
            axes.add_patch(
                Rectangle(corner, 0.88, 0.84, fill=False, edgecolor=COLOURS[kind], linestyle=LINES[kind], linewidth=2)
            )
    axes.set_xticks(range(tasks), [str(task) for task in range(1, tasks + 1)])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
