"""Orthogonal gradient descent: step only where the past answers do not change, to first order."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.methods.base import Claim, LearnerView, Method, Phase, Step, StreamSize
from lifelong.methods.inference import subset
from lifelong.methods.per_sample import announce_cost, gradients
from lifelong.methods.subspace import NOISE, adaptive, extended, outside
from lifelong.objectives import ClassObjective
from lifelong.types import Data, as_examples

__all__ = ["OGD", "OGDState"]


@dataclass
class OGDState:
    """The orthonormal directions that are not to be walked, and θ at the start of the task."""

    basis_KP: Tensor
    start_P: Tensor


@dataclass(frozen=True)
class OGD(Method[OGDState]):
    """Step orthogonally to the gradients of the past examples' right logits.

    Chinese: 只沿与以往样本正确类别输出的梯度正交的方向更新。

    Formula: g̃ = g − Σ_k (g · v_k) v_k, where the v_k are an orthonormal basis of ∇ f_{y_n}(x_n; θ*_t), the gradients
    of the logit of the given label at the end of task t, for `capacity` random examples n of every past task.

    Arguments:
        capacity: directions stored of each task; 0 is fine-tuning, bit for bit.

    Stores: at most T · `capacity` directions and one more vector, 4 · P · (T · `capacity` + 1) bytes for P float32
    parameters; never more than P directions.

    Reference: Farajtabar et al. 2020, Orthogonal Gradient Descent for Continual Learning, algorithm 1, variant OGD-GTL.

    Deviations: the way walked since the start of the task is projected, after every step, so that it is orthogonal with
    any optimiser. For gradient descent, with momentum and weight decay too, which is linear in g, that is the formula;
    a clipped norm is that of the whole g. With Adam g is projected as well. Directions that are inside the span of the
    others up to rounding are not stored. Where the targets are no classes, ∇ l, the gradient of an example's loss,
    takes the place of ∇ f_y.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import OGD
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", OGD(capacity=50), digits.space, epochs=5, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.6
        True
    """

    capacity: int = 200

    name = "ogd"
    family = "gradient"
    reference = "Farajtabar et al. 2020"
    state_class = OGDState
    needs = ("task boundaries", "labels")
    claims = Claim.RELIES_ON_WEIGHTS
    phase = Phase.PROJECT
    disabled_settings = MappingProxyType({"capacity": 0})

    def validate(self) -> None:
        require(self.capacity >= 0, f"ogd.capacity must be 0 or more, got {self.capacity}")

    def declared_bytes(self, size: StreamSize) -> int:
        directions = min(size.tasks * min(self.capacity, size.examples), size.parameters)
        return 4 * size.parameters * (directions + 1)

    def init(self, learner: LearnerView) -> OGDState:
        theta_P = learner.flat.theta_P.detach()
        return OGDState(theta_P.new_zeros(0, len(theta_P)), torch.zeros_like(theta_P))

    def begin_task(self, state: OGDState, learner: LearnerView, task: Data) -> OGDState:
        if self.capacity > 0:
            announce_cost(learner, task, self.name)
        state.start_P.copy_(learner.flat.theta_P.detach())
        if bool((state.basis_KP.norm(dim=1) < 1 - NOISE).any()):  # parameters have left θ, as finished columns do
            state.basis_KP = extended(state.basis_KP[:0], state.basis_KP)
        return state

    def gradient(self, state: OGDState, step: Step, grad_P: Tensor) -> Tensor:
        return outside(grad_P, state.basis_KP) if len(state.basis_KP) > 0 and adaptive(step) else grad_P

    def correct(self, state: OGDState, step: Step) -> None:
        if len(state.basis_KP) > 0:
            inside_K = state.basis_KP @ (step.theta_P - state.start_P)
            step.theta_P.addmv_(state.basis_KP.T, inside_K, alpha=-1)

    def end_task(self, state: OGDState, learner: LearnerView, task: Data) -> OGDState:
        if self.capacity > 0:
            classes = isinstance(learner.objective, ClassObjective)
            examples = as_examples(subset(learner, task, self.capacity))
            rows_NP = gradients(learner, examples, _right_logit if classes else learner.objective.losses)
            state.basis_KP = extended(state.basis_KP, rows_NP)
        return state


def _right_logit(logits_BC: Tensor, y_B: Tensor, task: int | Tensor) -> Tensor:
    return logits_BC.gather(1, y_B[:, None])[:, 0]
