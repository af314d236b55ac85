"""Riemannian walk: importance from the Fisher information and from the path, both in one pass with the learning."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.methods.base import LearnerView, Phase, Step, StreamSize
from lifelong.methods.quadratic_penalty import QuadraticPenalty, Spring, merge
from lifelong.types import Data

__all__ = ["RWalk", "RWalkState"]


@dataclass
class RWalkState:
    """The number of tasks learned; the spring; and per weight F, the score s of the past tasks and of this one, ΔL and
    Δθ of the interval so far, g and θ of the last step.
    """

    tasks: int
    spring: Spring
    fisher_P: Tensor
    score_P: Tensor
    path_P: Tensor
    fall_P: Tensor
    moved_P: Tensor
    grad_P: Tensor
    before_P: Tensor


@dataclass(frozen=True)
class RWalk(QuadraticPenalty[RWalkState]):
    """Hold each weight by its Fisher information and by how much loss it saved per distance walked.

    Chinese: 按 Fisher 信息，以及每移动一段距离所降低的损失来约束参数。

    Formula: L_t(θ) + λ Σ_i (F̂_i + ŝ_i) (θ_i − θ*_{t−1,i})². At every step F ← α g² + (1 − α) F; every `interval` steps
    s_t ← s_t + max(ΔL, 0) / (½ F Δθ² + ε), ΔL = Σ −g · (θ_{s+1} − θ_s) over the interval, Δθ the way walked in it.
    After task t, s ← ½ (s + s_t) (s_1 after the first). Hats bring F and s to 0 … 1: v̂ = (v − min v) / (max v − min v).

    Arguments:
        strength: λ ≥ 0. 0 is fine-tuning, bit for bit; with ∞ weights of any importance do not move.
        alpha: α in (0, 1], the weight of the newest gradient in F.
        interval: Δt, steps between two additions to the score.
        epsilon: ε > 0, which bounds the score of weights that hardly moved.

    Stores: importance, centre, F, s, s_t, ΔL, Δθ, g and θ of the last step: 36 · P bytes for P float32 parameters.

    Reference: Chaudhry et al. 2018, Riemannian Walk for Incremental Learning, equations 5-9.

    Deviations: F is the square of the *batch* gradient at the given labels, as in the paper, so it depends on the size
    of the batch, unlike EWC's. The interval that the end of a task cuts short is counted. ε is a setting (the paper
    only calls it small). The paper's stored examples are left out: name them, as in `rwalk+er`. Stiffness above 1 / lr
    (1e6 with Adam) is applied as an implicit step after the optimiser's (`proximal_step`), so no λ diverges; that step
    is a part of Δθ, as the penalty's share of an explicit step is. In a chain g is the gradient of the whole loss, with
    what other methods add to it (replay).

    Limits:
        in the scenario `class` accuracy stays near that of fine-tuning: importance of weights does not keep the answers
        of past tasks apart from new ones. docs/guards.md measures it there and where tasks share their classes.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import RWalk
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", RWalk(strength=3.0), digits.space, epochs=5, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.6
        True
    """

    strength: float = 10.0
    alpha: float = 0.9
    interval: int = 10
    epsilon: float = 1e-6

    name = "rwalk"
    reference = "Chaudhry et al. 2018"
    state_class = RWalkState
    phase = Phase.MEASURE
    factor = 2.0

    def validate(self) -> None:
        super().validate()
        require(0 < self.alpha <= 1, f"rwalk.alpha must be more than 0 and at most 1, got {self.alpha}")
        require(self.interval >= 1, f"rwalk.interval must be 1 or more, got {self.interval}")
        require(self.epsilon > 0, f"rwalk.epsilon must be more than 0, got {self.epsilon}")

    def declared_bytes(self, size: StreamSize) -> int:
        return 36 * size.parameters

    def init(self, learner: LearnerView) -> RWalkState:
        theta_P = learner.flat.theta_P.detach()
        importance_P, centre_P, *rest = (torch.zeros_like(theta_P) for _ in range(9))
        return RWalkState(0, Spring(importance_P, centre_P), *rest)

    def begin_task(self, state: RWalkState, learner: LearnerView, task: Data) -> RWalkState:
        for of_the_task_P in (state.path_P, state.fall_P, state.moved_P):
            of_the_task_P.zero_()
        return state

    def gradient(self, state: RWalkState, step: Step, grad_P: Tensor) -> Tensor:
        # a step that will be skipped because its gradient overflowed (float16) is to leave no trace of that
        torch.nan_to_num(grad_P, nan=0.0, posinf=0.0, neginf=0.0, out=state.grad_P)
        state.before_P.copy_(step.theta_P)
        return super().gradient(state, step, grad_P)

    def after_step(self, state: RWalkState, step: Step) -> None:
        back_P = state.before_P.sub_(step.theta_P)  # θ_s − θ_{s+1}, in place of θ_s, which is needed no more
        state.fisher_P.mul_(1 - self.alpha).addcmul_(state.grad_P, state.grad_P, value=self.alpha)
        state.fall_P.addcmul_(state.grad_P, back_P)
        state.moved_P -= back_P
        if step.number % self.interval == 0:
            self._score(state)

    def end_task(self, state: RWalkState, learner: LearnerView, task: Data) -> RWalkState:
        self._score(state)
        state.score_P = (state.score_P + state.path_P) / 2 if state.tasks > 0 else state.path_P.clone()
        state.tasks += 1
        importance_P = _normalised(state.fisher_P) + _normalised(state.score_P)
        theta_P = learner.flat.theta_P.detach()
        state.spring = merge(state.spring, importance_P, theta_P, decay=0.0, online=True)
        return state

    def _score(self, state: RWalkState) -> None:
        """Add the interval to the score of the task, and begin the next."""
        distance_P = state.moved_P.square_().mul_(state.fisher_P).mul_(0.5).add_(self.epsilon)
        state.path_P.addcdiv_(state.fall_P.clamp_min_(0.0), distance_P)
        state.fall_P.zero_()
        state.moved_P.zero_()


def _normalised(values_P: Tensor) -> Tensor:
    """Brought to 0 … 1; zeros where all are equal."""
    low, high = values_P.aminmax()
    return (values_P - low) / (high - low).clamp_min(torch.finfo(values_P.dtype).tiny)
