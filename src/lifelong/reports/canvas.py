"""What all figures share: how a method looks, means with their bands over seeds, and PNG bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from lifelong.errors import require
from lifelong.evaluation import Array

__all__ = [
    "LOOKS",
    "Groups",
    "Look",
    "blank",
    "checked_groups",
    "life",
    "looks",
    "plain",
    "png",
    "spread",
    "tidy",
]

Groups: TypeAlias = dict[str, NDArray[np.float64]]

# Okabe & Ito 2008: told apart with every kind of colour vision; their yellow is left out, too pale on white
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = OKABE_ITO = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "<", ">", "h", "8", "d", "*")
DASHES = ("-", ":", "-.", "--")


class Look(NamedTuple):
    """How a method is drawn in every figure: colour, marker, and line style as matplotlib names them."""

    colour: str
    marker: str
    line: str


#: the look of every registered method. Methods that are often compared differ in colour: the penalties among each
#: other, the kinds of rehearsal among each other, and ewc, si, er, gem and agem
LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        "joint": Look("black", "X", "--"),
        "finetune": Look("#777777", "p", "--"),
        "independent": Look(SKY, "h", "--"),
        "ewc": Look(BLUE, "o", "-"),
        "online-ewc": Look(BLUE, "h", "-"),
        "l2": Look(VERMILION, "d", "-"),
        "si": Look(PURPLE, "D", "-"),
        "mas": Look(ORANGE, "v", "-"),
        "rwalk": Look(SKY, "P", "-"),
        "scp": Look(GREEN, "<", "-"),
        "gem": Look(GREEN, "^", "-"),
        "agem": Look(ORANGE, ">", "-"),
        "ogd": Look(SKY, ">", "-"),
        "gpm": Look(PURPLE, ">", "-"),
        "er": Look(VERMILION, "s", "-"),
        "er-ace": Look(SKY, "s", "-"),
        "der": Look(BLUE, "s", "-"),
        "der++": Look(GREEN, "s", "-"),
        "mir": Look(ORANGE, "s", "-"),
        "gss": Look(PURPLE, "s", "-"),
        "gdumb": Look(VERMILION, "8", "-"),
        "icarl": Look(BLUE, "8", "-"),
        "dgr": Look(SKY, "8", "-"),
        "lwf": Look(PURPLE, "h", "-"),
        "packnet": Look(GREEN, "h", "-"),
        "progressive": Look(BLUE, "^", "-"),
        "hat": Look(ORANGE, "h", "-"),
        "xdg": Look(VERMILION, "h", "-"),
        "ncm": Look(ORANGE, "*", "-"),
        "slda": Look(BLUE, "*", "-"),
        "ranpac": Look(GREEN, "*", "-"),
    }
)


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """One look per method: the same in every figure for a registered name.

    A chain and a second setting (`ewc+er`, `ewc:strength=1`) have the colour and the marker of the method that their
    name begins with, and a dash of their own. Other names get looks that are free, in their order.

    >>> looks(["finetune", "ewc", "ewc+er"])["ewc+er"]
    Look(colour='#0072B2', marker='o', line=':')
    """
    chosen: dict[str, Look] = {method: LOOKS[method] for method in methods if method in LOOKS}
    for method in methods:
        if method not in chosen:
            taken = {*LOOKS.values(), *chosen.values()}
            chosen[method] = next(look for look in _free(method) if look not in taken)
    return {method: chosen[method] for method in methods}


def _free(method: str) -> Iterator[Look]:
    """The looks for a name that is not registered, best first."""
    begins = [name for name in LOOKS if re.match(re.escape(name) + r"(?![\w-])", method)]
    if begins:
        base = LOOKS[max(begins, key=len)]
        yield from (base._replace(line=line, marker=marker) for marker in (base.marker, *MARKERS) for line in DASHES)
    yield from (Look(colour, marker, line) for line in DASHES for marker in MARKERS for colour in OKABE_ITO)


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
