"""Sliced Cramér preservation: hold the weights that move the distribution of the outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.methods.base import LearnerView
from lifelong.methods.inference import chunks, evaluating, number_of, subset
from lifelong.methods.quadratic_penalty import QuadraticPenalty, Spring, merge
from lifelong.types import Data

__all__ = ["SCP", "sliced_importance"]

CHUNK = 2048


def sliced_importance(learner: LearnerView, task: Data, projections: int, samples: int | None = None) -> Tensor:
    """1/L Σ_l (∂ (ξ_l · φ̄)/∂θ)² (P,), φ̄ the mean of the outputs that count, ξ_l uniform on their unit sphere.

    The gradient is linear in ξ, so the gradients G of the mean outputs are taken once, one backward pass for each
    output, and Ξᵀ Ξ = Rᵀ R gives Σ_l (Ξ G)² = Σ (R G)² exactly, R no larger than (C, C). Where there are more outputs
    than directions (sequences), there is a pass for each direction.
    """
    task = subset(learner, task, samples)
    flat, number = learner.flat, number_of(task)
    grads: list[Tensor] = []
    xi_LC = torch.empty(0)
    with evaluating(learner.model), torch.enable_grad():
        for chunk in chunks(learner, task, CHUNK):
            total = learner.objective.masked(learner.model(chunk.x).float(), number).sum(0)
            values = total[torch.isfinite(total)]
            if not grads:
                xi_LC = torch.randn(projections, len(values), generator=learner.generator)
                xi_LC /= xi_LC.norm(dim=1, keepdim=True)
            if len(values) > projections:  # fewer passes for the directions than for the outputs
                values = xi_LC.to(values) @ values
            rows = [flat.gradient(value, retain_graph=True) for value in values]
            grads = [row_P + add_P for row_P, add_P in zip(grads, rows, strict=True)] if grads else rows
    grad_KP = torch.stack(grads) / len(task)
    if xi_LC.shape[1] <= projections:
        grad_KP = torch.linalg.qr(xi_LC, mode="r").R.to(grad_KP) @ grad_KP
    return grad_KP.square_().sum(0) / projections


@dataclass(frozen=True)
class SCP(QuadraticPenalty[Spring]):
    """Hold each weight by how much it moves the mean output of a task, seen along random directions.

    Chinese: 按参数对任务平均输出的影响来约束它，影响沿随机方向测量。

    Formula: L_t(θ) + λ Σ_i Γ_i (θ_i − θ*_{t−1,i})², with Γ_i ← Γ_i + 1/L Σ_l (∂(ξ_l · φ̄)/∂θ_i)² after task t, where
    φ̄ = 1/N Σ_n f(x_n; θ*_t) is the mean of the logits f, and ξ_l are L random directions of length 1.

    Arguments:
        strength: λ ≥ 0. 0 is fine-tuning, bit for bit; with ∞ weights of any importance do not move.
        projections: L ≥ 1.
        samples: at most this many random examples of a task measure φ̄; None takes all.

    Stores: importance and centre, 8 · P bytes for P float32 parameters.

    Reference: Kolouri et al. 2020, Sliced Cramer Synaptic Consolidation for Preserving Deeply Learned Representations,
    section 4, algorithm 1.

    Deviations: the logits are the layer that is preserved (the paper allows any), in the scenario `task` those of the
    task. Γ of the tasks is summed without decay and pulls to the newest weights. The L gradients are combined from
    those of the C mean outputs, which is the same numbers for C backward passes; with more outputs than L there are L.
    Stiffness above 1 / lr (1e6 with Adam) is applied as an implicit step after the optimiser's (`proximal_step`), so no
    λ diverges.

    Limits:
        in the scenario `class` accuracy stays near that of fine-tuning: importance of weights does not keep the answers
        of past tasks apart from new ones. docs/guards.md measures it there and where tasks share their classes.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import SCP
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", SCP(strength=5.0), digits.space, epochs=5, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.6
        True
    """

    strength: float = 5.0
    projections: int = 100
    samples: int | None = None

    name = "scp"
    reference = "Kolouri et al. 2020"
    factor = 2.0

    def validate(self) -> None:
        super().validate()
        require(self.projections >= 1, f"scp.projections must be 1 or more, got {self.projections}")
        require(self.samples is None or self.samples > 0, f"scp.samples must be 1 or more, got {self.samples}")

    def end_task(self, state: Spring, learner: LearnerView, task: Data) -> Spring:
        importance_P = sliced_importance(learner, task, self.projections, self.samples)
        return merge(state, importance_P, learner.flat.theta_P.detach(), online=True)
