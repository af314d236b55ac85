"""The network as it was at a moment, kept to be asked later: the teacher of distillation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.flat import swapped
from lifelong.methods.base import Step, Student
from lifelong.methods.evaluating import evaluating
from lifelong.models import Outputs

__all__ = ["Snapshot", "answers", "classes_of", "distance", "freeze"]


@dataclass
class Snapshot:
    """The weights θ and the buffers of a moment."""

    theta_P: Tensor
    buffers: dict[str, Tensor]


def freeze(student: Student) -> Snapshot:
    """The network as it is now."""
    buffers = {name: value.clone() for name, value in student.model.named_buffers()}
    return Snapshot(student.flat.theta_P.detach().clone(), buffers)


@torch.no_grad()
def answers(step: Step, snapshot: Snapshot, x: Tensor, task: int | Tensor) -> Tensor:
    """The logits (B, C) of the snapshot in evaluation mode; outputs that are newer than it mean nothing."""
    student, model = step.student, step.student.model
    own: list[Tensor] = [*student.flat.parameters]
    then = student.flat.views(snapshot.theta_P)
    if snapshot.buffers:
        own += model.buffers()
        then += [snapshot.buffers[name] for name, _ in model.named_buffers()]
    with evaluating(model), student.autocast(), swapped(own, then):
        return step.forward(x, task).float()


def classes_of(outputs: Outputs, tasks: Iterable[int]) -> list[int]:
    """The classes of `tasks`, each once."""
    return sorted({label for task in tasks for label in outputs.classes[task]})


def distance(logits_BC: Tensor, teacher_BC: Tensor, temperature: float) -> Tensor:
    """T² · KL(softmax(teacher / T) ‖ softmax(logits / T)), the mean over the batch; the teacher may hold −∞.

    The factor keeps the size of the gradient where T grows (Hinton et al. 2015).

    >>> now, then = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    >>> round(float(distance(now, then, 1.0)), 4), abs(float(distance(then, then, 2.0))) < 1e-6
    (0.4621, True)
    """
    if temperature != 1:
        teacher_BC, logits_BC = teacher_BC / temperature, logits_BC / temperature
    then_BC, now_BC = torch.softmax(teacher_BC, dim=1), torch.log_softmax(logits_BC, dim=1)
    finite_BC = now_BC.clamp_min(torch.finfo(now_BC.dtype).min)  # 0 · −∞ would be no number
    return F.kl_div(finite_BC, then_BC, reduction="sum") * (temperature**2 / len(then_BC))
