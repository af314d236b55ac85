"""A memory whose examples carry a score; the higher it is, the sooner a newcomer takes the place."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lifelong.memory.reservoir import latest, write
from lifelong.types import Examples

__all__ = ["PriorityBuffer"]


def _empty() -> Tensor:
    return torch.empty(0)


@dataclass
class PriorityBuffer:
    """`capacity` places with scores C_i in 0 … 2: how like the others an example was when it came (1: not at all).

    While there is room everything is kept. After that a newcomer of score c < 1 challenges the place i that is drawn
    with probability C_i / Σ C, and takes it with probability C_i / (C_i + c).

    >>> memory, generator = PriorityBuffer(capacity=2), torch.Generator().manual_seed(0)
    >>> two = Examples(torch.tensor([1.0, 2.0]), torch.zeros(2).long(), 1)
    >>> memory.offer(two, torch.tensor([0.0, 2.0]), generator)
    >>> memory.offer(Examples(torch.tensor([3.0]), torch.zeros(1).long(), 1), torch.zeros(1), generator)
    >>> memory.examples().x.tolist()
    [1.0, 3.0]

    Reference: Aljundi et al. 2019, Gradient based sample selection for online continual learning, algorithm 2.
    """

    capacity: int
    held: int = 0
    x: Tensor = field(default_factory=_empty)
    y: Tensor = field(default_factory=_empty)
    task: Tensor = field(default_factory=_empty)
    score: Tensor = field(default_factory=_empty)

    def __len__(self) -> int:
        return self.held

    def offer(self, batch: Examples, score_B: Tensor, generator: torch.Generator, gate_B: Tensor | None = None) -> None:
        """Offer a batch whose examples have the scores `score_B`; all of it is decided by the scores held before.

        `gate_B`, where given, are the scores that must be below 1 for an example to challenge, instead of its own.
        """
        if self.capacity == 0 or len(batch) == 0:
            return
        if self.held == 0:
            self._allocate(batch)
        free = min(self.capacity - self.held, len(batch))
        self._write(torch.arange(self.held, self.held + free), torch.arange(free), batch, score_B)
        self.held += free
        rest_B = score_B[free:].double().cpu().numpy()
        challenges_B = rest_B < 1 if gate_B is None else (gate_B[free:] < 1).cpu().numpy()
        if len(rest_B) == 0:
            return
        # NumPy, because a dozen operations on a few numbers take PyTorch several times as long
        score_M = np.maximum(self.score.double().cpu().numpy(), 1e-12)
        sum_M = score_M.cumsum()
        draw_2B = torch.rand(2, len(rest_B), dtype=torch.float64, generator=generator).numpy()
        place_B = np.searchsorted(sum_M, draw_2B[0] * sum_M[-1], side="right").clip(max=self.capacity - 1)
        odds_B = score_M[place_B]
        wins_B = challenges_B & (draw_2B[1] * (odds_B + rest_B) < odds_B)
        kept = latest(np.flatnonzero(wins_B), place_B, self.capacity)
        self._write(torch.from_numpy(place_B[kept]), torch.from_numpy(kept + free), batch, score_B)

    def sample(self, size: int, generator: torch.Generator) -> Examples:
        """`size` different examples drawn uniformly, or all of them where fewer are held."""
        index = torch.randperm(self.held, generator=generator)[:size].to(self.x.device)
        return Examples(*(values.index_select(0, index) for values in (self.x, self.y, self.task)))

    def examples(self) -> Examples:
        """All that is held."""
        return Examples(self.x[: self.held], self.y[: self.held], self.task[: self.held])

    def _write(self, place: Tensor, kept: Tensor, batch: Examples, score_B: Tensor) -> None:
        if len(place) == 0:
            return
        place, kept = place.to(self.x.device), kept.to(self.x.device)
        write(self.x, place, batch.x, kept)
        write(self.y, place, batch.y, kept)
        write(self.task, place, batch.task_numbers(), kept)
        write(self.score, place, score_B.to(self.score), kept)

    def _allocate(self, like: Examples) -> None:
        self.x = like.x.new_zeros(self.capacity, *like.x.shape[1:])
        self.y = like.y.new_zeros(self.capacity)
        self.task = like.y.new_zeros(self.capacity)
        self.score = torch.zeros(self.capacity, device=like.y.device)
