"""The table R of accuracies: `R[i, j]` on task j after learning tasks 1 … i; row 0 is the random initialisation.

Shape (T + 1, T). Entries that were not measured are NaN. Axes before the last two (seeds, say) are allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lifelong.errors import SettingError, require

__all__ = ["Array", "checked", "empty", "fill_row", "schedule"]

Array: TypeAlias = NDArray[np.float64]


def empty(tasks: int) -> Array:
    """A matrix for `tasks` tasks in which nothing was measured yet.

    >>> empty(2).shape
    (3, 2)
    """
    return np.full((tasks + 1, tasks), np.nan)


def checked(matrix: ArrayLike) -> Array:
    """`matrix` as an array (…, T + 1, T) of accuracies in 0 … 1 or NaN; `SettingError` for anything else."""
    array = np.asarray(matrix, dtype=np.float64)
    fits = array.ndim >= 2 and array.shape[-2] == array.shape[-1] + 1
    require(fits, f"expected a matrix R of shape (T + 1, T), row 0 the random initialisation, got {array.shape}")
    known = array[~np.isnan(array)]
    require(bool(((known >= 0) & (known <= 1)).all()), "expected accuracies in 0 … 1, got others; divide by 100?")
    return array


def fill_row(matrix: Array, row: int, columns: Sequence[int], accuracy: Callable[[int], float]) -> None:
    """Measure row `row` in place: `accuracy(j)` for every task number j in `columns`."""
    for column in columns:
        matrix[row, column - 1] = accuracy(column)


def schedule(rule: str, row: int, tasks: int, seed: int = 0) -> list[int]:
    """The task numbers to examine after task `row`, so that a long life stays affordable.

    Rules: `every` (all tasks after each task), `every:K` (all tasks after each K-th task), `last` (all tasks after
    the last), `sampled:M` (M random others after each task). Rows 0 and T are always whole, and each row holds the
    task just learned and the next one, so that ACC, BWT and FWT are exact under every rule; only forgetting, which
    asks for the best of all rows, then looks at fewer.

    >>> schedule("every", 2, 4), schedule("last", 2, 4), schedule("every:2", 1, 4)
    ([1, 2, 3, 4], [2, 3], [1, 2])
    """
    kind, _, number = rule.partition(":")
    if kind not in ("every", "last", "sampled") or (number and not number.isdigit()) or number == "0":
        raise SettingError(f"evaluate must be every, every:K, last or sampled:M, got {rule!r}")
    require(kind != "sampled" or bool(number), "evaluate=sampled needs how many, as in sampled:20")
    everything = list(range(1, tasks + 1))
    if row in (0, tasks) or (kind == "every" and row % int(number or 1) == 0):
        return everything
    near = {row, row + 1}
    if kind == "sampled":
        order = np.random.default_rng([seed, row]).permutation(everything)
        near |= {int(task) for task in order[: int(number)]}
    return sorted(near)
