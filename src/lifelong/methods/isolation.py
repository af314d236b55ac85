"""What the methods share that give every task weights of its own: a finished task's answers never change by a bit.

Two things beside frozen weights are needed for that. The rows of the head that belong to a task are frozen with it.
And an answer is computed from these rows alone: a product with more rows, as the head grows, may round otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from lifelong.errors import require
from lifelong.methods.base import Claim, LearnerView, Method, Phase, Step, StreamSize
from lifelong.methods.freeze import Frozen, hold, still
from lifelong.methods.inference import number_of
from lifelong.models import Head, Network
from lifelong.types import Data, Tree

__all__ = ["Isolation", "IsolationState", "features_with", "network_of", "own_logits", "shared"]


@dataclass
class IsolationState:
    """The tasks begun, in order; the weights that are held; how many parameters, the first of θ, the tasks share."""

    tasks: list[int]
    frozen: Frozen
    shared: int


StateT = TypeVar("StateT", bound=IsolationState)


@dataclass(frozen=True)
class Isolation(Method[StateT]):
    """Holds what past tasks own, and answers for a task with what it owns."""

    family = "isolation"
    needs = ("task boundaries", "task number at test")
    claims = Claim.RELIES_ON_WEIGHTS
    phase = Phase.FREEZE
    scenarios = ("task",)
    objectives = ("classes", "numbers", "labels")

    def declared_bytes(self, size: StreamSize) -> int:
        return 8 * size.parameters

    def capacity_used(self, state: StateT) -> float:
        """The fraction of the weights and biases that the tasks share which is frozen for past tasks."""
        return float(state.frozen.mask_P[: state.shared].mean()) if state.shared else 0.0

    def begin_task(self, state: StateT, learner: LearnerView, task: Data) -> StateT:
        number = number_of(task)
        require(
            number not in state.tasks,
            f"{self.name} has learned task {number} and keeps its answers as they are; give new data a new task number",
        )
        state.tasks.append(number)
        return state

    def gradient(self, state: StateT, step: Step, grad_P: Tensor) -> Tensor:
        return still(state.frozen, grad_P, self._first(step.learner))

    def correct(self, state: StateT, step: Step) -> None:
        hold(state.frozen, step.theta_P, self._first(step.learner))

    def end_task(self, state: StateT, learner: LearnerView, task: Data) -> StateT:
        hold(state.frozen, learner.flat.theta_P.detach())  # a method after this one in a chain may have moved them
        return state

    def _first(self, learner: LearnerView) -> int:
        """The first place in θ that may be held."""
        return 0

    def forward(self, state: StateT, learner: LearnerView, x: Tree, task: int | Tensor) -> Tensor:
        with network_of(learner.model, self.name).selecting(task):
            logits_BC: Tensor = learner.model(x)
            return logits_BC

    def predict(self, state: StateT, learner: LearnerView, x: Tree, task: int) -> Tensor:
        return own_logits(learner, network_of(learner.model, self.name).backbone(x), task)


def network_of(model: nn.Module, method: str) -> Network:
    """`model` as one whose backbone and head are known; `SettingError` for any other."""
    require(
        isinstance(model, Network),
        f"{method} needs a network with a backbone and a head, got {type(model).__name__}; name one (mlp:400,400), "
        "or give models.with_head(backbone, features, space)",
    )
    assert isinstance(model, Network)
    return model


def own_logits(learner: LearnerView, h_BD: Tensor, task: int) -> Tensor:
    """Logits (B, C) from the rows of the head that belong to `task` alone; −∞ elsewhere."""
    head = learner.model.get_submodule("head")
    assert isinstance(head, Head)
    if task not in learner.objective.classes:
        return learner.objective.masked(head(h_BD), task)  # which says that it is unknown
    index_C = torch.tensor(learner.objective.classes[task], device=h_BD.device)
    own_BC = F.linear(h_BD, head.weight[index_C], head.bias[index_C])
    logits_BC = own_BC.new_full((h_BD.shape[0], head.classes), float("-inf"))
    logits_BC[:, index_C] = own_BC
    return logits_BC


def features_with(learner: LearnerView, theta_P: Tensor, x: Tree) -> Tensor:
    """What the backbone makes of `x` with the weights in `theta_P`."""
    start = "backbone."
    values = {name.removeprefix(start): v for name, v in learner.flat.named(theta_P).items() if name.startswith(start)}
    features_BD: Tensor = functional_call(learner.model.get_submodule("backbone"), values, (x,))
    return features_BD


def shared(learner: LearnerView, prefix: str = "backbone.") -> int:
    """How many parameters, the first of θ, have a name that begins with `prefix`."""
    slices = learner.flat.slices
    return max((place.stop for name, place in slices.items() if name.startswith(prefix)), default=0)
