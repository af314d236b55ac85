"""Reservoir sampling: a uniform sample of everything seen, in a fixed number of places."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lifelong.types import Examples

__all__ = ["Reservoir", "latest", "write"]


def _empty() -> Tensor:
    return torch.empty(0)


def _nowhere() -> Tensor:
    return torch.empty(0, dtype=torch.int64)


def write(held: Tensor, place: Tensor, values: Tensor, kept: Tensor) -> None:
    """Row `kept[k]` of `values` into row `place[k]` of `held`; no place twice (a third of the time of indexing)."""
    held.index_copy_(0, place, values.index_select(0, kept))


def latest(rows: np.ndarray, place_B: np.ndarray, capacity: int) -> np.ndarray:
    """Those of `rows` (rising positions in a batch) that no later one follows into the same of `capacity` places.

    >>> latest(np.array([0, 2, 3]), np.array([5, 9, 7, 5]), capacity=10).tolist()
    [2, 3]
    """
    owner_M = np.empty(capacity, np.int64)
    owner_M[place_B[rows]] = rows  # of several for one place the last is written last
    return rows[owner_M[place_B[rows]] == rows]


@dataclass
class Reservoir:
    """`capacity` places; after n examples each of them is held with probability min(1, capacity / n).

    Example number i (from 1) takes a free place while there is one, then place j drawn from 0 … i − 1 if
    j < capacity. A whole batch is drawn at once; where two of its examples draw one place the later wins, as it
    would one by one. `num_seen` is part of the saved state.

    >>> reservoir, generator = Reservoir(capacity=3), torch.Generator().manual_seed(0)
    >>> _ = reservoir.add(Examples(torch.arange(10.0)[:, None], torch.zeros(10).long(), 1), generator)
    >>> len(reservoir), reservoir.num_seen
    (3, 10)

    Reference: Vitter 1985, Random Sampling with a Reservoir, Algorithm R.
    """

    capacity: int
    num_seen: int = 0
    x: Tensor = field(default_factory=_empty)
    y: Tensor = field(default_factory=_empty)
    task: Tensor = field(default_factory=_empty)

    def __len__(self) -> int:
        return min(self.capacity, self.num_seen)

    def add(self, batch: Examples, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Offer a batch to the reservoir, drawing from `generator` (on the CPU).

        Returns the places that were written and the position in the batch of what each holds now.
        """
        size = len(batch)
        if self.capacity == 0 or size == 0:
            return _nowhere(), _nowhere()
        if self.num_seen == 0:
            self._allocate(batch)
        # NumPy, because a dozen operations on a few numbers take PyTorch several times as long
        seen_B = np.arange(self.num_seen, self.num_seen + size)
        draw_B = torch.rand(size, dtype=torch.float64, generator=generator).numpy() * (seen_B + 1)
        place_B = np.where(seen_B < self.capacity, seen_B, draw_B).astype(np.int64)
        self.num_seen += size
        inside = np.flatnonzero(place_B < self.capacity)
        if len(inside) == 0:
            return _nowhere(), _nowhere()
        inside = latest(inside, place_B, self.capacity)
        place = torch.from_numpy(place_B[inside]).to(self.x.device)
        kept = torch.from_numpy(inside).to(self.x.device)
        write(self.x, place, batch.x, kept)
        write(self.y, place, batch.y, kept)
        if isinstance(batch.task, int):
            self.task.index_fill_(0, place, batch.task)
        else:
            write(self.task, place, batch.task, kept)
        return place, kept

    def draw(self, size: int, generator: torch.Generator) -> Tensor:
        """The places of `size` different examples drawn uniformly, or of all where fewer are held."""
        return torch.randperm(len(self), generator=generator)[:size].to(self.x.device)

    def sample(self, size: int, generator: torch.Generator) -> Examples:
        """`size` different examples drawn uniformly, or all of them where fewer are held."""
        return self.at(self.draw(size, generator))

    def at(self, place: Tensor) -> Examples:
        """What is held at these places."""
        return Examples(*(values.index_select(0, place) for values in (self.x, self.y, self.task)))

    def examples(self) -> Examples:
        """All that is held."""
        held = len(self)
        return Examples(self.x[:held], self.y[:held], self.task[:held])

    def _allocate(self, like: Examples) -> None:
        self.x = like.x.new_zeros(self.capacity, *like.x.shape[1:])
        self.y = like.y.new_zeros(self.capacity)
        self.task = like.y.new_zeros(self.capacity)
