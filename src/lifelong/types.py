"""The words that every layer shares: examples, tasks, and the space they live in.

Shape suffixes used throughout the package: B batch, C outputs (classes), D features, M stored examples,
N examples, P parameters, T tasks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from lifelong.errors import DataError, require

__all__ = ["Examples", "HeadKind", "Part", "Scenario", "Space", "Task"]

Scenario = Literal["task", "domain", "class"]
HeadKind = Literal["all", "growing", "per-task"]
Part = Literal["train", "validation", "test"]

DEFAULT_HEAD: dict[Scenario, HeadKind] = {"task": "per-task", "domain": "all", "class": "growing"}


@dataclass(frozen=True, slots=True)
class Examples:
    """Labelled examples held as tensors: `x` (N, …), `y` (N,) int64 output indices, `task` their task number(s).

    `task` is one number where all examples belong to one task, else an int64 tensor (N,).

    >>> both = Examples.cat([Examples(torch.zeros(2, 3), torch.tensor([0, 1]), 1),
    ...                      Examples(torch.ones(1, 3), torch.tensor([1]), 2)])
    >>> len(both), both.task.tolist()
    (3, [1, 1, 2])
    """

    x: Tensor
    y: Tensor
    task: int | Tensor

    def __len__(self) -> int:
        return len(self.y)

    def at(self, index: Tensor | slice) -> Examples:
        """The examples at `index` (int64 positions from 0, a mask, or a slice)."""
        task = self.task if isinstance(self.task, int) else _rows(self.task, index)
        return Examples(_rows(self.x, index), _rows(self.y, index), task)

    def to(self, device: torch.device | str) -> Examples:
        """The same examples on another device; no copy where they are there already."""
        task = self.task if isinstance(self.task, int) else self.task.to(device)
        return Examples(self.x.to(device), self.y.to(device), task)

    def task_numbers(self) -> Tensor:
        """The task number of every example, as a tensor."""
        if isinstance(self.task, int):
            return torch.full_like(self.y, self.task)
        return self.task

    @staticmethod
    def cat(parts: Sequence[Examples]) -> Examples:
        """All examples of `parts` in order; the task stays one number where it is the same in all parts."""
        tasks = {part.task if isinstance(part.task, int) else None for part in parts}
        only = next(iter(tasks)) if len(tasks) == 1 else None
        task = only if only is not None else torch.cat([part.task_numbers() for part in parts])
        return Examples(torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts]), task)

    def check(self, place: str, outputs: int | None = None) -> None:
        """Raise `DataError` unless there are examples, all finite, with labels in 0 … outputs − 1."""
        if len(self.y) == 0:
            raise DataError(f"{place} is empty: expected at least one example")
        if len(self.x) != len(self.y) or self.y.ndim != 1:
            raise DataError(
                f"{place}: expected one label per example, got {tuple(self.x.shape)} and {tuple(self.y.shape)}"
            )
        if self.y.dtype != torch.int64:
            raise DataError(f"{place}: expected int64 labels, got {self.y.dtype}; use y.long()")
        if self.x.is_floating_point() and not bool(torch.isfinite(self.x).all()):
            rows = (~torch.isfinite(self.x.flatten(1))).any(1).nonzero()[:, 0]
            raise DataError(
                f"{place}: {len(rows)} of {len(self.x)} inputs hold NaN or infinity, first at row {int(rows[0])}; "
                "remove or impute them"
            )
        low, high = int(self.y.min()), int(self.y.max())
        if low < 0 or (outputs is not None and high >= outputs):
            limit = f"0 … {outputs - 1}" if outputs is not None else "0 or more"
            raise DataError(f"{place}: labels must be in {limit}, got {low} … {high}")


def _rows(values: Tensor, index: Tensor | slice) -> Tensor:
    """`values[index]`; positions go by `index_select`, which copies whole rows and is faster than indexing."""
    if isinstance(index, slice) or index.dtype == torch.bool:
        return values[index]
    return values.index_select(0, index)


@dataclass(frozen=True, slots=True)
class Space:
    """What a stream asks of a model: the shape of one input, the number of outputs, and the scenario.

    `classes` counts the outputs over the whole stream; it may be None where only the tasks know (growing heads).
    `boundaries` is False where the tasks flow into each other, so that nobody could say when one ends. Where inputs are
    texts (sentences, words), `words` is how many numbers a word may be, 0 for none among them; elsewhere it is None.

    >>> Space((1, 8, 8), classes=10, scenario="domain").features
    64
    """

    input_shape: tuple[int, ...] | None = None
    classes: int | None = None
    scenario: Scenario = "domain"
    boundaries: bool = True
    words: int | None = None

    def __post_init__(self) -> None:
        known = get_args(Scenario)
        require(self.scenario in known, f"scenario must be one of {', '.join(known)}, got {self.scenario!r}")

    @property
    def features(self) -> int:
        """Numbers in one input."""
        require(self.input_shape is not None, "this space has no input shape; give Space(input_shape=…)")
        return math.prod(self.input_shape or ())


@dataclass(frozen=True, slots=True)
class Task:
    """One chunk of the life: its number (1 … T), name, classes (output indices), and its three parts, made on demand.

    Nothing is held: `train`, `validation` and `test` ask `load` each time, so a stream of any length costs nothing.

    >>> x, y = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
    >>> task = Task.of(1, train=(x, y), test=(x, y))
    >>> task.classes, len(task.train), task.validation
    ((0, 1), 4, None)
    """

    number: int
    name: str
    classes: tuple[int, ...]
    load: Callable[[Part], Examples | None]
    #: how many examples `train` has, where that is known without making them
    known_size: int | None = None

    @property
    def size(self) -> int:
        """How many examples there are to learn from."""
        return len(self.train) if self.known_size is None else self.known_size

    def part(self, part: Part) -> Examples:
        """The examples of one part; `DataError` where the task has none."""
        examples = self.load(part)
        if examples is None:
            raise DataError(f"task {self.number} ({self.name}) has no {part} part; make one with validation > 0")
        return replace(examples, task=self.number)

    @property
    def train(self) -> Examples:
        """What the model may learn from."""
        return self.part("train")

    @property
    def validation(self) -> Examples | None:
        """Held out of the training part for choosing settings; None where the stream has none."""
        examples = self.load("validation")
        return None if examples is None or len(examples) == 0 else replace(examples, task=self.number)

    @property
    def test(self) -> Examples:
        """What the model is examined on; training never reads it."""
        return self.part("test")

    @staticmethod
    def of(
        number: int, *, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor] | None = None, name: str = ""
    ) -> Task:
        """A task from (x, y) pairs that are in memory."""
        parts: dict[str, Examples] = {"train": Examples(*train, number)}
        if test is not None:
            parts["test"] = Examples(*test, number)
        classes = tuple(sorted({int(label) for part in parts.values() for label in part.y.unique()}))
        return Task(number, name or f"task {number}", classes, parts.get)
