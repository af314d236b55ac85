"""GDumb: greedily keep a balanced memory, and learn it from scratch whenever asked."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.data import ByKind
from lifelong.errors import require
from lifelong.memory import Balanced
from lifelong.methods.base import Claim, LearnerView, Method, StreamSize
from lifelong.methods.compatibility import check_room
from lifelong.types import Data

__all__ = ["GDumb"]


@dataclass(frozen=True)
class GDumb(Method[Balanced]):
    """Learn from scratch, after every task, nothing but a memory balanced over the classes of all tasks.

    Chinese: 每个任务之后，只用一个各类别均衡的记忆从头训练。

    Formula: θ_t = argmin from θ⁰ of Σ_{(x, y) in M_t} −log p(y | x, θ); in M_t each class of each task has one share
    (each class, where the stream has no boundaries between tasks).

    Arguments:
        capacity: examples stored, and all that is ever learned from; as many as there are shares, or more.

    Stores: capacity · (4 · D + 16) bytes for inputs of D float32 numbers.

    Reference: Prabhu et al. 2020, GDumb: A Simple Approach that Questions Our Progress in Continual Learning,
    algorithms 1 and 2.

    Deviations: the shares are those of a class in a task, so that a class that comes back in a new task, as in the
    scenario domain, is learned there too; where no class does, and on a stream without boundaries, this is the paper's
    sampler, which takes no more of a class once it has its share, however its inputs shift. The training is the
    learner's, without the paper's cosine schedule and cutmix. The number of epochs holds for the memory; a number of
    iterations is multiplied by (examples of the memory) / (examples of the task). Where inputs differ, each kind has an
    even share of the memory, and every batch is of one kind. It questions the others honestly only
    if its budget lets it converge.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import GDumb
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", GDumb(capacity=400), digits.space, epochs=20, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.4
        True
    """

    capacity: int = 500

    name = "gdumb"
    objectives = ("classes",)
    family = "replay"
    reference = "Prabhu et al. 2020"
    state_class = Balanced
    needs = ("labels", "memory")
    claims = Claim.RESETS_WEIGHTS

    def validate(self) -> None:
        require(self.capacity >= 1, f"gdumb.capacity must be 1 or more, got {self.capacity}")

    def check(self, size: StreamSize) -> None:
        check_room(self.name, self.capacity, size.class_task_pairs, "shares (a class in a task)")

    def declared_bytes(self, size: StreamSize) -> int:
        return self.capacity * (size.example_bytes)

    def init(self, learner: LearnerView) -> Balanced:
        return Balanced(self.capacity, by_task=learner.space.boundaries)

    def begin_task(self, state: Balanced, learner: LearnerView, task: Data) -> Balanced:
        state.resize(self.capacity, learner.generator)
        state.add(task, learner.generator)
        learner.restart()
        return state

    def examples(self, state: Balanced, task: Data) -> Data:
        parts = state.parts()
        return parts[0] if len(parts) == 1 else ByKind(parts)
