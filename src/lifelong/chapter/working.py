"""ACC, BWT and FWT of a table R written out: the formula with its places, with its numbers, and the result."""

from __future__ import annotations

from typing import NamedTuple

from lifelong.evaluation import Array, acc, bwt, fwt
from lifelong.reports.wording import percent, points

__all__ = ["Working", "worked"]


class Working(NamedTuple):
    """A score, each line of its working after the sign =, and the result."""

    score: str
    lines: tuple[str, ...]
    result: str


def worked(matrix: Array) -> tuple[Working, ...]:
    """The working of ACC, BWT and FWT of R (T + 1, T) in fractions, row 0 the random initialisation.

    Numbers are in percent. The results are those of `lifelong.evaluation`, from unrounded numbers.

    >>> import numpy as np
    >>> R = np.array([[0.1, 0.2], [0.9, 0.3], [0.6, 0.8]])
    >>> for working in worked(R):
    ...     print(working.score, *working.lines, working.result, sep=" = ")
    ACC = 1/2 [R₂,₁ + R₂,₂] = 1/2 [60.0 + 80.0] = 70.0
    BWT = 1/1 [(R₂,₁ − R₁,₁)] = 1/1 [(60.0 − 90.0)] = 1/1 [(−30.0)] = −30.0
    FWT = 1/1 [(R₁,₂ − R₀,₂)] = 1/1 [(30.0 − 20.0)] = 1/1 [(+10.0)] = +10.0
    """
    tasks = matrix.shape[1]
    last = [(tasks, task) for task in range(1, tasks + 1)]
    backward = [((tasks, task), (task, task)) for task in range(1, tasks)]
    forward = [((task - 1, task), (0, task)) for task in range(2, tasks + 1)]
    means = " + ".join(_name(place) for place in last), " + ".join(_number(matrix, place) for place in last)
    average = Working("ACC", tuple(f"1/{tasks} [{terms}]" for terms in means), percent(float(acc(matrix))))
    return (
        average,
        Working("BWT", _differences(matrix, backward), points(float(bwt(matrix)))),
        Working("FWT", _differences(matrix, forward), points(float(fwt(matrix)))),
    )


Place = tuple[int, int]


def _differences(matrix: Array, pairs: list[tuple[Place, Place]]) -> tuple[str, ...]:
    places = [f"({_name(first)} − {_name(second)})" for first, second in pairs]
    numbers = [f"({_number(matrix, first)} − {_number(matrix, second)})" for first, second in pairs]
    results = [f"({points(float(_value(matrix, first) - _value(matrix, second)))})" for first, second in pairs]
    return tuple(f"1/{len(pairs)} [{' + '.join(terms)}]" for terms in (places, numbers, results))


def _value(matrix: Array, place: Place) -> float:
    row, task = place
    return float(matrix[row, task - 1])


def _number(matrix: Array, place: Place) -> str:
    return percent(_value(matrix, place))


def _name(place: Place) -> str:
    """R with its row and its column as lowered digits."""
    lowered = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    row, task = place
    return f"R{row},{task}".translate(lowered)
