"""Gradient episodic memory: never step in a direction that makes a past task worse."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from torch import Tensor

from lifelong.errors import require
from lifelong.memory import Ring
from lifelong.methods.base import Claim, LearnerView, Method, Phase, Step, StreamSize
from lifelong.methods.compatibility import check_room
from lifelong.methods.inference import number_of
from lifelong.methods.per_sample import task_gradients
from lifelong.methods.projection import project
from lifelong.types import Data

__all__ = ["GEM"]


@dataclass(frozen=True)
class GEM(Method[Ring]):
    """Step along the gradient nearest to the current one that increases the loss of no past task's memory.

    Chinese: 取与当前梯度最接近、又不使任何以往任务的记忆损失上升的梯度。

    Formula: minimise ½ ‖z − g‖² so that ⟨z, g_k⟩ ≥ 0 for all k < t, where g_k is the gradient on the memory of task k.
    The dual in T variables is solved as non-negative least squares: z = g + Gᵀ v, v ≥ γ.

    Arguments:
        capacity: examples stored.
        per: `task`: so many of each task; `total`: so many in all, shared evenly by the tasks so far.
        margin: γ ≥ 0, a bias towards the past; 0 is the exact projection.

    Stores: the last examples of each task, `capacity` (times T for `per="task"`) · (4 · D + 8) bytes.

    Reference: Lopez-Paz & Ranzato 2017, Gradient Episodic Memory for Continual Learning, equations 5-11, algorithm 1.

    Deviations: the memory is filled in the first pass over a task only, so that it holds different examples. With
    `per="total"` the memories of past tasks are thinned when a task begins (the paper knows the number of tasks).

    Example:
        >>> from lifelong import GEM, Learner, stream
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", GEM(capacity=100), digits.space, epochs=3, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.4
        True
    """

    capacity: int = 256
    per: Literal["task", "total"] = "task"
    margin: float = 1.0

    name = "gem"
    family = "gradient"
    reference = "Lopez-Paz & Ranzato 2017"
    state_class = Ring
    needs = ("task boundaries", "labels", "memory")
    claims = Claim.STORES_BATCHES
    phase = Phase.PROJECT
    disabled_settings = MappingProxyType({"capacity": 0})

    def validate(self) -> None:
        require(self.capacity >= 0, f"gem.capacity must be 0 or more, got {self.capacity}")
        require(self.margin >= 0, f"gem.margin must be 0 or more, got {self.margin}")

    def check(self, size: StreamSize) -> None:
        if self.per == "total":
            check_room(self.name, self.capacity, size.tasks, "tasks")

    def declared_bytes(self, size: StreamSize) -> int:
        examples = self.capacity * (size.tasks if self.per == "task" else 1)
        return examples * (size.example_bytes - 8)

    def begin_task(self, state: Ring, learner: LearnerView, task: Data) -> Ring:
        state.begin(number_of(task))
        if self.per == "total" or any(table.size > self.capacity for table in state.tables):
            state.shrink(self._quota(state))
        return state

    def gradient(self, state: Ring, step: Step, grad_P: Tensor) -> Tensor:
        past = state.past(step.task)
        if not past:
            return grad_P
        return project(grad_P, task_gradients(step, past), self.margin)

    def after_step(self, state: Ring, step: Step) -> None:
        if step.epoch == 1:
            state.add(step.batch, self._quota(state))

    def _quota(self, state: Ring) -> int:
        return self.capacity if self.per == "task" else self.capacity // len(state.tasks)
