"""Memory aware synapses: a weight matters as much as the outputs react to it, whatever the labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.methods.base import LearnerView
from lifelong.methods.inference import subset
from lifelong.methods.per_sample import announce_cost, per_sample_power_sum
from lifelong.methods.quadratic_penalty import QuadraticPenalty, Spring, merge
from lifelong.types import Data, Tree

__all__ = ["MAS", "sensitivity"]


def sensitivity(learner: LearnerView, task: Data, samples: int | None = None) -> Tensor:
    """1/N Σ_n |∂ ‖f(x_n)‖²/∂θ| (P,), f the outputs that count for the task; no target is looked at."""
    task = subset(learner, task, samples)
    objective = learner.objective

    def squared_norm(answer: Tensor, y: Tree, task: int | Tensor) -> Tensor:
        counted = objective.masked(answer, task)
        return torch.where(torch.isfinite(counted), counted, 0.0).square().flatten(1).sum(1)

    return per_sample_power_sum(learner, task, squared_norm, 1) / len(task)


@dataclass(frozen=True)
class MAS(QuadraticPenalty[Spring]):
    """Hold each weight by how much the squared norm of the outputs changes with it, measured without labels.

    Chinese: 按输出的平方范数随参数变化的程度来约束它，不需要标签。

    Formula: L_t(θ) + λ Σ_i Ω_i (θ_i − θ*_{t−1,i})², with Ω_i ← Ω_i + 1/N Σ_n |∂ ‖f(x_n; θ*_t)‖²₂ / ∂θ_i| after task t;
    f are the outputs (logits, numbers; of a sequence all positions').

    Arguments:
        strength: λ ≥ 0. 0 is fine-tuning, bit for bit; with ∞ weights of any importance do not move.
        samples: at most this many random examples of a task measure Ω; None takes all.

    Stores: importance and centre, 8 · P bytes for P float32 parameters.

    Reference: Aljundi et al. 2018, Memory Aware Synapses: Learning what (not) to forget, equations 2-4.

    Deviations: Ω of the tasks is summed, as in the paper (its code takes a running mean). In the scenario `task`, f are
    the outputs of the task, as the paper's separate heads have it. Ω is measured on the training examples; the paper
    allows any unlabelled ones. The local (Hebbian) variant is left out. Stiffness above 1 / lr (1e6 with Adam) is
    applied as an implicit step after the optimiser's (`proximal_step`), so no λ diverges.

    Limits:
        in the scenario `class` accuracy stays near that of fine-tuning: importance of weights does not keep the answers
        of past tasks apart from new ones. docs/guards.md measures it there and where tasks share their classes.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import MAS
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", MAS(strength=0.1), digits.space, epochs=5, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.6
        True
    """

    strength: float = 0.005
    samples: int | None = None

    name = "mas"
    reference = "Aljundi et al. 2018"
    factor = 2.0

    def validate(self) -> None:
        super().validate()
        require(self.samples is None or self.samples > 0, f"mas.samples must be 1 or more, got {self.samples}")

    def begin_task(self, state: Spring, learner: LearnerView, task: Data) -> Spring:
        announce_cost(learner, task, self.name)
        return state

    def end_task(self, state: Spring, learner: LearnerView, task: Data) -> Spring:
        importance_P = sensitivity(learner, task, self.samples)
        return merge(state, importance_P, learner.flat.theta_P.detach(), online=True)
