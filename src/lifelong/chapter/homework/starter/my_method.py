"""Homework: a method of your own against forgetting. Grade it with `lifelong homework check my_method.py`.

As it stands it does nothing, which is fine-tuning. Three TODOs lead to a penalty that holds old parameters,

    L'(θ) = L(θ) + λ Σ_i b_i (θ_i - θᵇ_i)²,

first with the same guard b_i = 1 for all of them (L2), then with guards that are measured (EWC). Any other idea is as
welcome.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

import lifelong
from lifelong.methods import LearnerView, Step, StreamSize
from lifelong.types import Data


@dataclass
class Memory:
    """What the method remembers; a tensor whose name ends in `P` has one number for each parameter."""

    b_P: Tensor  # the guards
    centre_P: Tensor  # θᵇ, the parameters after the last task


@dataclass(frozen=True)
class MyMethod(lifelong.Method[Memory]):
    """Fine-tuning, until you change it."""

    strength: float = 0.0  # λ. TODO 3: choose it; try 0.01, 0.1, 1, 10, 100

    name = "my-method"
    family = "springs"
    reference = "homework"
    needs = ("task boundaries",)
    scenarios = ("domain",)
    state_class = Memory

    def declared_bytes(self, size: StreamSize) -> int:
        """The most that the memory takes: two vectors of float32."""
        return 8 * size.parameters

    def init(self, learner: LearnerView) -> Memory:
        """Before the first task no parameter is guarded."""
        zero_P = torch.zeros_like(learner.flat.theta_P.detach())
        return Memory(zero_P, zero_P.clone())

    def gradient(self, state: Memory, step: Step, grad_P: Tensor) -> Tensor:
        """The direction of each step; `grad_P` is the gradient of L, `step.theta_P` are the parameters now.

        TODO 1: add the gradient of the penalty, 2 λ b (θ - θᵇ).
        """
        return grad_P

    def end_task(self, state: Memory, learner: LearnerView, task: Data) -> Memory:
        """What is remembered of a task that was just learned.

        TODO 2: return Memory(b, θᵇ). θᵇ is `learner.flat.theta_P.detach().clone()`. For b begin with ones. Then measure
        it: the mean of the squared gradients of single examples. One example and its gradient are

            one = task.at(slice(n, n + 1))
            gradient_P = learner.flat.gradient(learner.objective.loss(learner.model(one.x), one.y, one.task))

        The old guards are in `state.b_P`: what happens to task 1 if you drop them?
        """
        return state
