"""The network asked rather than trained: in evaluation mode, over a whole task, and as it was at a moment."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lifelong.flat import swapped
from lifelong.methods.base import LearnerView, Step
from lifelong.models import selecting
from lifelong.objectives import Objective
from lifelong.types import Data, Examples, Tree

__all__ = [
    "Snapshot",
    "answers",
    "chunks",
    "classes_of",
    "evaluating",
    "labels_of",
    "number_of",
    "snapshot",
    "subset",
    "uncompiled",
]


@contextmanager
def evaluating(model: nn.Module, task: int | Tensor | None = None) -> Iterator[None]:
    """Inside the block the model is in evaluation mode, and the inputs are of `task`, or of the task that is learned.

    Afterwards each of its modules is in the mode it was in.
    """
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        with selecting(model, task) if task is not None else nullcontext():
            yield
    finally:
        for module in training:
            module.training = True


def uncompiled() -> AbstractContextManager[object]:
    """Inside the block what went through `torch.compile` runs as it is written: compiled code may leave hooks out."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def number_of(data: Data) -> int:
    """The number of the task that `data` belongs to, of several the last example's."""
    task = (data if isinstance(data, Examples) else data.at(slice(0, 1))).task
    return task if isinstance(task, int) else int(task[-1])


def labels_of(learner: LearnerView, data: Data) -> Tensor:
    """The targets of all examples; others than `Examples` are read for it batch by batch."""
    return data.y if isinstance(data, Examples) else torch.cat([some.y for some in chunks(learner, data, 1024)])


def subset(learner: LearnerView, data: Data, samples: int | None) -> Data:
    """At most `samples` examples of `data`, drawn from the method's generator; all of them without drawing."""
    if samples is None or samples >= len(data):
        return data
    index = torch.randperm(len(data), generator=learner.generator)[:samples]
    return data.at(index.to(data.device) if isinstance(data, Examples) else index)


def chunks(learner: LearnerView, data: Data, size: int) -> Iterator[Examples]:
    """The examples in order, `size` at a time, on the device of the network; others than `Examples` are read lazily."""
    device = learner.flat.theta_P.device
    if isinstance(data, Examples):
        for start in range(0, len(data), size):
            yield data.at(slice(start, start + size)).to(device)
    else:
        for batch in data.batches(torch.arange(len(data)), size):
            yield batch.to(device)


@dataclass
class Snapshot:
    """The weights θ and the buffers of a moment: the teacher of distillation."""

    theta_P: Tensor
    buffers: dict[str, Tensor]


def snapshot(learner: LearnerView) -> Snapshot:
    """The network as it is now."""
    buffers = {name: value.clone() for name, value in learner.model.named_buffers()}
    return Snapshot(learner.flat.theta_P.detach().clone(), buffers)


@torch.no_grad()
def answers(step: Step, past: Snapshot, x: Tree, task: int | Tensor) -> Tensor:
    """The answers (B, …) of the snapshot in evaluation mode; outputs that are newer than it mean nothing."""
    learner, model = step.learner, step.learner.model
    now: list[Tensor] = [*learner.flat.parameters]
    then = learner.flat.views(past.theta_P)
    if past.buffers:
        now += model.buffers()
        then += [past.buffers[name] for name, _ in model.named_buffers()]
    with evaluating(model), learner.autocast(), swapped(now, then):
        return step.forward(x, task).float()


def classes_of(objective: Objective, tasks: Iterable[int]) -> list[int]:
    """The classes of `tasks`, each once."""
    return sorted({label for task in tasks for label in objective.classes[task]})
