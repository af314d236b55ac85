"""Test-then-train: the score of each batch before it was learned, over the examples of the life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from lifelong.errors import require
from lifelong.evaluation import Prequential
from lifelong.reports.bilingual import Language, Text, score_name
from lifelong.reports.canvas import blank, looks, plain, spread, tidy

__all__ = ["prequential_curve"]


def prequential_curve(
    runs: Mapping[str, Sequence[Prequential]],
    score: str = "accuracy",
    factor: float = 0.99,
    language: Language = "en",
) -> Figure:
    """The prequential score with a fading factor, one line per method, the mean over seeds with 95 % bands.

    Args:
        runs: Per method those of its seeds, over the same batches.
        score: The name of the score.
        factor: See `evaluation.fading_mean`.
        language: Of the labels.

    Raises:
        SettingError: There are no runs, or one has no batches.

    Example:
        >>> tested = Prequential([1, 1], [10, 10], [0.1, 0.5], [2.0, 1.0])
        >>> prequential_curve({"er": [tested]}).axes[0].lines[0].get_xdata().tolist()
        [10, 20]
    """
    require(
        bool(runs) and all(some and some[0].examples for some in runs.values()), "expected tested batches, got none"
    )
    figure = blank(7.6, 4.2)
    axes = figure.subplots()
    tidy(axes)
    for method, look in looks([*runs]).items():
        length = min(len(run.examples) for run in runs[method])
        mean, ci95 = spread(np.stack([100 * run.curve(factor)[:length] for run in runs[method]]))
        x = np.cumsum(runs[method][0].examples)[:length]
        axes.plot(x, mean, look.line, color=look.colour, linewidth=1.6, label=plain(method))
        axes.fill_between(
            x, np.maximum(mean - ci95, 0), np.minimum(mean + ci95, 100), color=look.colour, alpha=0.12, linewidth=0
        )
    first = next(iter(runs.values()))[0]
    ends = np.cumsum(first.examples)[np.flatnonzero(np.diff(first.task))]
    for end in ends:
        axes.axvline(end, color="#999999", linewidth=0.8, linestyle=":")
    axes.set_xlabel(Text("examples seen", "已见样本数").of(language))
    name = score_name(score, language)
    label = Text(f"{name} before learning (%), fading factor {factor:g}", f"学习前的{name}（%），衰减因子 {factor:g}")
    axes.set_ylabel(label.of(language))
    figure.legend(loc="outside right upper", frameon=False)
    return figure
