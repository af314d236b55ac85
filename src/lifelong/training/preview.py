"""Answers for a task that is still to come: the head as it would be if the task had just been announced."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lifelong.flat import Flat
from lifelong.methods import Student
from lifelong.models import Network, Outputs
from lifelong.types import Task

__all__ = ["Preview", "preview"]


class _WithNewRows(nn.Module):
    """A network whose head has `classes` rows, those not grown yet at their initial values."""

    def __init__(self, network: Network, classes: int) -> None:
        super().__init__()
        self.network = network
        head = network.head
        weight, bias = head.initial_rows(head.classes, classes)
        self.rows = {
            "head.weight": torch.cat([head.weight.detach(), weight]),
            "head.bias": torch.cat([head.bias.detach(), bias]),
        }

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = functional_call(self.network, self.rows, (x,))
        return logits


@dataclass(frozen=True)
class Preview:
    """A student as it would be once a task is announced; the learner itself is not touched."""

    model: nn.Module
    flat: Flat
    outputs: Outputs
    student: Student

    @property
    def generator(self) -> torch.Generator:
        return self.student.generator

    def restart(self) -> None:
        self.student.restart()

    def autocast(self) -> AbstractContextManager[object]:
        return self.student.autocast()


def preview(student: Student, task: Task) -> Student:
    """`student` itself where it knows `task`, else with the task's outputs announced and its head's rows added."""
    if student.outputs.classes.get(task.number) == task.classes:
        return student
    outputs = Outputs(student.outputs.scenario)
    for number, classes in student.outputs.classes.items():
        outputs.announce(number, classes)
    outputs.announce(task.number, task.classes)
    model = student.model
    if isinstance(model, Network) and model.head.classes < outputs.count:
        model = _WithNewRows(model, outputs.count)
    return Preview(model, student.flat, outputs, student)
