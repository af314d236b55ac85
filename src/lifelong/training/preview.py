"""Answers for a task that is still to come: the head as it would be if the task had just been announced."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn

from lifelong.flat import Flat
from lifelong.methods import Student
from lifelong.models import Network, Outputs
from lifelong.types import Space, Task

__all__ = ["Preview", "preview"]


@dataclass(frozen=True)
class Preview:
    """A student as it would be once a task is announced; the learner itself is not touched."""

    model: nn.Module
    flat: Flat
    outputs: Outputs
    student: Student

    @property
    def space(self) -> Space:
        return self.student.space

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
        model = model.with_outputs(outputs.count)
    return Preview(model, student.flat, outputs, student)
