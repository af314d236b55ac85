"""Streams without boundaries: neighbouring tasks flow into each other, so that nobody could say when one ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from lifelong.data import concat, subset
from lifelong.errors import require
from lifelong.streams.stream import Stream
from lifelong.types import Data, Split, Task, Tree

__all__ = ["Blurry", "blurred"]

Share = Literal["earlier", "own", "later"]


@dataclass(frozen=True, repr=False)
class Blurry(Stream):
    """A stream whose tasks hold examples of their neighbours in the stream `pure`."""

    pure: Stream
    fraction: float
    seed: int

    def first(self, tasks: int) -> Stream:
        """The stream that ends after `tasks` tasks, cut before it is blurred: no example is of a later one."""
        return blurred(self.pure.first(tasks), self.fraction, self.seed)

    def map(self, function: Callable[[Tree], Tree], name: str | None = None) -> Stream:
        """As of any stream; what is cut from it later is mapped too."""
        return blurred(self.pure.map(function, name), self.fraction, self.seed)


def blurred(stream: Stream, fraction: float, seed: int) -> Stream:
    """`stream` with `fraction` of every task's training examples met in the task before or after it, half in each.

    Every training example is met exactly once; the validation and test parts stay pure. The first and the last task
    give and take one half only. The stream says that it has no boundaries, so methods that need them refuse it. In
    the scenario `class` a task announces the classes of its neighbours too, as examples of them are met in it. Its
    first tasks, `.first(k)`, are cut before they are blurred.

    Raises: `SettingError` for a fraction outside 0 … 1, and in the scenario `task`, where a boundary is known by its
        very definition.

    >>> x, y = torch.arange(16.0)[:, None], torch.zeros(16).long()
    >>> pairs = [((x + 100 * i, y), (x, y)) for i in range(3)]
    >>> mixed = blurred(Stream.from_datasets(pairs, validation=0), 0.5, seed=0)
    >>> [sorted((task.train.x[:, 0] // 100).int().tolist()).count(1) for task in mixed]
    [4, 8, 4]
    """
    require(0 <= fraction <= 1, f"blurry must be a fraction in 0 … 1, got {fraction}")
    if fraction == 0:
        return stream
    require(stream.scenario != "task", "a blurry stream has no task numbers to give; use scenario domain or class")
    tasks = []
    for place, task in enumerate(stream.tasks):
        near = stream.tasks[max(0, place - 1) : place + 2]
        classes = tuple(sorted({label for other in near for label in other.classes}))
        tasks.append(
            replace(task, classes=classes, load=_loader(stream, task, fraction, seed), sizes=None, class_names=())
        )
    space = replace(stream.space, boundaries=False)
    return Blurry(stream.name, space, tuple(tasks), stream, fraction, seed)


def _loader(stream: Stream, task: Task, fraction: float, seed: int) -> Callable[[Split], Data | None]:
    def load(split: Split) -> Data | None:
        if split != "train":
            return task.load(split)
        parts = [_share(stream, task.number - 1, "later", fraction, seed)]
        parts.append(_share(stream, task.number, "own", fraction, seed))
        parts.append(_share(stream, task.number + 1, "earlier", fraction, seed))
        return concat([one for one in parts if one is not None])

    return load


def _share(stream: Stream, number: int, share: Share, fraction: float, seed: int) -> Data | None:
    """What task `number` gives to the task before it, keeps, or gives to the task after it."""
    if not 1 <= number <= len(stream):
        return None
    data = stream.task(number).split("train").with_task(0)
    return subset(data, _positions(len(data), number, len(stream), fraction, seed)[share])


def _positions(count: int, number: int, tasks: int, fraction: float, seed: int) -> dict[Share, Tensor]:
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003 + number))
    half = round(count * fraction / 2)
    earlier = half if number > 1 else 0
    later = half if number < tasks else 0
    return {
        "earlier": order[:earlier],
        "later": order[earlier : earlier + later],
        "own": order[earlier + later :].sort().values,
    }
