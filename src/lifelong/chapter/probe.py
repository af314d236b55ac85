"""Looks at the gradient on its way through a chain of methods, and changes nothing.

`Chain(Before(look), GEM(), After(look))` shows g as the loss gives it, and z as GEM leaves it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lifelong.methods import Method, NoState, Phase, Step

__all__ = ["After", "Before"]

Look = Callable[[Step, Tensor], None]


@dataclass(frozen=True)
class Before(Method[NoState]):
    """Shows the gradient (P,) of every step to `look`, which must not change or keep it (a clone may be kept)."""

    look: Look

    name = "before"
    family = "chain"
    reference = "-"

    @property
    def state_type(self) -> type[NoState]:
        return NoState

    def gradient(self, state: NoState, step: Step, grad_P: Tensor) -> Tensor:
        self.look(step, grad_P)
        return grad_P


@dataclass(frozen=True)
class After(Before):
    """The same at another place of the chain, which takes each method once by its name; and `stepped` after a step."""

    stepped: Callable[[Step], None] = lambda _: None

    name = "after"
    phase = Phase.FREEZE  # when all others have changed it

    def after_step(self, state: NoState, step: Step) -> None:
        self.stepped(step)
