"""Synaptic intelligence: a weight matters as much as its path lowered the loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.methods.base import LearnerView, Phase, Step, StreamSize
from lifelong.methods.quadratic_penalty import QuadraticPenalty, Spring, merge
from lifelong.types import Data

__all__ = ["SI", "SIState"]


@dataclass
class SIState:
    """The spring, and per weight: Ω, the path integral ω of the task, θ at its start, g and θ before the last step."""

    spring: Spring
    omega_P: Tensor
    path_P: Tensor
    start_P: Tensor
    grad_P: Tensor
    before_P: Tensor


@dataclass(frozen=True)
class SI(QuadraticPenalty[SIState]):
    """Hold each weight by what it contributed to the fall of the past losses along its way.

    Chinese: 按参数一路上对降低以往损失的贡献来约束它。

    Formula: L_t(θ) + c Σ_i Ω_i (θ_i − θ*_{t−1,i})². In task t, over its steps s, ω_i = Σ_s −g_{s,i} (θ_{s+1,i} −
    θ_{s,i}), g the gradient of L_t alone; at its end Ω_i ← Ω_i + ω_i / (Δ_i² + ξ), Δ_i the way from its start.

    Arguments:
        strength: c ≥ 0. 0 is fine-tuning, bit for bit; with ∞ weights of positive importance do not move.
        xi: ξ > 0, which bounds the importance of weights that hardly moved.

    Stores: importance, centre, Ω, ω, start, g and θ of the last step: 28 · P bytes for P float32 parameters.

    Reference: Zenke, Poole & Ganguli 2017, Continual Learning Through Synaptic Intelligence, equations 3-5.

    Deviations: g is the gradient of the batch and the steps are those of the optimiser (momentum, Adam, clipping), so ω
    is the path integral of the paper only up to their noise. Ω may be negative; it is kept so, and the spring uses
    max(Ω, 0), since a negative spring would repel. Stiffness above 1 / lr (1e6 with Adam) is applied as an implicit
    step after the optimiser's (`proximal_step`), so no c diverges; that step is a part of the path. In a chain g is the
    gradient of the whole loss, with what other methods add to it (replay, distillation).

    Limits:
        in the scenario `class` accuracy stays near that of fine-tuning: importance of weights does not keep the answers
        of past tasks apart from new ones. docs/guards.md measures it there and where tasks share their classes.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import SI
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", SI(strength=2.0), digits.space, epochs=5, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.6
        True
    """

    strength: float = 1.0
    xi: float = 0.1

    name = "si"
    reference = "Zenke et al. 2017"
    state_class = SIState
    phase = Phase.MEASURE
    factor = 2.0

    def validate(self) -> None:
        super().validate()
        require(self.xi > 0, f"si.xi must be more than 0, got {self.xi}")

    def declared_bytes(self, size: StreamSize) -> int:
        return 28 * size.parameters

    def init(self, learner: LearnerView) -> SIState:
        theta_P = learner.flat.theta_P.detach()
        importance_P, centre_P, *rest = (torch.zeros_like(theta_P) for _ in range(7))
        return SIState(Spring(importance_P, centre_P), *rest)

    def begin_task(self, state: SIState, learner: LearnerView, task: Data) -> SIState:
        state.path_P.zero_()
        state.start_P.copy_(learner.flat.theta_P.detach())  # here and not at the last end: rows may have been added
        return state

    def gradient(self, state: SIState, step: Step, grad_P: Tensor) -> Tensor:
        # a step that will be skipped because its gradient overflowed (float16) is to add 0 to ω, not 0 · ∞
        torch.nan_to_num(grad_P, nan=0.0, posinf=0.0, neginf=0.0, out=state.grad_P)
        state.before_P.copy_(step.theta_P)
        return super().gradient(state, step, grad_P)

    def after_step(self, state: SIState, step: Step) -> None:
        back_P = state.before_P.sub_(step.theta_P)  # θ_s − θ_{s+1}, in place of θ_s, which is needed no more
        state.path_P.addcmul_(state.grad_P, back_P)

    def end_task(self, state: SIState, learner: LearnerView, task: Data) -> SIState:
        theta_P = learner.flat.theta_P.detach()
        state.omega_P += state.path_P / ((theta_P - state.start_P).square() + self.xi)
        state.spring = merge(state.spring, state.omega_P.clamp_min(0.0), theta_P, decay=0.0, online=True)
        return state
