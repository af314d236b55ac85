"""Everything ever learned from, kept whole: what joint training needs and a long life cannot afford."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from lifelong.types import Examples

__all__ = ["Archive"]


@dataclass
class Archive:
    """All training examples of all tasks, in order.

    >>> import torch
    >>> archive = Archive()
    >>> archive.add(Examples(torch.zeros(3, 2), torch.zeros(3).long(), 1))
    >>> len(archive.examples())
    3
    """

    x: list[Tensor] = field(default_factory=list)
    y: list[Tensor] = field(default_factory=list)
    task: list[Tensor] = field(default_factory=list)

    def add(self, examples: Examples) -> None:
        """Keep a task's examples; they are not copied."""
        self.x.append(examples.x)
        self.y.append(examples.y)
        self.task.append(examples.task_numbers())

    def examples(self) -> Examples:
        """All of them as one."""
        parts = zip(self.x, self.y, self.task, strict=True)
        return Examples.cat([Examples(x, y, task) for x, y, task in parts])
