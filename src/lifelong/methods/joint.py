"""Multi-task learning on everything so far: the upper bound."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.data import ByKind
from lifelong.memory import Archive
from lifelong.methods.base import Claim, LearnerView, Method, StreamSize
from lifelong.types import Data, as_examples

__all__ = ["Joint"]


@dataclass(frozen=True)
class Joint(Method[Archive]):
    """Keep all data of all tasks and learn them together: the upper bound.

    Chinese: 保留所有任务的全部数据，一起学习：上界。

    Formula: at task t, θ = argmin Σ_{k ≤ t} Σ_{(x, y) in task k} −log p(y | x, θ).

    Arguments:
        restart: True: every task begins at the random initialisation, so that row t of R is multi-task learning on
            tasks 1 … t and owes nothing to their order. False: it goes on from the weights of task t − 1.

    Stores: every training example ever seen: N · (4 · D + 16) bytes for N examples of D float32 numbers.

    Reference: Caruana 1997, Multitask Learning.

    Deviations: none. The number of epochs holds for the union; a number of iterations is multiplied by
    (examples of the union) / (examples of the task), which is the same budget. Where tasks differ in their inputs or
    targets, every batch is of one kind, and each pass has the batches of all kinds in a random order.

    Example:
        >>> from lifelong import Joint, Learner, stream
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", Joint(), digits.space, epochs=5, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.5
        True
    """

    restart: bool = True

    name = "joint"
    family = "bounds"
    reference = "Caruana 1997"
    state_class = Archive
    needs = ("labels", "all past data")
    claims = Claim.RESETS_WEIGHTS

    def claimed(self) -> Claim:
        claims = super().claimed()
        return claims if self.restart else claims & ~Claim.RESETS_WEIGHTS

    def declared_bytes(self, size: StreamSize) -> int:
        return size.total_examples * size.example_bytes

    def begin_task(self, state: Archive, learner: LearnerView, task: Data) -> Archive:
        state.add(as_examples(task))
        if self.restart:
            learner.restart()
        return state

    def examples(self, state: Archive, task: Data) -> Data:
        parts = state.parts()
        return parts[0] if len(parts) == 1 else ByKind(parts)
