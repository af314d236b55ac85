"""The words that every layer shares: examples, data, tasks, and the space they live in.

Shape suffixes used throughout the package: B batch, C outputs (classes), D features, L positions of a sequence,
M stored examples, N examples, P parameters, T tasks, V vocabulary.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable

import torch
from torch import Tensor

from lifelong.errors import DataError, require

__all__ = [
    "Classes",
    "Data",
    "Examples",
    "Field",
    "HeadKind",
    "InputKind",
    "Labels",
    "Numbers",
    "Scenario",
    "Space",
    "Split",
    "Target",
    "Task",
    "Tokens",
    "Tree",
    "as_examples",
    "input_kind",
    "leaves",
    "tree_cat",
    "tree_map",
]

Scenario = Literal["task", "domain", "class"]
HeadKind = Literal["all", "growing", "per-task"]
Split = Literal["train", "validation", "test"]

#: a tensor, or a dict of tensors by name; every leaf has the examples in its first dimension. To a type checker it is
#: `Any`: which of both it is, is a matter of the stream, and methods for classes alone use it as the tensor that it is
Tree: TypeAlias = Any

#: the names and shapes of inputs, and whether they are numbers (else tokens): what tells kinds of input apart
InputKind: TypeAlias = tuple[tuple[str, tuple[int, ...], bool], ...]

DEFAULT_HEAD: dict[Scenario, HeadKind] = {"task": "per-task", "domain": "all", "class": "growing"}


def leaves(tree: Tree) -> list[Tensor]:
    """The tensors of a tree.

    >>> [leaf.shape[0] for leaf in leaves({"a": torch.zeros(3, 2), "b": torch.zeros(3)})]
    [3, 3]
    """
    return [tree] if isinstance(tree, Tensor) else list(tree.values())


def tree_map(function: Callable[[Tensor], Tensor], tree: Tree) -> Tree:
    """The tree with `function` applied to each of its tensors."""
    return function(tree) if isinstance(tree, Tensor) else {name: function(leaf) for name, leaf in tree.items()}


def tree_cat(trees: Sequence[Tree]) -> Tree:
    """Trees of one structure joined along their first dimension.

    Raises:
        DataError: The trees differ in their names.
    """
    first = trees[0]
    if isinstance(first, Tensor):
        return torch.cat([leaf for tree in trees for leaf in leaves(tree)])
    names = {tuple(tree) if isinstance(tree, dict) else () for tree in trees}
    if len({frozenset(some) for some in names}) != 1:
        raise DataError(f"expected the same fields in all parts, got {sorted(names)}")
    return {name: torch.cat([tree[name] for tree in trees if isinstance(tree, dict)]) for name in first}


def input_kind(x: Tree) -> InputKind:
    """The kind of the inputs `x` (N, …).

    >>> input_kind({"text": torch.zeros(2, 7).long(), "image": torch.zeros(2, 1, 8, 8)})
    (('image', (1, 8, 8), True), ('text', (7,), False))
    """
    named = x.items() if isinstance(x, dict) else [("", x)]
    return tuple(sorted((name, tuple(leaf.shape[1:]), leaf.is_floating_point()) for name, leaf in named))


@runtime_checkable
class Data(Protocol):
    """What a task is learned from: examples in memory (`Examples`), or read batch by batch (`lifelong.data.Lazy`)."""

    def __len__(self) -> int:
        """How many examples there are."""
        ...

    def at(self, index: Tensor | slice) -> Examples:
        """The examples at `index` (int64 positions from 0, a mask, or a slice); no others are read."""
        ...

    def batches(self, order_N: Tensor, size: int) -> Iterator[Examples]:
        """The examples at the positions `order_N`, `size` at a time; the last batch may be smaller."""
        ...

    def with_task(self, number: int) -> Data:
        """The same data as examples of task `number`."""
        ...


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples in memory: inputs `x` (N, …), targets `y` (N, …), and the number(s) of their task.

    Args:
        x: One tensor, or several by name.
        y: The targets, as the objective wants them: int64 classes (N,), numbers (N, C), labels (N, C), tokens (N, L).
        task: One number where all examples belong to one task, else an int64 tensor (N,).

    Example:
        >>> both = Examples.cat([Examples(torch.zeros(2, 3), torch.tensor([0, 1]), 1),
        ...                      Examples(torch.ones(1, 3), torch.tensor([1]), 2)])
        >>> len(both), both.task.tolist()
        (3, [1, 1, 2])
    """

    x: Tree
    y: Tree
    task: int | Tensor

    def __len__(self) -> int:
        return len(self.y) if isinstance(self.y, Tensor) else len(next(iter(self.y.values())))

    @property
    def device(self) -> torch.device:
        """Where the targets are."""
        return leaves(self.y)[0].device

    def at(self, index: Tensor | slice) -> Examples:
        """The examples at `index` (int64 positions from 0, a mask, or a slice)."""
        task = self.task if isinstance(self.task, int) else _rows(self.task, index)
        if isinstance(self.x, Tensor) and isinstance(self.y, Tensor):
            return Examples(_rows(self.x, index), _rows(self.y, index), task)
        return Examples(
            tree_map(lambda leaf: _rows(leaf, index), self.x), tree_map(lambda leaf: _rows(leaf, index), self.y), task
        )

    def batches(self, order_N: Tensor, size: int) -> Iterator[Examples]:
        """The examples at the positions `order_N`, `size` at a time; the last batch may be smaller."""
        for index_B in order_N.to(self.device).split(size):
            yield self.at(index_B)

    def with_task(self, number: int) -> Examples:
        """The same examples as examples of task `number`."""
        return replace(self, task=number)

    def to(self, device: torch.device | str) -> Examples:
        """The same examples on another device; no copy where they are there already."""
        task = self.task if isinstance(self.task, int) else self.task.to(device)
        return Examples(
            tree_map(lambda leaf: leaf.to(device), self.x), tree_map(lambda leaf: leaf.to(device), self.y), task
        )

    def task_numbers(self) -> Tensor:
        """The task number of every example, as a tensor."""
        if isinstance(self.task, int):
            return torch.full((len(self),), self.task, device=self.device)
        return self.task

    @property
    def nbytes(self) -> int:
        """Bytes of inputs and targets."""
        return sum(leaf.nbytes for leaf in (*leaves(self.x), *leaves(self.y)))

    @staticmethod
    def cat(parts: Sequence[Examples]) -> Examples:
        """All examples of `parts` in order; the task stays one number where it is the same in all parts."""
        tasks = {part.task if isinstance(part.task, int) else None for part in parts}
        only = next(iter(tasks)) if len(tasks) == 1 else None
        task = only if only is not None else torch.cat([part.task_numbers() for part in parts])
        return Examples(tree_cat([part.x for part in parts]), tree_cat([part.y for part in parts]), task)

    def check(self, place: str) -> None:
        """Check that there are examples, as many inputs as targets, and all inputs finite.

        Raises:
            DataError: One of these does not hold; the message names the first bad row.
        """
        if len(self) == 0:
            raise DataError(f"{place} is empty: expected at least one example")
        counts = {len(leaf) for leaf in (*leaves(self.x), *leaves(self.y))}
        if len(counts) != 1:
            shapes = [tuple(leaf.shape) for leaf in (*leaves(self.x), *leaves(self.y))]
            raise DataError(f"{place}: expected one target per example, got tensors of shapes {shapes}")
        for name, leaf in self.x.items() if isinstance(self.x, dict) else [("", self.x)]:
            if leaf.is_floating_point() and not bool(torch.isfinite(leaf).all()):
                rows = (~torch.isfinite(leaf.flatten(1))).any(1).nonzero()[:, 0]
                field = f" of {name!r}" if name else ""
                raise DataError(
                    f"{place}: {len(rows)} of {len(leaf)} inputs{field} hold NaN or infinity, first at row "
                    f"{int(rows[0])}; remove or impute them"
                )


def _rows(values: Tensor, index: Tensor | slice) -> Tensor:
    """`values[index]`; positions go by `index_select`, which copies whole rows and is faster than indexing."""
    if isinstance(index, slice) or index.dtype == torch.bool:
        return values[index]
    return values.index_select(0, index)


def as_examples(data: Data) -> Examples:
    """All of `data` in memory; `Examples` are returned as they are."""
    if isinstance(data, Examples):
        return data
    return Examples.cat(list(data.batches(torch.arange(len(data)), 1024)))


@dataclass(frozen=True, slots=True)
class Field:
    """One input: the shape of an example, and for tokens how many numbers one may be, 0 for none among them."""

    shape: tuple[int, ...]
    vocabulary: int | None = None


@dataclass(frozen=True, slots=True)
class Classes:
    """One class of `count` per example; None where only the tasks know."""

    count: int | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    """A vector of `count` numbers per example (regression)."""

    count: int


@dataclass(frozen=True, slots=True)
class Labels:
    """Any of `count` labels per example, each 0 or 1."""

    count: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """A sequence of tokens out of `vocabulary`; `padding` is the target that does not count."""

    vocabulary: int
    padding: int = 0


Target: TypeAlias = Classes | Numbers | Labels | Tokens


@dataclass(frozen=True, slots=True)
class Space:
    """What a stream asks of a model: its inputs, its target, and the scenario.

    Args:
        inputs: The shape of one input, a `Field`, or several by name; None where a network of your own knows.
        target: The number of classes, or a `Target`; None where only the tasks know their classes (growing heads).
        scenario: `task`, `domain` or `class`.
        boundaries: False where the tasks flow into each other, so that nobody could say when one ends.
        kinds: Where tasks differ in inputs or target: the spaces that there are, each once.

    Example:
        >>> Space((1, 8, 8), 10, "domain").features
        64
        >>> Space({"image": Field((1, 8, 8)), "text": Field((12,), vocabulary=99)}, Labels(5)).target
        Labels(count=5)
    """

    inputs: tuple[int, ...] | Field | dict[str, Field] | None = None
    target: int | Target | None = None
    scenario: Scenario = "domain"
    boundaries: bool = True
    kinds: tuple[Space, ...] = ()

    def __post_init__(self) -> None:
        known = get_args(Scenario)
        require(self.scenario in known, f"scenario must be one of {', '.join(known)}, got {self.scenario!r}")

    @property
    def field(self) -> Field | None:
        """The one input; None where there are several, or none is known."""
        if isinstance(self.inputs, (Field, dict)) or self.inputs is None:
            return self.inputs if isinstance(self.inputs, Field) else None
        return Field(tuple(self.inputs))

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of the one input; None where there are several, or none is known."""
        return None if self.field is None else self.field.shape

    @property
    def vocabulary(self) -> int | None:
        """How many tokens the one input is made of; None where it is made of numbers."""
        return None if self.field is None else self.field.vocabulary

    @property
    def classes(self) -> int | None:
        """The number of outputs over the whole stream; None where only the tasks know."""
        match self.target:
            case None | int():
                return self.target
            case Tokens(vocabulary=count) | Classes(count=count) | Numbers(count=count) | Labels(count=count):
                return count

    @property
    def fields(self) -> dict[str, Field]:
        """The inputs by name, in alphabetical order; `""` is the name of the only one, and {} where none is known."""
        if isinstance(self.inputs, dict):
            return dict(sorted(self.inputs.items()))
        return {} if self.field is None else {"": self.field}

    @property
    def input_kind(self) -> InputKind:
        """The kind of the inputs."""
        return tuple((name, tuple(field.shape), field.vocabulary is None) for name, field in self.fields.items())

    @property
    def goal(self) -> Target:
        """The target, a number of classes as `Classes`."""
        return Classes(self.target) if self.target is None or isinstance(self.target, int) else self.target

    def columns(self, inputs: InputKind | None = None) -> dict[Target, slice]:
        """The outputs of each target that `kinds` have (of inputs of one kind), side by side in their order.

        >>> both = Space(kinds=(Space((4,), 10), Space((2,), Numbers(3))))
        >>> both.columns()[Numbers(3)], both.columns(both.kinds[1].input_kind)
        (slice(10, 13, None), {Numbers(count=3): slice(0, 3, None)})
        """
        asked = [kind for kind in self.kinds if inputs is None or kind.input_kind == inputs]
        counts = {kind.goal: kind.classes or 0 for kind in asked}
        stops = list(itertools.accumulate(counts.values()))
        return {goal: slice(stop - counts[goal], stop) for goal, stop in zip(counts, stops, strict=True)}

    @property
    def features(self) -> int:
        """Numbers in one input."""
        shape = self.input_shape
        require(shape is not None, "this space has no input shape; give Space((…), …)")
        return math.prod(shape or ())


@dataclass(frozen=True, slots=True)
class Task:
    """One chunk of the life: its number (1 … T), name, classes (output indices), and its splits, made on demand.

    Nothing is held: each call asks `load`, so a stream of any length costs nothing.

    Args:
        number: 1 … T.
        name: For people.
        classes: The outputs of the task; () where the target has no classes.
        load: The data of a split, None where there is none.
        sizes: How many examples each split has, where that is known without making them.
        space: What this task asks where the tasks of a stream differ; None for what the stream asks.
        class_names: What people call the `classes`, in their order; () where nobody said.

    Example:
        >>> x, y = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
        >>> task = Task.of(1, train=(x, y), test=(x, y))
        >>> task.classes, len(task.train), task.validation
        ((0, 1), 4, None)
    """

    number: int
    name: str
    classes: tuple[int, ...]
    load: Callable[[Split], Data | None]
    sizes: Mapping[Split, int] | None = None
    space: Space | None = None
    class_names: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many examples there are to learn from."""
        return len(self.split("train")) if self.sizes is None else self.sizes["train"]

    def split(self, split: Split) -> Data:
        """The data of one split.

        Raises:
            DataError: The task has no such split.
        """
        data = self.load(split)
        if data is None:
            raise DataError(f"task {self.number} ({self.name}) has no {split} split; make one with validation > 0")
        return data.with_task(self.number)

    @property
    def train(self) -> Examples:
        """What the model may learn from, whole in memory; `split` reads batch by batch."""
        return as_examples(self.split("train"))

    @property
    def validation(self) -> Examples | None:
        """Held out of the training split for choosing settings; None where the stream has none."""
        data = self.load("validation")
        return None if data is None or len(data) == 0 else as_examples(data.with_task(self.number))

    @property
    def test(self) -> Examples:
        """What the model is examined on; training never reads it."""
        return as_examples(self.split("test"))

    @staticmethod
    def of(number: int, *, train: tuple[Tree, Tree], test: tuple[Tree, Tree] | None = None, name: str = "") -> Task:
        """A task from (x, y) pairs that are in memory; its classes are the labels in `y` where these are int64 (N,)."""
        splits: dict[str, Data] = {"train": Examples(*train, number)}
        if test is not None:
            splits["test"] = Examples(*test, number)
        targets = [pair[1] for pair in (train, test) if pair is not None]
        labels = [y for y in targets if isinstance(y, Tensor) and y.ndim == 1 and y.dtype == torch.int64]
        classes = tuple(sorted({int(label) for y in labels for label in y.unique()}))
        return Task(number, name or f"task {number}", classes, splits.get)
