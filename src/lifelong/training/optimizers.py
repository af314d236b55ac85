"""Optimisers of one vector θ, or one of your own.

SGD, Adam and AdamW work number by number, so one step of the vector θ is the step of every parameter. They are written
here on tensor operations: torch.optim's classes give the same bits (tested), but take a second to import and tens of
microseconds a step. What looks at shapes (Muon, Adafactor) comes as a factory and is given the module's parameters,
which are views into the same θ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from lifelong.errors import unknown_name
from lifelong.flat import Flat
from lifelong.training.settings import Training

__all__ = ["SGD", "Adam", "Optimizer", "OptimizerFactory", "build", "check", "max_stable_stiffness", "set_rate"]

NAMES = ["sgd", "adam", "adamw"]


class Optimizer(Protocol):
    """What training needs of an optimiser; `torch.optim.Optimizer` has it."""

    param_groups: list[dict[str, Any]]

    def step(self) -> Any:
        """Move the parameters along their gradients."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Moments by parameter number, and the settings of the groups."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Go on from what `state_dict` gave."""
        ...


OptimizerFactory = Callable[[list[nn.Parameter]], Any]


class _Vector:
    """The bookkeeping of an optimiser of one vector: one group, and tensors of θ's length by name."""

    def __init__(self, theta_P: nn.Parameter, **settings: Any) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": [theta_P], **settings}]
        self.moments: dict[str, Tensor] = {}

    def zero_grad(self, set_to_none: bool = False) -> None:
        """g ← 0; its views stay."""
        for theta_P in self.param_groups[0]["params"]:
            theta_P.grad.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Moments by parameter number, and the settings of the group."""
        settings = {name: value for name, value in self.param_groups[0].items() if name != "params"}
        state = {0: dict(self.moments)} if self.moments else {}
        return {"state": state, "param_groups": [{**settings, "params": [0]}]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        theta_P = self.param_groups[0]["params"][0]
        [settings] = state_dict["param_groups"]
        self.param_groups[0].update({name: value for name, value in settings.items() if name != "params"})
        self.moments = {
            name: value.clone() if name == "step" else value.to(theta_P, copy=True)
            for name, value in state_dict["state"].get(0, {}).items()
        }


class SGD(_Vector):
    """θ ← θ − lr · m, m ← μ m + g, g with the weight decay λ θ added.

    Args:
        theta_P: The vector; its `grad` is g.
        lr: The step size. momentum: μ in 0 … 1. weight_decay: λ.

    Example:
        >>> theta_P = nn.Parameter(torch.ones(2)); theta_P.grad = torch.tensor([1.0, -1.0])
        >>> SGD(theta_P, lr=0.5).step(); theta_P.tolist()
        [0.5, 1.5]
    """

    def __init__(self, theta_P: nn.Parameter, lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        super().__init__(theta_P, lr=lr, momentum=momentum, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self) -> None:
        """Move θ along g."""
        group = self.param_groups[0]
        theta_P, decay, momentum = group["params"][0], group["weight_decay"], group["momentum"]
        way_P = theta_P.grad
        if decay:
            way_P = way_P.add(theta_P, alpha=decay)
        if momentum:
            if "momentum_buffer" in self.moments:
                way_P = self.moments["momentum_buffer"].mul_(momentum).add_(way_P)
            else:
                way_P = self.moments["momentum_buffer"] = way_P.clone()
        theta_P.add_(way_P, alpha=-group["lr"])


class Adam(_Vector):
    """Adam, and with `decoupled` AdamW: θ ← θ − lr · m̂ / (√v̂ + ε), m and v running means of g and g².

    Args:
        theta_P: The vector; its `grad` is g.
        lr: The step size. weight_decay: λ; added to g, or with `decoupled` taken from θ itself.

    Reference: Kingma & Ba 2015, algorithm 1; Loshchilov & Hutter 2019, algorithm 2.
    """

    def __init__(self, theta_P: nn.Parameter, lr: float, weight_decay: float = 0.0, decoupled: bool = False) -> None:
        settings = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": weight_decay, "decoupled": decoupled}
        super().__init__(theta_P, lr=lr, **settings)

    @torch.no_grad()
    def step(self) -> None:
        """Move θ along g: one pass over the memory, by PyTorch's fused kernel."""
        group = self.param_groups[0]
        theta_P = group["params"][0]
        if not self.moments:
            self.moments = {
                "step": torch.zeros((), dtype=torch.float32, device=theta_P.device),
                "exp_avg": torch.zeros_like(theta_P),
                "exp_avg_sq": torch.zeros_like(theta_P),
            }
        moments = self.moments
        moments["step"] += 1
        fused = torch._fused_adamw_ if group["decoupled"] else torch._fused_adam_
        beta1, beta2 = group["betas"]
        fused(
            [theta_P],
            [theta_P.grad],
            [moments["exp_avg"]],
            [moments["exp_avg_sq"]],
            [],
            [moments["step"]],
            amsgrad=False,
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def build(flat: Flat, training: Training, factory: OptimizerFactory | None = None) -> Optimizer:
    """The optimiser for `flat`.

    Raises:
        SettingError: The name is unknown.
    """
    if factory is not None:
        made: Optimizer = factory(list(flat.parameters))
        return made
    check(training)
    if training.optimizer == "sgd":
        return SGD(flat.theta_P, training.lr, training.momentum, training.weight_decay)
    return Adam(flat.theta_P, training.lr, training.weight_decay, decoupled=training.optimizer == "adamw")


def check(training: Training) -> None:
    """Raise `SettingError` for an unknown optimiser."""
    if training.optimizer not in NAMES:
        raise unknown_name("optimizer", training.optimizer, NAMES)


def set_rate(optimizer: Optimizer, factor: float) -> None:
    """Set the step size of every group to `factor` times that with which it was made."""
    for group in optimizer.param_groups:
        group["lr"] = factor * group.setdefault("initial_lr", group["lr"])


def max_stable_stiffness(optimizer: Optimizer) -> float:
    """The most curvature that an explicit step carries without swinging out of bounds.

    1 / lr for gradient descent, with momentum too (Polyak 1964 allows 2 (1 + μ) / lr). Adam and its kin divide by the
    gradient's size and take steps of about lr whatever the curvature, so they never diverge; but neither do they hold a
    weight still. Published penalties are below 1e6, and what is above is meant to hold.

    Example:
        >>> max_stable_stiffness(SGD(nn.Parameter(torch.zeros(1)), lr=0.1))
        10.0
    """
    group = optimizer.param_groups[0]
    if "betas" in group or "beta2_decay" in group:
        return 1e6
    lr: float = group["lr"]
    return 1 / lr if lr > 0 else math.inf


def grown(optimizer: Optimizer, old: Flat, new: Flat, training: Training) -> Optimizer:
    """A named optimiser for a model that grew from `old` to `new`: moments are carried, those of new weights are 0."""
    larger, saved = build(new, training), optimizer.state_dict()
    for moments in saved["state"].values():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == old.theta_P.shape:
                moments[name] = new.carry(value, old)
    larger.load_state_dict(saved)
    return larger
