"""One data set seen through T fixed transformations of its images (N, channels, height, width): the same labels,
shifting inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.errors import require
from lifelong.streams.sources import Source
from lifelong.streams.stream import Stream, held_out
from lifelong.types import Examples, Scenario, Space, Split, Task

__all__ = ["Interpolation", "Transform", "noise", "permutation", "rotate", "rotation", "transformed"]

Transform = Callable[[Tensor, Split], Tensor]

Interpolation = Literal["bilinear", "nearest"]

CHUNK = 4096


def permutation(pixels: int, seed: int, number: int) -> Transform:
    """One random order of all pixels, the same for every example; fixed by `seed` and the task's number."""
    generator = torch.Generator().manual_seed(seed * 100_003 + number)
    order = torch.randperm(pixels, generator=generator)

    def permute(x: Tensor, split: Split) -> Tensor:
        return x.flatten(1)[:, order].view(x.shape)

    return permute


def rotation(degrees: float, interpolation: Interpolation) -> Transform:
    """Rotation by `degrees` counter-clockwise."""

    def turn(x: Tensor, split: Split) -> Tensor:
        return rotate(x, degrees, interpolation)

    return turn


def rotate(x: Tensor, degrees: float, interpolation: Interpolation = "bilinear") -> Tensor:
    """`x` (N, C, H, W) turned counter-clockwise about the centre; what comes from outside the image is 0.

    Right angles of square images move pixels and compute nothing.

    >>> corner = torch.zeros(1, 1, 3, 3); corner[..., 0, 2] = 1.0
    >>> rotate(corner, 90)[0, 0].nonzero().tolist()
    [[0, 0]]
    """
    quarters, rest = divmod(degrees % 360, 90)
    if rest == 0 and (x.shape[-1] == x.shape[-2] or quarters % 2 == 0):
        return torch.rot90(x, int(quarters), dims=(-2, -1)).contiguous()
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    ratio = x.shape[-1] / x.shape[-2]
    matrix = torch.tensor([[cosine, -sine / ratio, 0.0], [sine * ratio, cosine, 0.0]])
    grid = F.affine_grid(matrix[None], [1, 1, x.shape[-2], x.shape[-1]], align_corners=False)
    pieces = [
        F.grid_sample(
            piece, grid.expand(len(piece), -1, -1, -1), mode=interpolation, padding_mode="zeros", align_corners=False
        )
        for piece in x.split(CHUNK)
    ]
    return torch.cat(pieces)


def noise(strength: float, seed: int) -> Transform:
    """Gaussian noise of standard deviation `strength` on inputs in [0, 1], clipped to it; the same at every call."""
    salt: dict[Split, int] = {"train": 1, "validation": 2, "test": 3}

    def add(x: Tensor, split: Split) -> Tensor:
        if strength == 0:
            return x
        generator = torch.Generator().manual_seed(seed * 101 + salt[split])
        return (x + strength * torch.randn(x.shape, generator=generator)).clamp_(0, 1)

    return add


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
    rows, held = held_out(len(source.train_y), validation, seed)
    shared = scenario == "domain"

    def loader(transform: Transform, offset: int, number: int) -> Callable[[Split], Examples | None]:
        def load(split: Split) -> Examples | None:
            if split == "test":
                x, y = source.test_x, source.test_y
            elif split == "train" and samples is not None:
                generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
                index = rows[torch.randperm(len(rows), generator=generator)[:samples]]
                x, y = source.train_x[index], source.train_y[index]
            elif validation == 0 and split == "train":
                x, y = source.train_x, source.train_y
            else:
                index = rows if split == "train" else held
                x, y = source.train_x[index], source.train_y[index]
            return Examples(transform(x, split), y + offset, 0)

        return load

    tasks = []
    size = len(rows) if samples is None else min(samples, len(rows))
    sizes: dict[Split, int] = {"train": size, "validation": len(held), "test": len(source.test_y)}
    for number, (transform, title) in enumerate(zip(transforms, titles, strict=True), start=1):
        offset = 0 if shared else source.classes * (number - 1)
        classes = tuple(range(offset, offset + source.classes))
        tasks.append(Task(number, title, classes, loader(transform, offset, number), sizes, class_names=source.names))
    outputs = source.classes if shared else source.classes * len(tasks)
    return Stream(name, Space(source.shape, outputs, scenario), tuple(tasks))
