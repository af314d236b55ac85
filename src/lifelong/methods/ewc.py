"""Elastic weight consolidation: weights that mattered for past tasks are held by springs."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.errors import require
from lifelong.methods.base import LearnerView
from lifelong.methods.fisher import FisherKind, fisher_diagonal
from lifelong.methods.per_sample import announce_cost
from lifelong.methods.quadratic_penalty import QuadraticPenalty, Spring, merge
from lifelong.types import Data

__all__ = ["EWC"]


@dataclass(frozen=True)
class EWC(QuadraticPenalty[Spring]):
    """Hold each weight near its past values by a spring as stiff as the weight was important.

    Chinese: 用弹簧把每个参数拉向过去的值，参数越重要，弹簧越硬。

    Formula: L_t(θ) + λ/2 Σ_k Σ_i F_{k,i} (θ_i − θ*_{k,i})², with F_{k,i} = 1/N Σ_n E_y (∂ log p(y | x_n, θ*_k)/∂θ_i)²
    over the tasks k < t, θ*_k the weights after task k. The sum over k is collapsed into one spring exactly.

    Arguments:
        strength: λ ≥ 0. 0 is fine-tuning, bit for bit; with ∞ weights of any importance do not move.
        fisher: y is taken in expectation over the model's answer (`true`), drawn from it once (`sampled`), or the given
            target (`empirical`). `auto` is `true` for up to ten outputs, which takes a backward pass for each, and
            `sampled` beyond and for tokens, which takes one. `batched` is the square of the gradient of a batch's mean
            at the given targets, as in much public code; a published strength that was chosen with it needs it.
        batch: examples of one gradient, for `batched`.
        online: keep one decaying importance and pull to the newest weights: F ← γ F + F_t, c ← θ*_t.
        decay: γ in [0, 1], for `online`.
        samples: at most this many random examples of a task measure F; None takes all.

    Stores: importance and centre, 8 · P bytes for P float32 parameters, however many tasks.

    Reference: Kirkpatrick et al. 2017, Overcoming catastrophic forgetting in neural networks, equation 3;
    `online`: Schwarz et al. 2018, Progress & Compress, section 3.2 (γ there).

    Deviations: the penalty enters as a gradient, not through autograd. Stiffness above 1 / lr, which an explicit step
    of gradient descent cannot carry, is applied as an implicit step after the optimiser's (`proximal_step`), so no λ
    diverges. Adam bounds its steps itself, so there the limit is 1e6, and all below is in the gradient. The paper
    leaves open which Fisher. With `online` the penalty of Schwarz et al. has γ F where this one
    has F: for γ < 1 their strength is λ / γ here.

    Limits:
        in the scenario `class` accuracy stays near that of fine-tuning: importance of weights does not keep the answers
        of past tasks apart from new ones. docs/guards.md measures it there and where tasks share their classes.

    Example:
        >>> from lifelong import EWC, Learner, stream
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", EWC(strength=1000.0), digits.space, epochs=3, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> len(learner.evaluate(digits))
        2
    """

    strength: float = 60.0
    fisher: FisherKind = "auto"
    online: bool = False
    decay: float = 1.0
    samples: int | None = None
    batch: int = 128

    name = "ewc"
    reference = "Kirkpatrick et al. 2017"

    def validate(self) -> None:
        super().validate()
        require(0 <= self.decay <= 1, f"{self.name}.decay must be in 0 … 1, got {self.decay}")
        require(self.samples is None or self.samples > 0, f"{self.name}.samples must be 1 or more, got {self.samples}")
        require(self.batch >= 1, f"{self.name}.batch must be 1 or more, got {self.batch}")

    def begin_task(self, state: Spring, learner: LearnerView, task: Data) -> Spring:
        if self.fisher != "batched":
            announce_cost(learner, task, self.name)
        return state

    def end_task(self, state: Spring, learner: LearnerView, task: Data) -> Spring:
        importance_P = fisher_diagonal(learner, task, self.fisher, self.samples, self.batch)
        return merge(state, importance_P, learner.flat.theta_P.detach(), decay=self.decay, online=self.online)
