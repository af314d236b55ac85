"""What the methods share that store examples and learn them again."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from types import MappingProxyType
from typing import ClassVar, TypeVar

from torch import Tensor, nn

from lifelong.errors import require
from lifelong.memory import Memory, kind_of
from lifelong.methods.base import Claim, Inner, LearnerView, Method, Step, StreamSize
from lifelong.models import per_task_parts
from lifelong.types import Data, Examples, tree_map

__all__ = ["Rehearsal", "in_one_pass", "joined_loss"]

StateT = TypeVar("StateT", bound=Memory)

BATCH_NORM = nn.modules.batchnorm._NormBase


def joined_loss(step: Step, replayed: Examples, inner: Inner) -> Tensor:
    """The mean loss of the batch and of what is replayed; in one pass where both are of one kind."""
    batch = step.batch
    if kind_of(batch) == kind_of(replayed):
        return inner(step.on(Examples.cat([batch, replayed])))
    total = len(batch) + len(replayed)
    return inner(step) * (len(batch) / total) + inner(step.on(replayed)) * (len(replayed) / total)


def in_one_pass(step: Step, *replayed: Examples) -> list[Step]:
    """The steps on the batch and on each of `replayed`, their answers from one forward pass of all.

    They are asked apart where the answers would be others: where a normalisation is by the batch (as in the authors'
    codes of DER and ER-ACE, which forward apart), the examples are of several kinds, or the network of each task.
    """
    steps, parts = [step, *(step.on(examples) for examples in replayed)], [step.batch, *replayed]
    model, notes = step.learner.model, step.learner.flat.notes
    if "normalised by batch" not in notes:
        notes["normalised by batch"] = [part for part in model.modules() if isinstance(part, BATCH_NORM)]
        notes["per task"] = len(per_task_parts(model)) > 0
    apart = (
        step._answer is not None  # asked already
        or step.mixes
        or any(part.training for part in notes["normalised by batch"])
        or notes["per task"]
        or len({kind_of(part) for part in parts}) > 1
    )
    if not apart:
        joined, ends = step.on(Examples.cat(parts)), list(itertools.accumulate(len(part) for part in parts))
        for each, part, end in zip(steps, parts, ends, strict=True):
            rows = slice(end - len(part), end)
            each._answer = joined.answer[rows]
            if step.augment is not None:  # who asks a teacher shows it the same inputs
                each._x = tree_map(itemgetter(rows), joined.x)
    return steps


@dataclass(frozen=True)
class Rehearsal(Method[StateT]):
    """Stores `capacity` examples; where the setting was changed since, the memory is resized as a task begins."""

    capacity: int = 500
    replay_batch: int = 32

    family = "replay"
    needs = ("labels", "memory")
    claims = Claim.STORES_BATCHES
    disabled_settings: ClassVar[Mapping[str, object] | None] = MappingProxyType({"capacity": 0})
    #: the smallest capacity
    least: ClassVar[int] = 0

    def validate(self) -> None:
        require(self.capacity >= self.least, f"{self.name}.capacity must be {self.least} or more, got {self.capacity}")
        require(self.replay_batch >= 1, f"{self.name}.replay_batch must be 1 or more, got {self.replay_batch}")

    def declared_bytes(self, size: StreamSize) -> int:
        return self.capacity * size.example_bytes

    def init(self, learner: LearnerView) -> StateT:
        return self.state_type(self.capacity)

    def begin_task(self, state: StateT, learner: LearnerView, task: Data) -> StateT:
        state.resize(self.capacity, learner.generator)
        return state

    def loss(self, state: StateT, step: Step, inner: Inner) -> Tensor:
        if len(state) == 0:
            return inner(step)
        return joined_loss(step, state.sample(self.replay_batch, step.generator), inner)
