"""Answers for a task that is still to come: the head as it would be if the task had just been announced."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn

from lifelong.flat import Flat
from lifelong.methods import LearnerView
from lifelong.models import headed, with_outputs
from lifelong.objectives import Objective
from lifelong.types import Space, Task

__all__ = ["Preview", "preview"]


@dataclass(frozen=True)
class Preview:
    """A learner as it would be once a task is announced; the learner itself is not touched."""

    model: nn.Module
    flat: Flat
    objective: Objective
    learner: LearnerView

    @property
    def space(self) -> Space:
        return self.learner.space

    @property
    def generator(self) -> torch.Generator:
        return self.learner.generator

    def restart(self) -> None:
        self.learner.restart()

    def autocast(self) -> AbstractContextManager[object]:
        return self.learner.autocast()


def preview(learner: LearnerView, task: Task) -> LearnerView:
    """`learner` itself where it knows `task`, else with the task's outputs announced and its head's rows added."""
    if learner.objective.classes.get(task.number) == task.classes:
        return learner
    objective = learner.objective.copied()
    objective.announced_only = False  # a task to come stands among all rows
    objective.announce(task.number, task.classes)
    model = learner.model
    network = headed(model)
    if network is not None and network.head.classes < objective.count:
        model = with_outputs(model, objective.count)
    return Preview(model, learner.flat, objective, learner)
