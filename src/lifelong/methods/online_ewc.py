"""Elastic weight consolidation with one decaying importance, pulled to the newest weights."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.errors import require
from lifelong.methods.base import LearnerView
from lifelong.methods.fisher import FisherKind, fisher_diagonal
from lifelong.methods.quadratic_penalty import QuadraticPenalty, Spring, merge
from lifelong.types import Examples

__all__ = ["OnlineEWC"]


@dataclass(frozen=True)
class OnlineEWC(QuadraticPenalty):
    """Hold each weight near its newest value by a spring whose stiffness is a decaying sum of importances.

    Formula: L_t(θ) + λ/2 Σ_i F̃_i (θ_i − θ*_{t−1,i})², with F̃ ← γ F̃ + F_t after task t and
    F_{t,i} = 1/N Σ_n E_y (∂ log p(y | x_n, θ*_t)/∂θ_i)².

    Arguments:
        strength: λ ≥ 0. 0 is fine-tuning, bit for bit; with ∞ weights of any importance do not move.
        decay: γ in [0, 1], what is kept of the former importance at the end of a task.
        fisher: y is taken in expectation over the model's answer (`true`), drawn from it once (`sampled`), or the
            given label (`empirical`). `batched` is the square of the gradient of a batch's mean at the given labels, as
            in much public code; a published strength that was chosen with it needs it.
        batch: examples of one gradient, for `batched`.
        samples: at most this many random examples of a task measure F; None takes all.

    Stores: importance and centre, 8 · P bytes for P float32 parameters.

    Reference: Schwarz et al. 2018, Progress & Compress: A scalable framework for continual learning, section 3.2.

    Deviations: the paper normalises every F_t where the scales of tasks differ (in reinforcement learning); this does
    not. The default γ is 1, as for tasks of equal weight. The paper's penalty has γ F̃ where this one has F̃: for γ < 1
    its strength is λ / γ here. Stiffness above 1 / lr (1e6 with Adam) is applied as an
    implicit step after the optimiser's (`proximal_step`), so no λ diverges. Progress & Compress itself, with its two
    networks, is not part of it.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import OnlineEWC
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", OnlineEWC(strength=100.0), digits.space, epochs=5, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.6
        True
    """

    strength: float = 50.0
    decay: float = 1.0
    fisher: FisherKind = "true"
    samples: int | None = None
    batch: int = 128

    name = "online-ewc"
    reference = "Schwarz et al. 2018"

    def validate(self) -> None:
        super().validate()
        require(0 <= self.decay <= 1, f"online-ewc.decay must be in 0 … 1, got {self.decay}")
        require(self.samples is None or self.samples > 0, f"online-ewc.samples must be 1 or more, got {self.samples}")
        require(self.batch >= 1, f"online-ewc.batch must be 1 or more, got {self.batch}")

    def end_task(self, state: Spring, learner: LearnerView, task: Examples) -> Spring:
        importance_P = fisher_diagonal(learner, task, self.fisher, self.samples, self.batch)
        return merge(state, importance_P, learner.flat.theta_P.detach(), decay=self.decay, online=True)
