"""R as a heat map: what the model could do on each task (columns) after each task it learned (rows)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from lifelong.evaluation import Array
from lifelong.reports.bilingual import Language, Text, score_name
from lifelong.reports.canvas import blank, checked_groups, plain

__all__ = ["heat_map", "version_map"]

MOST_NUMBERED = 10
NOT_MEASURED = "#c8c8c8"


def heat_map(
    matrix_mean: Array,
    title: str,
    language: Language = "en",
    score: str = "accuracy",
    names: Sequence[str] | None = None,
) -> Figure:
    """R (T + 1, T), fractions, from 0 to 100 % on the same scale for every method; what is NaN is grey.

    Row 0 is the random initialisation. An outline marks the diagonal: each task just after it was learned. Up to 10
    tasks the percents stand in the cells. `names` of the tasks stand at the rows in place of their numbers.

    >>> heat_map(np.array([[0.1, 0.1], [0.9, 0.2], [0.7, 0.8]]), "ewc").axes[0].get_title("left")
    'ewc'
    """
    checked_groups({title: matrix_mean[None]})
    tasks = matrix_mean.shape[1]
    side = float(np.clip(1.6 + 0.55 * tasks, 3.2, 6.5))
    figure = blank(side + 1.0, side)
    axes = figure.subplots()
    image = _cells(axes, matrix_mean, tasks <= MOST_NUMBERED)
    for task in range(1, tasks + 1):
        axes.add_patch(Rectangle((task - 1.5, task - 0.5), 1, 1, fill=False, edgecolor="white", linewidth=1.2))
    shown = _ticks(tasks) if names is None else list(range(1, tasks + 1))
    rows = [str(task) for task in shown] if names is None else [plain(name) for name in names]
    axes.set_xticks([task - 1 for task in shown], [str(task) for task in shown])
    axes.set_yticks([0, *shown], [Text("0 (start)", "0（开始）").of(language), *rows])
    english, chinese = score_name(score), score_name(score, "zh")
    axes.set_xlabel(Text(f"{english} on task", f"测试任务的{chinese}").of(language))
    axes.set_ylabel(Text("after learning task", "学完任务之后").of(language))
    axes.set_title(plain(title), loc="left", fontweight="bold")
    label = Text(f"{english} (%)", f"{chinese}（%）").of(language)
    figure.colorbar(image, ax=axes, label=label).outline.set_visible(False)
    return figure


def version_map(
    matrix_VT: Array, tasks: Sequence[str], versions: Sequence[str], bold: Sequence[int] = (), language: Language = "en"
) -> Figure:
    """R over the versions of a model that lives online (V, T), fractions; exams that a version never sat are grey.

    `bold` are the rows of versions that answered users.

    >>> version_map(np.array([[0.9, np.nan], [0.8, 0.7]]), ["upright", "turned"], ["v1", "v2"]).axes[0].get_xlabel()
    'accuracy on the exam of'
    """
    count, width = matrix_VT.shape
    figure = blank(float(np.clip(3.4 + 0.62 * width, 4.5, 11)), float(np.clip(1.8 + 0.3 * count, 2.6, 8)))
    axes = figure.subplots()
    image = _cells(axes, matrix_VT, width <= 2 * MOST_NUMBERED)
    axes.set_xticks(range(width), [plain(task) for task in tasks], rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(count), [plain(version) for version in versions])
    for row in bold:
        axes.get_yticklabels()[row].set_fontweight("bold")
    axes.set_xlabel(Text("accuracy on the exam of", "各任务考试上的准确率").of(language))
    label = Text("accuracy (%)", "准确率（%）").of(language)
    figure.colorbar(image, ax=axes, label=label).outline.set_visible(False)
    return figure


def _cells(axes: Axes, matrix: Array, numbered: bool) -> AxesImage:
    axes.set_facecolor(NOT_MEASURED)  # NaN cells are transparent
    image = axes.imshow(100 * matrix, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    for row, column in np.argwhere(~np.isnan(matrix)) if numbered else ():
        value = float(matrix[row, column])
        ink = "black" if value > 0.5 else "white"
        axes.text(column, row, f"{100 * value:.0f}", color=ink, ha="center", va="center")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def _ticks(tasks: int) -> list[int]:
    """Task numbers to write at the edge: all of a short life, round ones of a long life."""
    if tasks <= 15:
        return list(range(1, tasks + 1))
    rounds = MaxNLocator(10, integer=True).tick_values(1, tasks)
    return [int(task) for task in rounds if 1 < task <= tasks]
