"""Learning without forgetting: the old answers to the new inputs are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.methods.base import Claim, Inner, LearnerView, Method, Step, StreamSize
from lifelong.methods.inference import Snapshot, answers, classes_of, number_of, snapshot
from lifelong.types import Data

__all__ = ["LwF", "LwFState"]


@dataclass
class LwFState:
    """The tasks learned, the network as it was before the newest, and the old outputs, in groups of one softmax."""

    tasks: list[int] = field(default_factory=list)
    teacher: Snapshot | None = None
    groups: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class LwF(Method[LwFState]):
    """Distil into the network, on the new task's inputs, what it answered before the task began.

    Chinese: 在新任务的输入上，让网络保持任务开始之前的回答（蒸馏）。

    Formula: L_t(θ) + λ Σ_g T² · KL(softmax(z*_g / T) ‖ softmax(z_g / T)), the mean over the batch, z* the logits of the
    network as it was before task t. In the scenario task each past task's outputs are a group g of their own; else the
    classes of all past tasks are one group.

    Arguments:
        strength: λ ≥ 0. 0 is fine-tuning, bit for bit. Above about 1 / (lr · T²) gradient descent may swing.
        temperature: T > 0; above 1 it shows the teacher's smaller probabilities.
        per: `softmax`: λ holds for each g, as written; `task`: where g holds n past tasks it is n λ, so that with λ = 1
            each past task weighs as much as the new one, in all scenarios.
        over: `old`: the learner's softmax is over the old outputs, as written; `all`: in the scenario class it is over
            the new outputs too, for which the answer to be kept is 0.

    Stores: the previous network, 4 · P bytes for P float32 parameters; no example.

    Reference: Li & Hoiem 2016, Learning without Forgetting, equations 2-4, algorithm 1 (T = 2 there); `per="task"` and
    `over="all"`: van de Ven, Tuytelaars & Tolias 2022, Three types of incremental learning, as their code has it.

    Deviations: the paper has the cross-entropy with the old answers, which differs from KL by a constant, and no factor
    T²: its λ_o = 1 is strength = 1 / T² here. It first trains the new outputs alone (warm-up); this does not. The old
    answers come from a frozen copy of the network in evaluation mode instead of being recorded, which is the same. The
    paper has tasks with outputs of their own only.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import LwF
        >>> digits = stream("split-digits", scenario="task", tasks=2)
        >>> learner = Learner("mlp:32", LwF(strength=1.0), digits.space, epochs=3, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.5
        True
    """

    strength: float = 0.2
    temperature: float = 1.0
    per: Literal["softmax", "task"] = "softmax"
    over: Literal["old", "all"] = "old"

    name = "lwf"
    family = "distillation"
    reference = "Li & Hoiem 2016"
    state_class = LwFState
    needs = ("task boundaries",)
    claims = Claim.RELIES_ON_WEIGHTS
    one_kind = True
    disabled_settings = MappingProxyType({"strength": 0.0})

    def validate(self) -> None:
        require(self.strength >= 0, f"lwf.strength must be 0 or more, got {self.strength}")
        require(self.temperature > 0, f"lwf.temperature must be above 0, got {self.temperature}")

    def declared_bytes(self, size: StreamSize) -> int:
        return 4 * size.parameters + size.buffers + 8 * size.outputs * size.tasks

    def begin_task(self, state: LwFState, learner: LearnerView, task: Data) -> LwFState:
        number = number_of(task)
        past = [other for other in state.tasks if other != number]
        if not past:
            return LwFState(state.tasks)
        groups = [[other] for other in past] if learner.objective.scenario == "task" else [past]
        classes = [torch.tensor(classes_of(learner.objective, group), dtype=torch.int64) for group in groups]
        device = learner.flat.theta_P.device
        return LwFState(state.tasks, snapshot(learner), [group.to(device) for group in classes])

    def loss(self, state: LwFState, step: Step, inner: Inner) -> Tensor:
        loss = inner(step)
        if state.teacher is None or self.strength == 0:
            return loss
        past = sum(other != step.task for other in state.tasks)
        strength = self.strength * (past / len(state.groups) if self.per == "task" else 1)
        objective, now = step.learner.objective, step.answer.float()
        then = answers(step, state.teacher, step.x, step.batch.task)
        for group in state.groups:
            if len(group) == 0 or now.ndim != 2:  # targets without classes, or one vocabulary for all: the whole answer
                loss = loss + strength * objective.distance(now, then, self.temperature)
                continue
            now_BG, then_BG = now.index_select(1, group), then.index_select(1, group)
            if self.over == "all" and objective.scenario == "class":
                now_BG, then_BG = now, torch.full_like(now, -torch.inf).index_copy_(1, group, then_BG)
            loss = loss + strength * objective.distance(now_BG, then_BG, self.temperature)
        return loss

    def end_task(self, state: LwFState, learner: LearnerView, task: Data) -> LwFState:
        number = number_of(task)
        tasks = state.tasks if number in state.tasks else [*state.tasks, number]
        return LwFState(tasks, state.teacher, state.groups)
