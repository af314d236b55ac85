"""Weights that belong to past tasks and do not move any more.

A zero gradient alone does not hold a weight: momentum, Adam's moments and weight decay move it too. So it is put back
after every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.methods.base import LearnerView

__all__ = ["Frozen", "freeze", "hold", "marked", "nothing", "rows_of", "still"]


@dataclass
class Frozen:
    """1 for weights that are held and 0 for others, and the values at which they are: 8 bytes for each of P weights.

    The marks are numbers as θ is: a product with them costs a tenth of a choice by true and false.
    """

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
    return Frozen(torch.zeros_like(theta_P), torch.zeros_like(theta_P))


def freeze(frozen: Frozen, more_P: Tensor, theta_P: Tensor) -> None:
    """Hold the weights in `more_P` too, at θ."""
    new_P = more_P & (frozen.mask_P == 0)
    frozen.anchor_P = torch.where(new_P, theta_P, frozen.anchor_P)
    frozen.mask_P = frozen.mask_P.masked_fill(new_P, 1.0)


def still(frozen: Frozen, grad_P: Tensor, first: int = 0) -> Tensor:
    """g with zeros for the weights that are held, in place: they take no share of a clipped norm.

    No weight before place `first` is held.
    """
    own_P = grad_P[first:]
    own_P.addcmul_(own_P, frozen.mask_P[first:], value=-1)
    return grad_P


def hold(frozen: Frozen, theta_P: Tensor, first: int = 0) -> None:
    """Put the weights that are held back, in place; none before place `first` is."""
    theta_P[first:].lerp_(frozen.anchor_P[first:], frozen.mask_P[first:])  # exact where the mark is 0 or 1


def marked(learner: LearnerView, masks: Mapping[str, Tensor]) -> Tensor:
    """True (P,) for the weights that `masks` marks, by the parameter's name; what is not trained is left out."""
    mask_P = torch.zeros_like(learner.flat.theta_P, dtype=torch.bool)
    views = learner.flat.named(mask_P)
    for name, mask in masks.items():
        if name in views:
            views[name].copy_(mask)
    return mask_P


def rows_of(learner: LearnerView, task: int) -> Tensor:
    """True (P,) for the rows of the head that belong to `task`."""
    mask_P = torch.zeros_like(learner.flat.theta_P, dtype=torch.bool)
    views = learner.flat.named(mask_P)
    for name in ("head.weight", "head.bias"):
        views[name][list(learner.objective.classes[task])] = True
    return mask_P
