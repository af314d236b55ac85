"""The output layer of a model: all classes from the start, growing, or one per task.

The first weights of a class depend on the seed and the class alone, not on when its row is added. So `all`,
`growing` and `per-task` heads give the same numbers wherever the loss sees the same outputs, and an exam on a task
that is still to come can be answered with the rows that the task will start from.
"""

from __future__ import annotations

import math
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Head", "Headed", "headed"]


class Head(nn.Module):
    """A linear layer whose rows are classes: `logits_BC = h_BD · weightᵀ + bias`.

    Arguments: `features` D, inputs of the layer; `classes` C, rows to begin with; `seed` of the initial rows, uniform
    in ±1/√D like `torch.nn.Linear`; `grows`, whether a learner adds rows as tasks announce their classes.

    >>> head = Head(4, classes=2, seed=0)
    >>> late = Head(4, classes=0, seed=0, grows=True)
    >>> late.grow(2)
    True
    >>> torch.equal(head.weight, late.weight), late(torch.zeros(3, 4)).shape
    (True, torch.Size([3, 2]))
    """

    def __init__(self, features: int, classes: int, seed: int = 0, grows: bool = False) -> None:
        super().__init__()
        self.features = features
        self.seed = seed
        self.grows = grows
        self.weight = nn.Parameter(torch.empty(0, features))
        self.bias = nn.Parameter(torch.empty(0))
        self.grow(classes)

    @property
    def classes(self) -> int:
        """Rows so far."""
        return len(self.bias)

    def forward(self, h_BD: Tensor) -> Tensor:
        return F.linear(h_BD, self.weight, self.bias)

    def initial_rows(self, first: int, stop: int) -> tuple[Tensor, Tensor]:
        """The weight and bias with which classes `first` … `stop` − 1 start."""
        bound = 1 / math.sqrt(self.features)
        rows = torch.empty(stop - first, self.features + 1)
        for row, label in zip(rows, range(first, stop), strict=True):
            row.uniform_(-bound, bound, generator=torch.Generator().manual_seed(self.seed * 1_000_003 + label))
        rows = rows.to(self.weight)
        return rows[:, :-1].contiguous(), rows[:, -1].contiguous()

    def grow(self, classes: int) -> bool:
        """Append rows until there are `classes`; True where the parameters are new objects (a `Flat` is made again)."""
        if classes <= self.classes:
            return False
        weight, bias = self.initial_rows(self.classes, classes)
        self.weight = nn.Parameter(torch.cat([self.weight.detach(), weight]))
        self.bias = nn.Parameter(torch.cat([self.bias.detach(), bias]))
        return True


class Headed(Protocol):
    """A module that answers `head(backbone(x))`: what methods need that ask for features or add outputs.

    `models.with_head(backbone, …)` makes one, `head="classifier"` cuts the last layer of a module out for it, and a
    module of your own is one where it has both parts under these names.
    """

    backbone: nn.Module
    head: Head


def headed(model: nn.Module) -> Headed | None:
    """`model` where it has a backbone and a `Head`, else None.

    >>> headed(nn.Linear(2, 1)) is None
    True
    """
    has_both = isinstance(getattr(model, "head", None), Head) and isinstance(
        getattr(model, "backbone", None), nn.Module
    )
    return cast(Headed, model) if has_both else None
