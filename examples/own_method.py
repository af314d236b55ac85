"""A method outside the package: `lifelong run rotated-digits -m own_method:Leash -m finetune` in this folder."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.methods.base import LearnerView, Method, Phase, Step, StreamSize
from lifelong.types import Data


@dataclass
class Memory:
    centre_P: Tensor
    tasks: int = 0


@dataclass(frozen=True)
class Leash(Method[Memory]):
    """No weight goes further than `length` from where the last task left it."""

    length: float = 0.5
    name, family, reference, phase, state_class = "leash", "springs", "this file", Phase.FREEZE, Memory
    needs = ("task boundaries",)

    def declared_bytes(self, size: StreamSize) -> int:
        return 4 * size.parameters

    def init(self, learner: LearnerView) -> Memory:
        return Memory(torch.zeros_like(learner.flat.theta_P.detach()))

    def correct(self, state: Memory, step: Step) -> None:
        if state.tasks > 0:
            low_P, high_P = state.centre_P - self.length, state.centre_P + self.length
            step.theta_P.copy_(step.theta_P.clamp(low_P, high_P))

    def end_task(self, state: Memory, learner: LearnerView, task: Data) -> Memory:
        return Memory(learner.flat.theta_P.detach().clone(), state.tasks + 1)
