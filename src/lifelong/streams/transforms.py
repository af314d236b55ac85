"""Fixed transformations of images (N, channels, height, width): permutation, rotation, noise."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.streams.transformed import Transform
from lifelong.types import Split

__all__ = ["Interpolation", "noise", "permutation", "rotate", "rotation"]

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
