"""Parts of a backbone that have something of their own for every task: gates, attention, columns."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["PerTask", "generator_for"]


class PerTask(nn.Module):
    """A module that the network tells of every task: when one is announced, and of which task the next inputs are.

    While a task is learned the learner has it selected; whoever asks about another selects that for as long. It must
    answer for a task that was never announced too, as it would if it had just been: an exam may ask for one.
    """

    #: the task of the inputs that come next: one number, or one for each of them
    selected: int | Tensor = 0

    def grow(self, task: int) -> bool:
        """Make room for task number `task`; whether parameters came, went, or changed their shape."""
        return False

    def select(self, task: int | Tensor) -> None:
        """The inputs that come next are of `task`: one number, or one for each of them."""
        self.selected = task


def generator_for(use: str, seed: int, *numbers: int) -> torch.Generator:
    """Random numbers of one use, seed, and place or task; no other use shares them, nor does the head.

    >>> one, two = generator_for("gate", 0, 1), generator_for("column", 0, 1)
    >>> torch.equal(torch.rand(3, generator=one), torch.rand(3, generator=two))
    False
    """
    words = np.random.SeedSequence([int.from_bytes(use.encode()), seed, *numbers]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(words[0]))
