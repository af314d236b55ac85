"""Gates on hidden units: for each task every unit has a factor that its output is multiplied by.

A unit whose factor is 0 neither speaks nor learns, so two tasks that share no unit share no weight. Units are the
outputs of a linear layer or the channels of a convolution; each gate of a network has a `place`. Suffixes: B batch,
H hidden units, T tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lifelong.models.per_task import PerTask, generator_for

__all__ = ["AttentionGate", "Gate", "RandomGate"]


class Gate(PerTask):
    """Multiplies the units by the factors of the selected task."""

    def of(self, task: int) -> Tensor:
        """The factors (H,) of one task."""
        raise NotImplementedError

    def rows(self, task_B: Tensor) -> Tensor:
        """The factors (B, H) of announced tasks, one for each input."""
        raise NotImplementedError

    def forward(self, h: Tensor) -> Tensor:
        factors = self.of(self.selected) if isinstance(self.selected, int) else self.rows(self.selected)
        return h * factors.reshape(*factors.shape, *[1] * (h.ndim - 2))


class RandomGate(Gate):
    """A random subset of the units is open; which, is a function of `seed`, `place` and the task number alone.

    >>> gate = RandomGate(10, closed=0.8, seed=1)
    >>> gate.of(3).sum().item(), torch.equal(gate.of(3), RandomGate(10, closed=0.8, seed=1).of(3))
    (2.0, True)
    """

    def __init__(self, units: int, closed: float, seed: int, place: int = 0) -> None:
        super().__init__()
        self.units, self.seed, self.place = units, seed, place
        self.open = max(1, round((1 - closed) * units))
        self._table_TH = torch.empty(0, units)  # rows are task numbers; made when asked for, never saved

    def grow(self, task: int) -> bool:
        self.of(task)
        return False

    def of(self, task: int) -> Tensor:
        if task >= len(self._table_TH):
            missing = [self._drawn(number) for number in range(len(self._table_TH), task + 1)]
            self._table_TH = torch.cat([self._table_TH, torch.stack(missing).to(self._table_TH)])
        return self._table_TH[task]

    def rows(self, task_B: Tensor) -> Tensor:
        return self._table_TH[task_B]

    def forward(self, h: Tensor) -> Tensor:
        self._table_TH = self._table_TH.to(h.device)
        return super().forward(h).to(h.dtype)

    def _drawn(self, task: int) -> Tensor:
        generator = generator_for("random gate", self.seed, self.place, task)
        factors_H = torch.zeros(self.units)
        factors_H[torch.randperm(self.units, generator=generator)[: self.open]] = 1.0
        return factors_H


class AttentionGate(Gate):
    """Learned gates σ(s·e): one embedding e (H,) per task, a row of the parameter `embedding`.

    Gates are hard, 1 where σ(`s_max`·e) > `threshold` and else 0, save those of the task in `annealed`, which are soft
    with the s given there.
    """

    def __init__(self, units: int, s_max: float, threshold: float, seed: int, place: int = 0) -> None:
        super().__init__()
        self.units, self.s_max, self.threshold, self.seed, self.place = units, s_max, threshold, seed, place
        self.embedding = nn.Parameter(torch.empty(0, units))
        self.annealed: tuple[int, float] | None = None
        self._place: dict[int, int] = {}

    def grow(self, task: int) -> bool:
        if task in self._place:
            return False
        self.embedding = nn.Parameter(torch.cat([self.embedding.detach(), self._row(task)[None]]))
        self._place[task] = len(self._place)
        return True

    def soft(self, task: int, s: float) -> Tensor:
        """σ(s·e) of one task, through which its embedding learns."""
        return torch.sigmoid(s * self._row(task))

    def hard(self, tasks: Sequence[int]) -> Tensor:
        """The gates (T, H) of these announced tasks as true and false."""
        return self._is_open(self.embedding.detach()[[self._place[task] for task in tasks]])

    def of(self, task: int) -> Tensor:
        if self.annealed is not None and self.annealed[0] == task:
            return self.soft(task, self.annealed[1])
        return self._is_open(self._row(task).detach()).to(self.embedding)

    def rows(self, task_B: Tensor) -> Tensor:
        place_T = torch.zeros(max(self._place) + 1, dtype=torch.int64)
        place_T[list(self._place)] = torch.arange(len(self._place))
        factors_TH = torch.stack([self.of(task) for task in self._place])
        return factors_TH[place_T.to(task_B.device)[task_B]]

    def _is_open(self, e: Tensor) -> Tensor:
        return torch.sigmoid(self.s_max * e) > self.threshold

    def _row(self, task: int) -> Tensor:
        """e of a task, or that from which it will start."""
        if task in self._place:
            return self.embedding[self._place[task]]
        generator = generator_for("attention gate", self.seed, self.place, task)
        return torch.randn(self.units, generator=generator).to(self.embedding)
