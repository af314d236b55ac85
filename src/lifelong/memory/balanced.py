"""A memory that keeps classes and tasks in balance, whatever comes: the greedy sampler."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lifelong.types import Examples

__all__ = ["Balanced"]


def _empty() -> Tensor:
    return torch.empty(0)


@dataclass
class Balanced:
    """`capacity` places shared evenly by the groups so far: a group is a class of a task, without `by_task` a class.

    An example is taken if its group is new or holds less than capacity / (groups so far); where the memory is full,
    a random example of the largest group (of several, a random one) makes room.

    >>> memory, generator = Balanced(capacity=4), torch.Generator().manual_seed(0)
    >>> memory.add(Examples(torch.zeros(9, 1), torch.tensor([0] * 6 + [1, 1, 1]), 1), generator)
    >>> memory.examples().y.sort().values.tolist()
    [0, 0, 1, 1]

    Reference: Prabhu et al. 2020, GDumb, algorithm 1.
    """

    capacity: int
    groups: list[tuple[int, int]] = field(default_factory=list)
    x: Tensor = field(default_factory=_empty)
    y: Tensor = field(default_factory=_empty)
    task: Tensor = field(default_factory=_empty)
    by_task: bool = True

    def __len__(self) -> int:
        return len(self.y)

    def add(self, examples: Examples, generator: torch.Generator) -> None:
        """Offer `examples` one after the other in a random order drawn from `generator` (on the CPU)."""
        order_N = torch.randperm(len(examples), generator=generator).to(examples.y.device)
        new = examples.at(order_N)
        union = Examples.cat([self.examples(), new]) if len(self) > 0 else new
        tasks = union.task_numbers().tolist() if self.by_task else [0] * len(union)
        rows = self._chosen(list(zip(tasks, union.y.tolist(), strict=True)), generator)
        kept = union.at(torch.tensor(rows, dtype=torch.int64, device=union.y.device))
        self.x, self.y, self.task = kept.x, kept.y, kept.task_numbers()

    def examples(self) -> Examples:
        """All that is held."""
        return Examples(self.x, self.y, self.task)

    def _chosen(self, groups: list[tuple[int, int]], generator: torch.Generator) -> list[int]:
        """Rows to keep, given the groups of what is held and then of the newcomers in order."""
        held: dict[tuple[int, int], list[int]] = {group: [] for group in self.groups}
        for row, group in enumerate(groups[: len(self)]):
            held[group].append(row)
        filled = len(self)
        luck = torch.rand(len(groups) - filled, 2, dtype=torch.float64, generator=generator).tolist()
        newcomers = enumerate(groups[filled:], start=filled)
        for (row, group), (which, who) in zip(newcomers, luck, strict=True):
            if group in held and len(held[group]) * len(held) >= self.capacity:
                continue
            if filled < self.capacity:
                filled += 1
            else:
                most = max(len(rows) for rows in held.values())
                largest = [rows for rows in held.values() if len(rows) == most]
                rows = largest[int(which * len(largest))]
                rows[int(who * most)] = rows[-1]
                rows.pop()
            held.setdefault(group, []).append(row)
        self.groups = list(held)
        return sorted(row for rows in held.values() for row in rows)
