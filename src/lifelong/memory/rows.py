"""Stored examples as a table: a place for each example, a column for each of its tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lifelong.types import Examples, Tree

__all__ = ["Rows", "columns_of", "kind_of", "one_kind"]

#: the names, shapes and types of an example's tensors; only examples of one kind fit into one tensor
Kind = tuple[tuple[str, torch.Size, torch.dtype], ...]


def kind_of(examples: Examples) -> Kind:
    """What `examples` must share with others to be in one batch with them.

    Example:
        >>> x, y = torch.zeros(2, 3), torch.zeros(2).long()
        >>> kind_of(Examples(x, y, 1)) == kind_of(Examples(x[:1], y[:1], 2))
        True
        >>> kind_of(Examples(x, y, 1)) == kind_of(Examples({"a": x}, y, 1))
        False
    """
    x, y = examples.x, examples.y
    if isinstance(x, Tensor) and isinstance(y, Tensor):  # the usual kind, asked in every step
        return ("x", x.shape[1:], x.dtype), ("y", y.shape[1:], y.dtype)
    leaves = sorted((item for item in columns_of(examples).items() if item[0] != "task"), key=lambda item: item[0])
    return tuple((name, leaf.shape[1:], leaf.dtype) for name, leaf in leaves)


def one_kind(parts: Sequence[Examples]) -> list[Examples]:
    """`parts` joined as far as they are of one kind, in the order in which the kinds come first."""
    kinds: dict[Kind, list[Examples]] = {}
    for part in parts:
        kinds.setdefault(kind_of(part), []).append(part)
    return [Examples.cat(some) if len(some) > 1 else some[0] for some in kinds.values()]


@dataclass
class Rows:
    """Examples of one kind in `capacity` places, of which the first `size` are in use.

    Args:
        capacity: How many places there are.
        columns: By name a tensor (capacity, …): `x`, `y` (of an input with several fields `x.image`, …), `task`, and
            what a method stores with an example; made when the first example comes.
        size: How many places are in use.
        num_seen: How many examples were offered.

    Example:
        >>> rows = Rows(3)
        >>> two = Examples(torch.eye(2), torch.tensor([4, 5]), 7)
        >>> rows.write(torch.tensor([0]), torch.tensor([1]), columns_of(two))
        >>> rows.size = 1
        >>> rows.at(slice(1)).y.tolist(), rows.at(slice(1)).task.tolist()
        ([5], [7])
    """

    capacity: int
    columns: dict[str, Tensor] = field(default_factory=dict)
    size: int = 0
    num_seen: int = 0

    def __len__(self) -> int:
        return self.size

    def holds(self, examples: Examples) -> bool:
        """Whether `examples` are of the kind that is stored here."""
        x, y = self.columns.get("x"), self.columns.get("y")
        if x is not None and y is not None and isinstance(examples.x, Tensor) and isinstance(examples.y, Tensor):
            pairs = ((x, examples.x), (y, examples.y))  # the usual kind, asked in every step
            return all(one.dtype == two.dtype and one.shape[1:] == two.shape[1:] for one, two in pairs)
        return not self.columns or kind_of(self.at(slice(0))) == kind_of(examples)

    @staticmethod
    def of(examples: Examples) -> Rows:
        """A table that is full of `examples`; they are not copied."""
        return Rows(len(examples), columns_of(examples), len(examples), len(examples))

    @staticmethod
    def of_inputs(x: Tree) -> Rows:
        """A table of inputs alone, without targets and tasks; they are not copied."""
        columns = _named("x", x)
        count = len(next(iter(columns.values())))
        return Rows(count, columns, count, count)

    def write(self, place: Tensor, chosen: Tensor, values: Mapping[str, Tensor]) -> None:
        """Store row `chosen[k]` of each of the `values` (B, …) in `place[k]` of its column; no place twice."""
        device = next(iter(values.values())).device
        place, chosen = place.to(device), chosen.to(device)
        for name, each in values.items():
            if name not in self.columns:
                self.columns[name] = each.new_zeros(self.capacity, *each.shape[1:])
            # a third of the time of indexing
            self.columns[name].index_copy_(0, place, each.index_select(0, chosen))

    def at(self, place: Tensor | slice) -> Examples:
        """The examples in these places; of task 0 where no task is stored with them."""
        if not self.columns:
            return Examples(torch.empty(0), torch.empty(0, dtype=torch.int64), 0)
        task = _pick(self.columns["task"], place) if "task" in self.columns else 0
        x, y = (self.tree(root, place) for root in ("x", "y"))
        return Examples(x, y, task)

    def examples(self) -> Examples:
        """All examples."""
        return self.at(slice(self.size))

    def column(self, name: str, place: Tensor | slice) -> Tensor:
        """What is stored in a column at these places."""
        return _pick(self.columns[name], place)

    def select(self, place: Tensor, capacity: int) -> None:
        """Keep the examples in `place`, in that order, in a table of `capacity` places."""
        count = len(place)
        for name, column in self.columns.items():
            resized = column.new_zeros(capacity, *column.shape[1:])
            resized[:count] = column.index_select(0, place.to(column.device))
            self.columns[name] = resized
        self.capacity, self.size = capacity, count

    def tree(self, root: str, place: Tensor | slice = slice(None)) -> Tree:
        """The column `root`, or the columns of its fields by their names, at these places."""
        if root in self.columns:
            return _pick(self.columns[root], place)
        start = f"{root}."
        return {
            name.removeprefix(start): _pick(column, place)
            for name, column in self.columns.items()
            if name.startswith(start)
        }


def columns_of(examples: Examples) -> dict[str, Tensor]:
    """The tensors of examples by the name of their column.

    Example:
        >>> list(columns_of(Examples({"image": torch.zeros(2, 3), "text": torch.zeros(2)}, torch.zeros(2).long(), 1)))
        ['x.image', 'x.text', 'y', 'task']
    """
    return {**_named("x", examples.x), **_named("y", examples.y), "task": examples.task_numbers()}


def _named(root: str, tree: Tree) -> dict[str, Tensor]:
    return {root: tree} if isinstance(tree, Tensor) else {f"{root}.{name}": leaf for name, leaf in tree.items()}


def _pick(values: Tensor, place: Tensor | slice) -> Tensor:
    return values[place] if isinstance(place, slice) else values.index_select(0, place)
