"""What methods store over a life: penalties stay as they are, examples add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from lifelong.reports.bilingual import Language, Text
from lifelong.reports.canvas import blank, looks, plain, tidy
from lifelong.reports.line_labels import label_lines
from lifelong.reports.wording import size

__all__ = ["memory_curves"]


def memory_curves(tasks: Sequence[int], stored: Mapping[str, Sequence[float]], language: Language = "en") -> Figure:
    """Bytes stored besides the model after so many tasks, one line per method, both axes logarithmic.

    >>> memory_curves([1, 10], {"ewc": [100, 100], "gem": [20, 200]}).axes[0].get_yscale()
    'log'
    """
    figure = blank(7.0, 4.0)
    axes = figure.subplots()
    tidy(axes)
    for method, look in looks([*stored]).items():
        style = {"color": look.colour, "marker": look.marker, "markersize": 5, "label": plain(method)}
        axes.plot(tasks, stored[method], look.line, **style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(_number))
    axes.yaxis.set_major_formatter(FuncFormatter(_size))
    axes.set_xlabel(Text("tasks learned", "已学任务数").of(language))
    axes.set_ylabel(Text("stored besides the model", "模型之外的存储").of(language))
    label_lines(axes)
    return figure


def _number(value: float, place: int) -> str:
    return f"{value:g}"


def _size(value: float, place: int) -> str:
    return size(value)
