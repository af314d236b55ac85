"""What the methods share that give every task weights of its own: a finished task's answers never change by a bit.

Two things beside frozen weights are needed for that. The rows of the head that belong to a task are frozen with it.
And an answer is computed from these rows alone: a product with more rows, as the head grows, may round otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from lifelong.errors import require
from lifelong.methods.base import Claim, LearnerView, Method, Phase, Step, StreamSize
from lifelong.methods.inference import number_of
from lifelong.models import Head, Headed, headed, selecting
from lifelong.types import Data, Tree

__all__ = ["Isolation", "IsolationState", "features_with", "network_of", "shared", "task_logits"]


@dataclass
class Frozen:
    """1 for weights that are frozen and 0 for others, and the values at which they are: 8 bytes for each of P weights.

    A zero gradient alone does not keep a weight: momentum, Adam's moments and weight decay move it too. So it is put
    back after every step. The marks are numbers as θ is: a product with them costs a tenth of a choice by true and
    false.

    Example:
        >>> frozen, theta_P = Frozen.empty(torch.zeros(3)), torch.tensor([0.0, 1.0, 2.0])
        >>> frozen.freeze(torch.tensor([True, False, False]), torch.tensor([5.0, 6.0, 7.0]))
        >>> frozen.restore(theta_P)
        >>> theta_P.tolist(), frozen.mask_gradient(torch.ones(3)).tolist()
        ([5.0, 1.0, 2.0], [0.0, 1.0, 1.0])
    """

    mask_P: Tensor
    anchor_P: Tensor

    @staticmethod
    def empty(theta_P: Tensor) -> Frozen:
        """No weight of θ is frozen yet."""
        return Frozen(torch.zeros_like(theta_P), torch.zeros_like(theta_P))

    def freeze(self, more_P: Tensor, theta_P: Tensor) -> None:
        """Freeze the weights in `more_P` too, at θ."""
        new_P = more_P & (self.mask_P == 0)
        self.anchor_P = torch.where(new_P, theta_P, self.anchor_P)
        self.mask_P = self.mask_P.masked_fill(new_P, 1.0)

    def mask_gradient(self, grad_P: Tensor, first: int = 0) -> Tensor:
        """g with zeros for frozen weights, in place: they take no share of a clipped norm; none is before `first`."""
        rest_P = grad_P[first:]
        rest_P.addcmul_(rest_P, self.mask_P[first:], value=-1)
        return grad_P

    def restore(self, theta_P: Tensor, first: int = 0) -> None:
        """Put frozen weights back, in place; none is before `first`."""
        theta_P[first:].lerp_(self.anchor_P[first:], self.mask_P[first:])  # exact where the mark is 0 or 1


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
    one_kind = True
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
        return state.frozen.mask_gradient(grad_P, self._first(step.learner))

    def correct(self, state: StateT, step: Step) -> None:
        state.frozen.restore(step.theta_P, self._first(step.learner))

    def end_task(self, state: StateT, learner: LearnerView, task: Data) -> StateT:
        state.frozen.restore(learner.flat.theta_P.detach())  # a method after this one in a chain may have moved them
        return state

    def _first(self, learner: LearnerView) -> int:
        """The first place in θ that may be held."""
        return 0

    def forward(self, state: StateT, learner: LearnerView, x: Tree, task: int | Tensor) -> Tensor:
        with selecting(learner.model, task):
            logits_BC: Tensor = learner.model(x)
            return logits_BC

    def predict(self, state: StateT, learner: LearnerView, x: Tree, task: int) -> Tensor:
        return task_logits(learner, network_of(learner.model, self.name).backbone(x), task)


def network_of(model: nn.Module, method: str) -> Headed:
    """`model` as one whose backbone and head are known; `SettingError` for any other."""
    network = headed(model)
    require(
        network is not None,
        f"{method} needs a network with a backbone and a head, got {type(model).__name__}; name one (mlp:400,400), "
        "or give models.with_head(backbone, features, space)",
    )
    assert network is not None
    return network


def task_logits(learner: LearnerView, h_BD: Tensor, task: int) -> Tensor:
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


def mask_of(learner: LearnerView, masks: Mapping[str, Tensor]) -> Tensor:
    """True (P,) for the weights that `masks` marks, by the parameter's name; what is not trained is left out."""
    mask_P = torch.zeros_like(learner.flat.theta_P, dtype=torch.bool)
    views = learner.flat.named(mask_P)
    for name, mask in masks.items():
        if name in views:
            views[name].copy_(mask)
    return mask_P


def rows_of(learner: LearnerView, task: int) -> Tensor:
    """True (P,) for the rows of the head that belong to `task`."""
    mask_P = torch.zeros_like(learner.flat.theta_P, dtype=torch.bool)
    views = learner.flat.named(mask_P)
    for name in ("head.weight", "head.bias"):
        views[name][list(learner.objective.classes[task])] = True
    return mask_P
