"""Weights that belong to past tasks and do not move any more.

A zero gradient alone does not hold a weight: momentum, Adam's moments and weight decay move it too. So it is put back
after every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.methods.base import Student

__all__ = ["Frozen", "freeze", "hold", "marked", "nothing", "rows_of", "still"]


@dataclass
class Frozen:
    """Which weights are held, and at which values (0 for the others): 5 bytes for each of P float32 parameters."""

    mask_P: Tensor
    anchor_P: Tensor


def nothing(theta_P: Tensor) -> Frozen:
    """Nothing is held yet.

    >>> frozen = nothing(torch.zeros(3))
    >>> freeze(frozen, torch.tensor([True, False, False]), torch.tensor([5.0, 6.0, 7.0]))
    >>> theta_P = torch.tensor([0.0, 1.0, 2.0])
    >>> hold(frozen, theta_P)
    >>> theta_P.tolist(), still(frozen, torch.ones(3)).tolist()
    ([5.0, 1.0, 2.0], [0.0, 1.0, 1.0])
    """
    return Frozen(torch.zeros_like(theta_P, dtype=torch.bool), torch.zeros_like(theta_P))


def freeze(frozen: Frozen, more_P: Tensor, theta_P: Tensor) -> None:
    """Hold the weights in `more_P` too, at θ."""
    new_P = more_P & ~frozen.mask_P
    frozen.anchor_P = torch.where(new_P, theta_P, frozen.anchor_P)
    frozen.mask_P = frozen.mask_P | more_P


def still(frozen: Frozen, grad_P: Tensor, first: int = 0) -> Tensor:
    """g with zeros for the weights that are held, in place: they take no share of a clipped norm.

    No weight before place `first` is held.
    """
    grad_P[first:].mul_(_free(frozen, first))
    return grad_P


def hold(frozen: Frozen, theta_P: Tensor, first: int = 0) -> None:
    """Put the weights that are held back, in place; none before place `first` is."""
    theta_P[first:].mul_(_free(frozen, first)).add_(frozen.anchor_P[first:])


def _free(frozen: Frozen, first: int) -> Tensor:
    """1 for the weights that may move, else 0: a product with bytes costs a tenth of a choice by true and false."""
    return frozen.mask_P[first:].view(torch.uint8) ^ 1


def marked(student: Student, masks: Mapping[str, Tensor]) -> Tensor:
    """True (P,) for the weights that `masks` marks, by the parameter's name; what is not trained is left out."""
    mask_P = torch.zeros_like(student.flat.theta_P, dtype=torch.bool)
    views = student.flat.named(mask_P)
    for name, mask in masks.items():
        if name in views:
            views[name].copy_(mask)
    return mask_P


def rows_of(student: Student, task: int) -> Tensor:
    """True (P,) for the rows of the head that belong to `task`."""
    mask_P = torch.zeros_like(student.flat.theta_P, dtype=torch.bool)
    views = student.flat.named(mask_P)
    for name in ("head.weight", "head.bias"):
        views[name][list(student.outputs.classes[task])] = True
    return mask_P
