"""One accepted lot of feedback, split once into what is learned and what is examined.

The side of a row comes from a hash of its content and the project's seed, so it is the same however often, in whatever
order and with whatever neighbours the lot is cut: what was once learned from never becomes an exam, and two copies of
one input fall on the same side. Suffix N: examples.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as from_safetensors
from safetensors.numpy import save as to_safetensors

from lifelong.errors import DataError, StorageError, require
from lifelong.objectives import ClassObjective
from lifelong.types import Examples, Scenario, Split, Task

__all__ = ["ExamSettings", "Lot", "Row", "cut", "pack", "task_of", "unpack", "verdict_part"]


@dataclass(frozen=True)
class ExamSettings:
    """How much of a lot becomes its exam.

    Arguments: `fraction` of every class; `cap`, the most examples per task, the classes in balance; `minimum`, the
        fewest with which a lot may be cut: fewer examples would promise more than they can show; `selection`, the
        fraction of each exam on which repairs are chosen, which the verdict does not use (0: nothing is repaired);
        `retire`: the exams of old tasks that contradict what a full retrain learned count no more, as where prices or
        habits change; else a person retires them.
    """

    fraction: float = 0.3
    cap: int = 500
    minimum: int = 60
    selection: float = 0.2
    retire: bool = False

    def __post_init__(self) -> None:
        require(0 < self.fraction < 1, f"fraction must be in 0 … 1, got {self.fraction}")
        require(self.minimum >= 1, f"minimum must be 1 or more, got {self.minimum}")
        require(0 <= self.selection <= 0.5, f"selection must be in 0 … 0.5, got {self.selection}")
        require(self.cap >= self.minimum, f"cap must be {self.minimum} (minimum) or more, got {self.cap}")

    @property
    def smallest_lot(self) -> int:
        """The fewest examples of which an exam that is large enough may be expected.

        >>> ExamSettings(0.3, minimum=60).smallest_lot
        200
        """
        return math.ceil(round(self.minimum / self.fraction, 6))  # 60 / 0.3 is a little more than 200


def verdict_part(y: ArrayLike, selection: float) -> NDArray[np.bool_]:
    """Which examples of an exam with the labels `y` (N,) the verdict uses: all but every k-th of each class.

    >>> verdict_part([1, 1, 1, 1, 0], selection=0.25).tolist()
    [True, True, True, False, True]
    """
    labels = np.asarray(y)
    if selection == 0:
        return np.ones(len(labels), dtype=bool)
    rank = np.zeros(len(labels), dtype=np.int64)  # how many of its class come before each
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        rank[places] = np.arange(len(places))
    every = round(1 / selection)
    return rank % every != every - 1


@dataclass(frozen=True)
class Row:
    """An accepted example: its `id`, output `label`, place `seq` in the feedback, and a hash of its input."""

    id: str
    label: int
    seq: int
    content: str = ""


@dataclass(frozen=True)
class Lot:
    """Ids to learn from, to examine on, and to spare (they would be examined but for the cap), each sorted.

    `cursor` is the largest `seq`: what came later belongs to a later lot.
    """

    train: tuple[str, ...]
    exam: tuple[str, ...]
    spare: tuple[str, ...]
    cursor: int

    @property
    def manifest(self) -> dict[str, Any]:
        """Ids, cursor, and the SHA-256 of both as canonical JSON: which examples a version was made from."""
        ids = {"train": list(self.train), "exam": list(self.exam), "spare": list(self.spare), "cursor": self.cursor}
        return {**ids, "sha256": sha256(msgspec.json.encode(ids, order="deterministic")).hexdigest()}


def cut(rows: Sequence[Row], settings: ExamSettings, seed: int) -> Lot:
    """The lot that `rows` make, in whatever order they come.

    Of every class each row goes to the exam with the same chance, by its hash. A class all of whose rows would go
    there keeps the one with the largest hash for learning: nobody is examined on what nobody could learn.

    Raises: `DataError` for no rows, an id that comes twice, nothing to learn from, or an exam below the minimum.

    >>> lot = cut([Row(f"r{i}", i % 2, i) for i in range(100)], ExamSettings(0.3, cap=20, minimum=10), seed=0)
    >>> len(lot.train) + len(lot.exam) + len(lot.spare), len(lot.exam), lot.cursor
    (100, 20, 99)
    """
    if len({row.id for row in rows}) != len(rows):
        raise DataError("a lot holds an id twice; every example may be learned once")
    luck = {row.id: _luck(row, seed) for row in rows}
    classes: dict[int, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (luck[row.id], row.id)):
        classes[row.label].append(row)
    train: list[str] = []
    ranked: list[tuple[int, float, str]] = []
    for members in classes.values():
        limit = min(settings.fraction, luck[members[-1].id])  # the last one stays, and with it its copies
        chosen = [row for row in members if luck[row.id] < limit]
        train += [row.id for row in members[len(chosen) :]]
        ranked += [(rank, luck[row.id], row.id) for rank, row in enumerate(chosen)]
    exam = [name for _, _, name in sorted(ranked)]  # first the first of every class, then the second, …
    kept, spare = exam[: settings.cap], exam[settings.cap :]
    if len(kept) < settings.minimum:
        raise DataError(
            f"a lot of {len(rows)} examples gives an exam of {len(kept)}, expected {settings.minimum} or more; wait "
            f"for about {settings.smallest_lot} examples, or set exam.fraction or exam.minimum"
        )
    cursor = max(row.seq for row in rows)
    return Lot(tuple(sorted(train)), tuple(sorted(kept)), tuple(sorted(spare)), cursor)


def task_of(
    number: int,
    name: str,
    scenario: Scenario,
    outputs: int,
    train: tuple[ArrayLike, ArrayLike],
    exam: tuple[ArrayLike, ArrayLike],
) -> Task:
    """Task `number` from arrays x (N, …) and y (N,), for learning and for its exam.

    In the scenario `domain` its classes are all `outputs`, in the others those that occur.

    >>> task = task_of(2, "lot 2", "class", 10, (np.zeros((3, 4)), [5, 6, 5]), (np.zeros((1, 4)), [6]))
    >>> task.classes, task.train.x.dtype, len(task.test)
    ((5, 6), torch.float32, 1)
    """
    parts: dict[Split, Examples] = {"train": _examples(*train, number), "test": _examples(*exam, number)}
    for part, examples in parts.items():
        place = f"the {part} part of task {number} ({name})"
        examples.check(place)
        objective = ClassObjective()
        objective.check(examples.y, place)
        objective.check_outputs(examples.y, place, outputs)
    seen = {int(label) for examples in parts.values() for label in examples.y.unique()}
    classes = tuple(range(outputs)) if scenario == "domain" else tuple(sorted(seen))
    return Task(number, name, classes, parts.get)


def pack(x: ArrayLike, y: ArrayLike) -> bytes:
    """Inputs (N, …) and labels (N,) as a safetensors file; equal examples give equal bytes.

    >>> [array.tolist() for array in unpack(pack([[0.5]], [3]))]
    [[[0.5]], [3]]
    """
    arrays = {"x": np.ascontiguousarray(x, dtype=np.float32), "y": np.ascontiguousarray(y, dtype=np.int64)}
    return to_safetensors(arrays)


def unpack(data: bytes) -> tuple[np.ndarray[Any, np.dtype[np.float32]], np.ndarray[Any, np.dtype[np.int64]]]:
    """What `pack` wrote; `StorageError` for anything else."""
    try:
        arrays = from_safetensors(data)
        return arrays["x"], arrays["y"]
    except (SafetensorError, KeyError) as error:
        raise StorageError(f"these {len(data)} bytes hold no packed examples: {error!r}; restore the blob") from error


def _luck(row: Row, seed: int) -> float:
    """A number in [0, 1) from the row's content and the seed alone."""
    digest = sha256(f"{seed}:{row.content or row.id}".encode()).digest()
    return int.from_bytes(digest[:7]) / 2**56


def _examples(x: ArrayLike, y: ArrayLike, number: int) -> Examples:
    # copied: torch would share, and warn of, memory that may not be written
    inputs, labels = np.array(x, dtype=np.float32), np.array(y, dtype=np.int64)
    return Examples(torch.from_numpy(inputs), torch.from_numpy(labels), number)
