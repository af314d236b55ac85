"""A column of layers per task, each with lateral connections from all columns before it.

Suffixes: B batch, D features, T tasks.
"""

from __future__ import annotations

import itertools
import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.models.per_task import PerTask, detach, generator_for

__all__ = ["Column", "Columns"]


class Column(nn.Module):
    """The layers of one task and its lateral layers, which read the hidden layers of `past` columns side by side.

        h_1 = relu(W_1 x),  h_i = relu(W_i h_{i−1} + U_i [h_{i−1} of every past column]),  features = h_L + U [h_L …]

    Arguments: `sizes`, of the input and of each hidden layer; `past`, the number of columns before this one. The
    weights are those that memory happens to hold until `draw` is called.
    """

    def __init__(self, sizes: tuple[int, ...], past: int) -> None:
        super().__init__()
        pairs = itertools.pairwise(sizes)
        self.layers = nn.ModuleList(nn.utils.skip_init(nn.Linear, wide, narrow) for wide, narrow in pairs)
        onward = [*sizes[2:], sizes[-1]]
        self.laterals = nn.ModuleList(
            nn.utils.skip_init(nn.Linear, past * wide, narrow, bias=False)
            for wide, narrow in zip(sizes[1:], onward, strict=True)
            if past > 0
        )

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> None:
        """First weights from `generator`, uniform in ±1/√fan-in like those of `torch.nn.Linear`."""
        for layer in [*self.layers, *self.laterals]:
            fan_in = next(layer.parameters()).shape[1]
            bound = 1 / math.sqrt(fan_in)
            for parameter in layer.parameters():
                parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator))

    def forward(self, x_BD: Tensor, past: list[list[Tensor]]) -> list[Tensor]:
        """The hidden layers h_1 … h_L; `past` holds those of the columns before."""
        hidden: list[Tensor] = []
        for place, layer in enumerate(self.layers):
            z = self._linear(layer, hidden[-1] if hidden else x_BD)
            if hidden and past:
                z = z + self._lateral(place - 1, past)
            hidden.append(torch.relu(z))
        return hidden

    def features(self, hidden: list[Tensor], past: list[list[Tensor]]) -> Tensor:
        """What the head reads, made of this column's hidden layers and those of the columns before."""
        return hidden[-1] + self._lateral(-1, past) if past else hidden[-1]

    def _lateral(self, place: int, past: list[list[Tensor]]) -> Tensor:
        return self._linear(self.laterals[place], torch.cat([hidden[place] for hidden in past], 1))

    def _linear(self, layer: nn.Module, x: Tensor) -> Tensor:
        if self.training:
            answer: Tensor = layer(x)
            return answer
        # θ is laid out anew as columns come, and a product may round by where its weights lie: answer from a copy
        return F.linear(x, *(parameter.clone() for parameter in layer.parameters()))


class Columns(PerTask):
    """The columns of all tasks so far; only the newest is trained.

    The first column takes the weights of `layers`. A later one starts from `seed` and its task number alone.
    """

    def __init__(self, layers: list[nn.Linear], seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.sizes = (layers[0].in_features, *(layer.out_features for layer in layers))
        self.tasks: list[int] = []
        first = Column(self.sizes, 0)
        first.layers = nn.ModuleList(layers)
        self.columns = nn.ModuleList([first])

    def grow(self, task: int) -> bool:
        if task in self.tasks:
            return False
        self.tasks.append(task)
        if len(self.tasks) == 1:
            return False
        detach(self.columns[-1])
        self.columns.append(self._fresh(task))
        return True

    def forward(self, x: Tensor) -> Tensor:
        x_BD = x.flatten(1)
        task, columns = self.selected, cast("list[Column]", list(self.columns))
        if isinstance(task, Tensor):
            place_T = torch.zeros(max(self.tasks) + 1, dtype=torch.int64)
            place_T[self.tasks] = torch.arange(len(self.tasks))
            hidden = _hidden(x_BD, columns)
            all_TBD = torch.stack([column.features(hidden[k], hidden[:k]) for k, column in enumerate(columns)])
            return all_TBD[place_T.to(task.device)[task], torch.arange(len(x), device=x.device)]
        if task in self.tasks:
            columns = columns[: self.tasks.index(task) + 1]
        elif self.tasks:
            columns.append(self._fresh(task))
        *past, own = _hidden(x_BD, columns)
        return columns[-1].features(own, past)

    def _fresh(self, task: int) -> Column:
        """The column from which a new task starts."""
        column = Column(self.sizes, len(self.columns))
        column.draw(generator_for("column", self.seed, task))
        column.train(self.training)
        weight = next(self.columns[0].parameters())
        return column.to(weight)


def _hidden(x_BD: Tensor, columns: list[Column]) -> list[list[Tensor]]:
    """The hidden layers of each column."""
    hidden: list[list[Tensor]] = []
    for column in columns:
        hidden.append(column(x_BD, hidden))
    return hidden
