"""Optimisers by name, on θ as one tensor; or any factory, on the module's own parameters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.optim import Optimizer

from lifelong.errors import unknown_name
from lifelong.flat import Flat
from lifelong.training.settings import Training

__all__ = ["OptimizerFactory", "build", "check", "grown", "max_stable_stiffness"]

ADAPTIVE = (torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam, torch.optim.RAdam, torch.optim.Adamax)

NAMES = ["sgd", "adam", "adamw"]

OptimizerFactory = Callable[[list[nn.Parameter]], Optimizer]


def build(flat: Flat, training: Training, factory: OptimizerFactory | None = None) -> Optimizer:
    """The optimiser for `flat`.

    SGD, Adam and AdamW work number by number, so one step of the whole vector θ is the step of every parameter. A
    factory may be for one that looks at shapes (Muon, Adafactor): it is given the module's parameters, which are
    views into the same θ. Adam is asked for fused: one pass over the memory instead of six.
    """
    if factory is not None:
        return factory(list(flat.parameters))
    if training.optimizer == "sgd":
        return torch.optim.SGD(
            [flat.theta_P], lr=training.lr, momentum=training.momentum, weight_decay=training.weight_decay
        )
    if training.optimizer == "adam":
        return torch.optim.Adam([flat.theta_P], lr=training.lr, weight_decay=training.weight_decay, fused=True)
    if training.optimizer == "adamw":
        return torch.optim.AdamW([flat.theta_P], lr=training.lr, weight_decay=training.weight_decay, fused=True)
    raise unknown_name("optimizer", training.optimizer, NAMES)


def check(training: Training) -> None:
    """`SettingError` for an optimiser that there is not."""
    if training.optimizer not in NAMES:
        raise unknown_name("optimizer", training.optimizer, NAMES)


def max_stable_stiffness(optimizer: Optimizer) -> float:
    """The most curvature that an explicit step carries without swinging out of bounds.

    1 / lr for gradient descent, with momentum too (Polyak 1964 allows 2 (1 + μ) / lr). Adam and its kin divide by the
    gradient's size and take steps of about lr whatever the curvature, so they never diverge; but neither do they hold a
    weight still. Published penalties are below 1e6, and what is above is meant to hold.

    >>> max_stable_stiffness(torch.optim.SGD([torch.zeros(1)], lr=0.1))
    10.0
    """
    if isinstance(optimizer, ADAPTIVE):
        return 1e6
    lr: float = optimizer.param_groups[0]["lr"]
    return 1 / lr


def grown(optimizer: Optimizer, old: Flat, new: Flat, training: Training) -> Optimizer:
    """A named optimiser for a model that grew from `old` to `new`: moments are carried, those of new weights are 0."""
    larger = build(new, training)
    saved = optimizer.state_dict()
    for moments in saved["state"].values():
        for name, value in moments.items():
            if isinstance(value, torch.Tensor) and value.shape == old.theta_P.shape:
                moments[name] = new.carry(value, old)
    larger.load_state_dict(saved)
    return larger
