"""The ways of several methods through the same two tasks, and a network of two weights for which they are a picture.

Suffixes: P parameters, S points of a way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.chapter.geometry import Loss, Plane, around, losses, surface, task_loss
from lifelong.chapter.lesson import Values
from lifelong.methods import Method, build
from lifelong.streams import Stream, stream
from lifelong.training import Learner
from lifelong.types import Examples, Task

__all__ = ["FIELDS", "PAIRS", "Make", "TwoWeights", "Walks", "ink", "two_feature_stream", "walked", "walks"]

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


#: fields of the 4×4 grid, counted from the upper left row by row: both are in the second row, at its right end
FIELDS = (6, 7)
#: the two digits of each task
PAIRS = ((3, 6), (6, 0))


class TwoWeights(nn.Module):
    """Logits 0 and w · x: logistic regression without a bias.

    >>> model = TwoWeights(1.0, -1.0)
    >>> model(torch.tensor([[3.0, 1.0]])).tolist()
    [[0.0, 2.0]]
    """

    def __init__(self, first: float = 0.0, second: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([first, second]))

    def forward(self, x_B2: Tensor) -> Tensor:
        logit_B = x_B2 @ self.weight
        return torch.stack([torch.zeros_like(logit_B), logit_B], dim=1)


def ink(x: Tensor) -> Tensor:
    """The mean brightness of images (N, 1, height, width) in the two fields: (N, 2).

    >>> image = torch.arange(16.0).view(1, 1, 4, 4)
    >>> ink(image).tolist()
    [[6.0, 7.0]]
    """
    return F.adaptive_avg_pool2d(x, 4).flatten(1)[:, list(FIELDS)]


def two_feature_stream(data: str, data_dir: str | None = None, seed: int = 0) -> Stream:
    """The two tasks on real digits: features (N, 2), centred in each task (there is no bias), in units of one scale.

    Means and scale are those of the training parts.
    """
    images = stream(f"permuted-{data}", tasks=1, first_plain=True, data_dir=data_dir, seed=seed).task(1)
    scale_2 = ink(images.train.x).std(0)

    def pair(part: Examples, digits: tuple[int, int], centre_2: Tensor | None = None) -> tuple[Tensor, Tensor]:
        chosen = part.at((part.y == digits[0]) | (part.y == digits[1]))
        x_N2 = ink(chosen.x) / scale_2
        return x_N2 if centre_2 is None else x_N2 - centre_2, (chosen.y == digits[1]).long()

    centres = [pair(images.train, digits)[0].mean(0) for digits in PAIRS]
    datasets: list[tuple[object, object]] = [
        (pair(images.train, digits, centre_2), pair(images.test, digits, centre_2))
        for digits, centre_2 in zip(PAIRS, centres, strict=True)
    ]
    names = [f"{first} or {second}" for first, second in PAIRS]
    return Stream.from_datasets(datasets, validation=0.0, names=names, name=f"two-feature-{data}")
