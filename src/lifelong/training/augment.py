"""Augmentation of batches on the device, drawn anew for each batch from the learner's generator.

| name | what it does to images (B, C, H, W) |
|---|---|
| `crop:4` | pads by 4 pixels of 0 and cuts the old size out at a random place |
| `flip` | mirrors left and right with probability 1/2 |
| `color:0.4` | factors in 1 ± 0.4 on the brightness and on the contrast |
| `mixup:0.2` | λ x + (1 − λ) x' with λ from Beta(0.2, 0.2), x' another example; the loss is mixed alike |
| `package.module:function` | a function of your own, x and a generator → x |

Replayed examples are augmented anew, as they are asked about; memories store examples as the stream gave them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.errors import SettingError, require, unknown_name
from lifelong.methods import Mix
from lifelong.plugins import is_import_path, load_object
from lifelong.types import Tree, tree_map

__all__ = ["Augmentation", "Transform", "augmentation", "color", "crop", "flip"]

#: inputs and random numbers → inputs of the same shape
Transform: TypeAlias = Callable[[Tree, torch.Generator], Tree]

NAMES = ("crop", "flip", "color", "mixup")


def crop(x: Tensor, generator: torch.Generator, padding: int) -> Tensor:
    """Images (B, C, H, W) padded by `padding` zeros and cut to their size at a random place each."""
    count, _, height, width = x.shape
    padded = F.pad(x, (padding, padding, padding, padding))
    top_B, left_B = torch.randint(0, 2 * padding + 1, (2, count), generator=generator).to(x.device)
    rows_BH = top_B[:, None] + torch.arange(height, device=x.device)
    columns_BW = left_B[:, None] + torch.arange(width, device=x.device)
    batch_B = torch.arange(count, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[batch_B, rows_BH[:, :, None], columns_BW[:, None, :]].permute(0, 3, 1, 2)


def flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Images (B, C, H, W), each mirrored left and right with probability 1/2."""
    mirrored_B = torch.rand(len(x), generator=generator).to(x.device) < 0.5
    return torch.where(mirrored_B[:, None, None, None], x.flip(-1), x)


def color(x: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """Images (B, C, H, W) with random brightness and contrast: b (μ + c (x − μ)), b and c in 1 ± `strength`."""
    factors = 1 + strength * (2 * torch.rand(2, len(x), 1, 1, 1, generator=generator).to(x) - 1)
    mean = x.mean((1, 2, 3), keepdim=True)
    return factors[0] * torch.lerp(mean, x, factors[1])


@dataclass(frozen=True)
class Augmentation:
    """Transforms one after the other, then mix-up.

    Args:
        transforms: Each from inputs and a generator to inputs.
        mixup: α of the mixtures; 0 does not mix.
        generator: Of all random numbers (CPU); part of the saved learner.

    Reference: Zhang et al. 2018, mixup: Beyond Empirical Risk Minimization, equation 1; one λ for a batch, as in the
    authors' code.
    """

    transforms: tuple[Transform, ...]
    mixup: float
    generator: torch.Generator

    @property
    def mixes(self) -> bool:
        """Whether inputs are mixtures of two examples."""
        return self.mixup > 0

    def __call__(self, x: Tree) -> tuple[Tree, Mix | None]:
        """The inputs as the network sees them."""
        for transform in self.transforms:
            x = transform(x, self.generator)
        if not self.mixes:
            return x, None
        count = len(x) if isinstance(x, Tensor) else len(next(iter(x.values())))
        share = float(torch._sample_dirichlet(torch.tensor([self.mixup, self.mixup]), self.generator)[0])
        order_B = torch.randperm(count, generator=self.generator)
        return tree_map(partial(_mixed, share=share, order_B=order_B), x), Mix(share, order_B)


def augmentation(text: str | None, generator: torch.Generator) -> Augmentation | None:
    """The augmentation that `Training.augment` names.

    Raises:
        SettingError: A name is unknown or a number out of range.

    Example:
        >>> both = augmentation("crop:2,flip", torch.Generator().manual_seed(0))
        >>> both(torch.zeros(3, 1, 8, 8))[0].shape
        torch.Size([3, 1, 8, 8])
    """
    transforms: list[Transform] = []
    mixup = 0.0
    for part in (text or "").split(","):
        name, _, number = part.strip().partition(":")
        if not name:
            continue
        if is_import_path(part.strip()):
            transforms.append(load_object(part.strip(), "augmentation"))
        elif name == "flip":
            require(not number, f"augment: flip has no number, got {part!r}")
            transforms.append(partial(_images, flip))
        elif name == "crop":
            require(number.isdigit() and int(number) > 0, f"augment: crop needs its pixels, as in crop:4, got {part!r}")
            transforms.append(partial(_images, partial(crop, padding=int(number))))
        elif name == "color":
            transforms.append(partial(_images, partial(color, strength=_positive(name, number, 1.0))))
        elif name == "mixup":
            mixup = _positive(name, number, float("inf"))
        else:
            raise unknown_name("augmentation", name, NAMES)
    return Augmentation(tuple(transforms), mixup, generator) if transforms or mixup else None


def _positive(name: str, number: str, most: float) -> float:
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    require(0 < value <= most, f"augment: {name} needs a number above 0, as in {name}:0.4, got {number!r}")
    return value


def _images(transform: Transform, x: Tree, generator: torch.Generator) -> Tree:
    """`transform` on what is an image (B, C, H, W) among the inputs."""
    if isinstance(x, Tensor):
        require(x.ndim == 4, f"augment: crop, flip and color need images (B, C, H, W), got {tuple(x.shape)}")
        return transform(x, generator)
    require(any(leaf.ndim == 4 for leaf in x.values()), f"augment: no input is an image (B, C, H, W): {sorted(x)}")
    return {name: transform(leaf, generator) if leaf.ndim == 4 else leaf for name, leaf in x.items()}


def _mixed(leaf: Tensor, share: float, order_B: Tensor) -> Tensor:
    if not leaf.is_floating_point():
        raise SettingError(f"augment: mixup needs inputs of floating-point numbers, got {leaf.dtype}")
    return torch.lerp(leaf[order_B.to(leaf.device)], leaf, share)
