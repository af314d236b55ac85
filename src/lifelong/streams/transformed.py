"""One data set seen through T transformations of its inputs: the same labels, shifting inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.streams.sources import Source
from lifelong.streams.stream import Stream, held_out
from lifelong.types import Examples, Scenario, Space, Split, Task

__all__ = ["Transform", "transformed"]

Transform = Callable[[Tensor, Split], Tensor]


def transformed(
    name: str,
    source: Source,
    transforms: Sequence[Transform],
    titles: Sequence[str],
    scenario: Scenario,
    validation: float,
    seed: int,
    samples: int | None = None,
) -> Stream:
    """The stream whose task i is `source` with its inputs through `transforms[i − 1](x, split)`.

    In the scenario `domain` all tasks share the source's classes; in `task` and `class` the outputs of task i are its
    own, `classes · (i − 1)` … `classes · i − 1`. The validation part is the same examples in every task. With `samples`
    every task trains on so many of the examples, drawn for each task from `seed`.
    """
    require(samples is None or samples >= 1, f"samples must be 1 or more, got {samples}")
    kept, held = held_out(len(source.train_y), validation, seed)
    shared = scenario == "domain"

    def loader(transform: Transform, offset: int, number: int) -> Callable[[Split], Examples | None]:
        def load(split: Split) -> Examples | None:
            if split == "test":
                x, y = source.test_x, source.test_y
            elif split == "train" and samples is not None:
                generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
                index = kept[torch.randperm(len(kept), generator=generator)[:samples]]
                x, y = source.train_x[index], source.train_y[index]
            elif validation == 0 and split == "train":
                x, y = source.train_x, source.train_y
            else:
                index = kept if split == "train" else held
                x, y = source.train_x[index], source.train_y[index]
            return Examples(transform(x, split), y + offset, 0)

        return load

    tasks = []
    size = len(kept) if samples is None else min(samples, len(kept))
    for number, (transform, title) in enumerate(zip(transforms, titles, strict=True), start=1):
        offset = 0 if shared else source.classes * (number - 1)
        classes = tuple(range(offset, offset + source.classes))
        tasks.append(Task(number, title, classes, loader(transform, offset, number), size))
    outputs = source.classes if shared else source.classes * len(tasks)
    return Stream(name, Space(source.shape, outputs, scenario), tuple(tasks))
