"""The ways of several methods through the same two tasks, what they lead to, and the maps that they are drawn on.

Suffixes: P parameters, S points of a way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lifelong.experiments.chapter.lesson import Values
from lifelong.experiments.chapter.losses import Loss, losses, task_loss
from lifelong.experiments.chapter.plane import Plane, around, surface
from lifelong.methods import Method, build
from lifelong.streams import Stream
from lifelong.training import Learner
from lifelong.types import Task

__all__ = ["Make", "Walks", "walked", "walks"]

Make = Callable[[Method[Any]], Learner]


@dataclass(frozen=True)
class Walks:
    """The way through task 1, which all methods share; by method the way through task 2; and the end of `joint`.

    `losses` are those of the two tasks; `learner` is asked for accuracies at other weights.
    """

    tasks: Stream
    learner: Learner
    losses: tuple[Loss, ...]
    first_SP: Tensor
    after: Mapping[str, Tensor]
    joint_P: Tensor

    def drawn(self, plane: Plane, ticks: int, begin: int = 0) -> Values:
        """Both losses on a grid of `plane` that holds all ways, the first from its point `begin` on, and the ways."""
        first = plane.of(self.first_SP[begin:])
        after = {method: plane.of(way) for method, way in self.after.items()}
        across, up = around(torch.cat([first, *after.values()]).double().numpy(), ticks)
        return {
            "across": across.tolist(),
            "up": up.tolist(),
            "losses": [surface(loss, plane, across, up).tolist() for loss in self.losses],
            "first": first.tolist(),
            "after": {method: way.tolist() for method, way in after.items()},
            "joint": plane.of(self.joint_P[None])[0].tolist(),
        }

    def ends(self) -> list[Values]:
        """Loss and test accuracy on both tasks at the start, after task 1, and at the end of every method."""
        places = {"start": self.first_SP[0], "first": self.first_SP[-1]}
        places |= {method: way[-1] for method, way in self.after.items()}
        return [self._end(name, theta_P) for name, theta_P in {**places, "joint": self.joint_P}.items()]

    def _end(self, name: str, theta_P: Tensor) -> Values:
        self.learner.flat.assign(theta_P)
        found = [float(losses(loss, theta_P[None])) for loss in self.losses]
        return {"name": name, "losses": found, "accuracies": self.learner.evaluate(self.tasks)}


def walked(learner: Learner, task: Task, every: int = 1) -> Tensor:
    """Learn `task`; θ before it, after every `every`-th step, and after it: (S, P).

    >>> from lifelong import stream
    >>> digits = stream("permuted-digits", tasks=1)
    >>> learner = Learner("mlp:4", space=digits.space)
    >>> walked(learner, digits.task(1), every=10).shape  # 41 steps: the start, 4 on the way, the end
    torch.Size([6, 310])
    """
    way = [learner.flat.theta_P.detach().clone()]

    def note(step: int) -> None:
        if step % every == 0:
            way.append(learner.flat.theta_P.detach().clone())

    learner.learn(task, on_step=note, progress=False)
    way.append(learner.flat.theta_P.detach().clone())
    return torch.stack(way)


def walks(tasks: Stream, make: Make, methods: Mapping[str, Method[Any]], every: int, examples: int | None) -> Walks:
    """Learn both `tasks` with every method.

    Arguments: `make` a learner at the start, always the same; `every` so many steps a point of a way is kept;
    `examples` on which each loss is measured, the first of the training part; None takes all.
    """
    first_SP, learner = torch.empty(0), make(build("finetune"))
    after: dict[str, Tensor] = {}
    for name, method in methods.items():
        learner = make(method)
        first_SP, after[name] = (walked(learner, task, every) for task in tasks)
    joint = make(build("joint"))
    for task in tasks:
        joint.learn(task, progress=False)
    parts = [task.train.at(slice(0, examples)) for task in tasks]
    both = tuple(task_loss(learner, part) for part in parts)
    return Walks(tasks, learner, both, first_SP, after, joint.flat.theta_P.detach())
