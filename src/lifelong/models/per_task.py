"""Parts of a backbone that have something of their own for every task: gates, attention, columns, normalisation."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

__all__ = [
    "PerTask",
    "TaskNorm",
    "detach",
    "generator_for",
    "moving_statistics",
    "norms_per_task",
    "per_task_parts",
    "select",
    "selecting",
]


class PerTask(nn.Module):
    """A module that the network tells of every task: when one is announced, and of which task the next inputs are.

    While a task is learned the learner has it selected; whoever asks about another selects that for as long. It must
    answer for a task that was never announced too, as it would if it had just been: an exam may ask for one.
    """

    #: the task of the inputs that come next: one number, or one for each of them
    selected: int | Tensor = 0

    def grow(self, task: int) -> bool:
        """Make room for task number `task`; whether parameters came, went, or changed their shape."""
        return False

    def select(self, task: int | Tensor) -> None:
        """The inputs that come next are of `task`: one number, or one for each of them."""
        self.selected = task


def per_task_parts(model: nn.Module) -> list[PerTask]:
    """The modules in `model` that have something of their own for every task."""
    return [part for part in model.modules() if isinstance(part, PerTask)]


def select(model: nn.Module, task: int | Tensor) -> None:
    """Tell `model` that the inputs that come next are of `task`: one number, or one for each of them."""
    for part in per_task_parts(model):
        part.select(task)


@contextmanager
def selecting(model: nn.Module, task: int | Tensor) -> Iterator[None]:
    """Inside the block the inputs are of `task`; afterwards of what was selected before."""
    before = [(part, part.selected) for part in per_task_parts(model)]
    for part, _ in before:
        part.select(task)
    try:
        yield
    finally:
        for part, selected in before:
            part.select(selected)


def generator_for(use: str, seed: int, *numbers: int) -> torch.Generator:
    """Random numbers of one use, seed, and place or task; no other use shares them, nor does the head.

    >>> one, two = generator_for("gate", 0, 1), generator_for("column", 0, 1)
    >>> torch.equal(torch.rand(3, generator=one), torch.rand(3, generator=two))
    False
    """
    words = np.random.SeedSequence([int.from_bytes(use.encode()), seed, *numbers]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(words[0]))


def detach(part: nn.Module) -> None:
    """Freeze a part of a finished task, and give it values of its own in place of views into θ.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> detach(layer)
        >>> layer.weight.requires_grad
        False
    """
    for parameter in part.parameters():
        parameter.requires_grad_(False)
        parameter.data = parameter.data.clone()
        parameter.grad = None


class TaskNorm(PerTask):
    """A normalisation of which every task has its own: statistics, scale and shift.

    Each begins as a copy of the layer `norm` as it came. Those of past tasks never change: what is replayed of a past
    task is normalised by the statistics that were taken while it was learned.
    """

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.initial = copy.deepcopy(norm).requires_grad_(False)
        self.norms = nn.ModuleList([norm])
        self.tasks: list[int] = []

    def grow(self, task: int) -> bool:
        if task in self.tasks:
            return False
        self.tasks.append(task)
        if len(self.tasks) == 1:
            return False
        detach(self.norms[-1])
        self.norms.append(copy.deepcopy(self.initial).requires_grad_(True))
        return True

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.selected, int):
            return self._of(self.selected, x)
        answer = torch.empty_like(x)
        for number in self.selected.unique().tolist():
            same_B = self.selected == number
            answer[same_B] = self._of(number, x[same_B]).to(answer)
        return answer

    def _of(self, task: int, x: Tensor) -> Tensor:
        newest = not self.tasks or task == self.tasks[-1]
        norm = self.norms[self.tasks.index(task)] if task in self.tasks else self.initial
        norm = self.norms[0] if not self.tasks else norm
        norm.training = self.training and newest and x.numel() > x.shape[1]
        normal: Tensor = norm(x)
        return normal


def norms_per_task(module: nn.Module) -> nn.Module:
    """`module` with a `TaskNorm` in place of each normalisation that is trained or counts statistics.

    Example:
        >>> norms_per_task(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))[1].tasks
        []
    """
    if isinstance(module, NORMS) and not _is_frozen(module):
        return TaskNorm(module)
    if not isinstance(module, PerTask):
        for name, child in module.named_children():
            setattr(module, name, norms_per_task(child))
    return module


def moving_statistics(module: nn.Module) -> list[str]:
    """The names of the layers whose running statistics every batch moves."""
    kind = nn.modules.batchnorm._NormBase
    layers = ((name, layer) for name, layer in module.named_modules() if isinstance(layer, kind))
    return [name for name, layer in layers if layer.running_mean is not None and not _is_frozen(layer)]


def _is_frozen(norm: nn.Module) -> bool:
    """Whether it is in evaluation mode, or none of its parameters is trained: then it stays as it is."""
    trained = [parameter.requires_grad for parameter in norm.parameters()]
    return not norm.training or (len(trained) > 0 and not any(trained))


NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
