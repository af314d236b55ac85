"""What all figures share: how a method looks, means with their bands over seeds, and PNG bytes."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from lifelong.errors import require
from lifelong.evaluation import Array

__all__ = ["Groups", "Look", "blank", "checked_groups", "life", "looks", "plain", "png", "spread", "tidy"]

Groups: TypeAlias = dict[str, NDArray[np.float64]]

# Okabe & Ito 2008: told apart with every kind of colour vision; their yellow is left out, too pale on white
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "<")


class Look(NamedTuple):
    """How a method is drawn in every figure: colour, marker, and line style as matplotlib names them."""

    colour: str
    marker: str
    line: str


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """One look per method; the bounds `joint` and `finetune` are dashed and without colour.

    >>> looks(["finetune", "ewc", "er"])["er"]
    Look(colour='#D55E00', marker='s', line='-')
    """
    bounds = {"joint": Look("black", "X", "--"), "finetune": Look("#777777", "p", "--")}
    others = [method for method in methods if method not in bounds]
    cycle = {
        method: Look(OKABE_ITO[i % len(OKABE_ITO)], MARKERS[i % len(MARKERS)], "-") for i, method in enumerate(others)
    }
    return {method: bounds.get(method) or cycle[method] for method in methods}


def checked_groups(groups: Groups) -> Groups:
    """`groups` unless there are none, or one is not of shape (seeds, T + 1, T): then `SettingError`."""
    require(bool(groups), "expected the matrices of at least one method, got none")
    for method, matrices in groups.items():
        shape = matrices.shape
        fits = len(shape) == 3 and shape[0] > 0 and shape[1] == shape[2] + 1 > 1
        require(fits, f"{method}: expected matrices of shape (seeds, T + 1, T), got {shape}")
    return groups


def spread(values: Array) -> tuple[Array, Array]:
    """Mean and half-width of the 95 % interval (Student's t) over the first axis, NaN left out entry by entry.

    Both are NaN where nothing was measured; the half-width also where there is one value only.

    >>> mean, ci95 = spread(np.array([[0.90, np.nan], [0.92, np.nan], [0.94, 0.5]]))
    >>> mean.round(2).tolist(), ci95.round(4).tolist()
    ([0.92, 0.5], [0.0497, nan])
    """
    from scipy.stats import t  # here, as it is slow to import

    known = ~np.isnan(values)
    count = known.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, values, 0.0).sum(0) / count
        variance = np.where(known, (values - mean) ** 2, 0.0).sum(0) / (count - 1)
        return mean, np.asarray(t.ppf(0.975, count - 1) * np.sqrt(variance / count))


def blank(width: float, height: float) -> Figure:
    """An empty figure, in inches, that will find room for all its labels."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    return Figure(figsize=(width, height), layout=layout)


def plain(text: str) -> str:
    """`text` as matplotlib draws it letter for letter (between two $ it would typeset mathematics)."""
    return text.replace("$", r"\$")


def life(axes: Axes, first: int, last: int) -> None:
    """A horizontal axis that counts tasks from `first` to `last`."""
    air = max(0.03 * last, 0.1)
    axes.set_xlim(first - air, last + air)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def tidy(axes: Axes) -> None:
    """A faint grid behind the data, no frame above and at the right."""
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def png(figure: Figure) -> bytes:
    """The figure as PNG, 144 dots per inch; the same figure gives the same bytes."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=144, metadata={"Software": None})
    return buffer.getvalue()
