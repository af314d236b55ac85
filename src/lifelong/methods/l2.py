"""The plainest spring: every weight is held alike."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lifelong.methods.base import LearnerView
from lifelong.methods.quadratic_penalty import QuadraticPenalty, Spring, merge
from lifelong.types import Data

__all__ = ["L2"]


@dataclass(frozen=True)
class L2(QuadraticPenalty[Spring]):
    """Hold all weights alike near the values that they had after the last task.

    Chinese: 把所有参数同样地拉向学完上一个任务时的值。

    Formula: L_t(θ) + λ/2 ‖θ − θ*_{t−1}‖², θ* the weights after a task.

    Arguments:
        strength: λ ≥ 0. 0 is fine-tuning, bit for bit; with ∞ no weight moves after the first task.

    Stores: importance (ones) and centre, 8 · P bytes for P float32 parameters.

    Reference: Kirkpatrick et al. 2017, Overcoming catastrophic forgetting in neural networks, figure 2 (baseline L2).

    Deviations: rows that the head grows for a new task are free in that task. Stiffness above 1 / lr (1e6 with Adam) is
    applied as an implicit step after the optimiser's (`proximal_step`), so no λ diverges.

    Limits:
        in the scenario `class` accuracy stays near that of fine-tuning: importance of weights does not keep the answers
        of past tasks apart from new ones. docs/guards.md measures it there and where tasks share their classes.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import L2
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", L2(strength=0.2), digits.space, epochs=5, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.6
        True
    """

    strength: float = 0.03

    name = "l2"
    reference = "Kirkpatrick et al. 2017"

    def end_task(self, state: Spring, learner: LearnerView, task: Data) -> Spring:
        theta_P = learner.flat.theta_P.detach()
        return merge(state, torch.ones_like(theta_P), theta_P, decay=0.0, online=True)
