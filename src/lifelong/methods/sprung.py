"""What the methods share that hold weights by one spring, whatever measures its stiffness."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.methods.base import Extent, Method, Step, Student
from lifelong.methods.spring import Spring, pull, settle

__all__ = ["Sprung"]


@dataclass(frozen=True)
class Sprung(Method[Spring]):
    """Pulls with the stiffness `factor · strength · importance`; a method says at a boundary what is important."""

    strength: float = 1.0

    family = "springs"
    needs = ("task boundaries",)
    holds_past = True
    unbounded = ("strength",)
    off = MappingProxyType({"strength": 0.0})
    #: 1 where the penalty has a factor 1/2, else 2
    factor: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        require(self.strength >= 0, f"{self.name}.strength must be 0 or more, got {self.strength}")

    @property
    def state_type(self) -> type[Spring]:
        return Spring

    def declared_bytes(self, extent: Extent) -> int:
        return 8 * extent.parameters

    def init(self, student: Student) -> Spring:
        theta_P = student.flat.theta_P.detach()
        return Spring(torch.zeros_like(theta_P), torch.zeros_like(theta_P))

    def gradient(self, state: Spring, step: Step, grad_P: Tensor) -> Tensor:
        return pull(state, self.factor * self.strength, step.theta_P, grad_P, step.stiffest)

    def after_step(self, state: Spring, step: Step) -> None:
        settle(state, self.factor * self.strength, step.theta_P, step.lr, step.stiffest)
