"""Averaged gradient episodic memory: never step in a direction that makes a sample of the past worse."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.memory import Ring, one_kind
from lifelong.methods.base import Claim, LearnerView, Method, Phase, Step, StreamSize
from lifelong.methods.compatibility import check_room
from lifelong.methods.inference import number_of
from lifelong.types import Data, Examples

__all__ = ["AGEM", "without_conflict"]


def without_conflict(grad_P: Tensor, past_P: Tensor) -> Tensor:
    """The vector nearest to g whose product with r is not negative: `g − min(g·r, 0) / (r·r) r`.

    >>> without_conflict(torch.tensor([1.0, -1.0]), torch.tensor([0.0, 2.0])).tolist()
    [1.0, 0.0]
    """
    conflict = (grad_P @ past_P).clamp_max(0.0)
    return grad_P - conflict / (past_P @ past_P).clamp_min(torch.finfo(grad_P.dtype).tiny) * past_P


@dataclass(frozen=True)
class AGEM(Method[Ring]):
    """Step along the gradient nearest to the current one that does not increase the loss of a batch from memory.

    Chinese: 取与当前梯度最接近、又不使一批记忆样本的损失上升的梯度。

    Formula: g̃ = g − (g·r)/(r·r) r where g·r < 0, else g; r is the gradient on a random batch of the stored examples of
    all past tasks, drawn anew for every step.

    Arguments:
        capacity: examples stored in all, shared evenly by the tasks so far.
        replay_batch: stored examples drawn for each step (all of them where fewer are stored).

    Stores: `capacity` · (4 · D + 8) bytes for inputs of D float32 numbers.

    Reference: Chaudhry et al. 2019, Efficient Lifelong Learning with A-GEM, equation 11, algorithms 1 and 2.

    Deviations: the paper knows the number of tasks and gives each its share from the start; here a ring per task is
    thinned when the next task begins, and holds the last examples of the first pass.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import AGEM
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", AGEM(capacity=100), digits.space, epochs=5, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.6
        True
    """

    capacity: int = 500
    replay_batch: int = 256

    name = "agem"
    family = "gradient"
    reference = "Chaudhry et al. 2019"
    state_class = Ring
    needs = ("task boundaries", "labels", "memory")
    claims = Claim.STORES_BATCHES
    phase = Phase.PROJECT
    disabled_settings = MappingProxyType({"capacity": 0})

    def validate(self) -> None:
        require(self.capacity >= 0, f"agem.capacity must be 0 or more, got {self.capacity}")
        require(self.replay_batch >= 1, f"agem.replay_batch must be 1 or more, got {self.replay_batch}")

    def check(self, size: StreamSize) -> None:
        check_room(self.name, self.capacity, size.tasks, "tasks")

    def declared_bytes(self, size: StreamSize) -> int:
        return self.capacity * (size.example_bytes - 8)

    def begin_task(self, state: Ring, learner: LearnerView, task: Data) -> Ring:
        state.begin(number_of(task))
        state.shrink(self._quota(state))
        return state

    def gradient(self, state: Ring, step: Step, grad_P: Tensor) -> Tensor:
        past = state.past(step.task)
        if not past:
            return grad_P
        batches = _drawn(past, self.replay_batch, step.generator)
        total = sum(len(batch) for batch in batches)  # one batch, unless the tasks differ in kind
        parts = [step.gradient_on(batch) * (len(batch) / total) for batch in batches]
        return without_conflict(grad_P, parts[0] if len(parts) == 1 else torch.stack(parts).sum(0))

    def after_step(self, state: Ring, step: Step) -> None:
        if step.epoch == 1:
            state.add(step.batch, self._quota(state))

    def _quota(self, state: Ring) -> int:
        return self.capacity // len(state.tasks)


def _drawn(past: list[Examples], size: int, generator: torch.Generator) -> list[Examples]:
    """`size` of the examples of all tasks, none twice, kind by kind, gathered so that none is copied in vain."""
    lengths = [len(memory) for memory in past]
    chosen_B = torch.randperm(sum(lengths), generator=generator)[:size].sort().values
    ends = torch.tensor(lengths).cumsum(0)
    counts = torch.searchsorted(chosen_B, ends).diff(prepend=torch.zeros(1, dtype=torch.int64)).tolist()
    starts = (ends - torch.tensor(lengths)).tolist()
    pieces = zip(past, starts, chosen_B.split(counts), strict=True)
    parts = [memory.at((index - start).to(memory.device)) for memory, start, index in pieces if len(index) > 0]
    return one_kind(parts)
