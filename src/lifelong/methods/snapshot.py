"""The network as it was at a moment, kept to be asked later: the teacher of distillation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.flat import swapped
from lifelong.methods.base import LearnerView, Step
from lifelong.methods.evaluating import evaluating
from lifelong.objectives import Objective

__all__ = ["Snapshot", "answers", "classes_of", "freeze"]


@dataclass
class Snapshot:
    """The weights θ and the buffers of a moment."""

    theta_P: Tensor
    buffers: dict[str, Tensor]


def freeze(learner: LearnerView) -> Snapshot:
    """The network as it is now."""
    buffers = {name: value.clone() for name, value in learner.model.named_buffers()}
    return Snapshot(learner.flat.theta_P.detach().clone(), buffers)


@torch.no_grad()
def answers(step: Step, snapshot: Snapshot, x: Tensor, task: int | Tensor) -> Tensor:
    """The logits (B, C) of the snapshot in evaluation mode; outputs that are newer than it mean nothing."""
    learner, model = step.learner, step.learner.model
    own: list[Tensor] = [*learner.flat.parameters]
    then = learner.flat.views(snapshot.theta_P)
    if snapshot.buffers:
        own += model.buffers()
        then += [snapshot.buffers[name] for name, _ in model.named_buffers()]
    with evaluating(model), learner.autocast(), swapped(own, then):
        return step.forward(x, task).float()


def classes_of(objective: Objective, tasks: Iterable[int]) -> list[int]:
    """The classes of `tasks`, each once."""
    return sorted({label for task in tasks for label in objective.classes[task]})
