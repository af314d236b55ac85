"""The quadratic penalty `½ Σ_i s_i (θ_i − c_i)²`: one spring per weight, whatever measured its stiffness s.

A sum of such penalties is again one spring (stiffness Σ s_k, centre the mean of the c_k weighted by s_k) up to a
constant, so the memory is O(P) however many tasks there were.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from lifelong.errors import require
from lifelong.methods.base import Claim, LearnerView, Method, Phase, Step, StreamSize
from lifelong.methods.layers import check_statistics
from lifelong.types import Space

__all__ = ["QuadraticPenalty", "Spring", "merge", "penalty_gradient", "proximal_step"]

StateT = TypeVar("StateT")


@dataclass
class Spring:
    """Importance per weight, the place it is pulled to, and the largest importance (so a stiff step is known)."""

    importance_P: Tensor
    centre_P: Tensor
    largest: float = 0.0


def merge(spring: Spring, importance_P: Tensor, theta_P: Tensor, *, decay: float = 1.0, online: bool = False) -> Spring:
    """Add the spring (`importance_P`, `theta_P`) to `spring`.

    Exact sum: importance `F' = F + G`, centre `c' = (F c + G θ) / F'` (θ where F' = 0). With `online`, the old
    importance decays and everything is pulled to the newest weights: `F' = decay · F + G`, `c' = θ`.

    >>> one = Spring(torch.tensor([1.0]), torch.tensor([0.0]))
    >>> both = merge(one, torch.tensor([3.0]), torch.tensor([4.0]))
    >>> both.importance_P.item(), both.centre_P.item()
    (4.0, 3.0)
    """
    total_P = decay * spring.importance_P + importance_P if online else spring.importance_P + importance_P
    if online:
        centre_P = theta_P.clone()
    else:
        share_P = torch.where(total_P > 0, importance_P / total_P, torch.ones_like(total_P))
        centre_P = torch.lerp(spring.centre_P, theta_P, share_P)
    return Spring(total_P, centre_P, float(total_P.max()) if len(total_P) else 0.0)


def penalty_gradient(
    spring: Spring, strength: float, theta_P: Tensor, grad_P: Tensor, max_stable_stiffness: float
) -> Tensor:
    """Add the spring's gradient `s (θ − c)`, s = strength · importance, to `grad_P` in place.

    An explicit step carries no more stiffness than `max_stable_stiffness` (1 / lr for gradient descent); what is above
    it is left to `proximal_step`.

    >>> spring = Spring(torch.tensor([2.0]), torch.tensor([1.0]), largest=2.0)
    >>> penalty_gradient(spring, 0.5, torch.tensor([3.0]), torch.tensor([10.0]), max_stable_stiffness=10.0).item()
    12.0
    """
    if spring.largest == 0 or strength == 0:
        return grad_P
    away_P = theta_P - spring.centre_P
    if strength * spring.largest <= max_stable_stiffness:
        return grad_P.addcmul_(spring.importance_P, away_P, value=strength)
    return grad_P.addcmul_(_stiffness(spring, strength).clamp_max_(max_stable_stiffness), away_P)


def proximal_step(spring: Spring, strength: float, theta_P: Tensor, lr: float, max_stable_stiffness: float) -> None:
    """Move θ in place by the proximal step of the stiffness s' above what is stable: `θ ← c + (θ − c) / (1 + lr · s')`.

    As s → ∞ the weight does not move from c, and nothing overflows on the way.

    >>> spring = Spring(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0]), largest=1.0)
    >>> theta = torch.tensor([3.0, 3.0])
    >>> proximal_step(spring, float("inf"), theta, lr=0.1, max_stable_stiffness=10.0)
    >>> theta.tolist()
    [1.0, 3.0]
    """
    if spring.largest > 0 and strength * spring.largest > max_stable_stiffness:
        rest_P = _stiffness(spring, strength).sub_(max_stable_stiffness).clamp_min_(0.0)
        settled_P = spring.centre_P + (theta_P - spring.centre_P) / (1 + lr * rest_P)
        theta_P.copy_(torch.where(rest_P > 0, settled_P, theta_P))


def _stiffness(spring: Spring, strength: float) -> Tensor:
    if math.isinf(strength):  # of no importance is no stiffness, and ∞ · 0 no number
        return torch.where(spring.importance_P > 0, strength * spring.importance_P, 0.0)
    return strength * spring.importance_P


@dataclass(frozen=True)
class QuadraticPenalty(Method[StateT]):
    """Pulls with the stiffness `factor · strength · importance`; a method says at a boundary what is important.

    The state is a `Spring`, or has one as `spring`.
    """

    strength: float = 1.0

    family = "springs"
    needs = ("task boundaries",)
    state_class = Spring
    claims = Claim.RELIES_ON_WEIGHTS
    phase = Phase.PENALISE
    unbounded = ("strength",)
    disabled_settings = MappingProxyType({"strength": 0.0})
    #: 1 where the penalty has a factor 1/2, else 2
    factor: ClassVar[float] = 1.0

    def validate(self) -> None:
        require(self.strength >= 0, f"{self.name}.strength must be 0 or more, got {self.strength}")

    def declared_bytes(self, size: StreamSize) -> int:
        return 8 * size.parameters

    def adapt(self, model: nn.Module, space: Space, seed: int) -> nn.Module:
        if math.isinf(self.strength):
            check_statistics(self.name, model)
        return model

    def init(self, learner: LearnerView) -> StateT:
        theta_P = learner.flat.theta_P.detach()
        kind: Any = self.state_type
        state: StateT = kind(torch.zeros_like(theta_P), torch.zeros_like(theta_P))
        return state

    def gradient(self, state: StateT, step: Step, grad_P: Tensor) -> Tensor:
        spring, strength = _spring_of(state), self.factor * self.strength
        return penalty_gradient(spring, strength, step.theta_P, grad_P, step.max_stable_stiffness)

    def correct(self, state: StateT, step: Step) -> None:
        spring, strength = _spring_of(state), self.factor * self.strength
        proximal_step(spring, strength, step.theta_P, step.lr, step.max_stable_stiffness)


def _spring_of(state: Any) -> Spring:
    spring: Spring = state if isinstance(state, Spring) else state.spring
    return spring
