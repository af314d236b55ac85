"""Elastic weight consolidation with one decaying importance, pulled to the newest weights."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.errors import require
from lifelong.methods.ewc import EWC

__all__ = ["OnlineEWC"]


@dataclass(frozen=True)
class OnlineEWC(EWC):
    """Hold each weight near its newest value by a spring whose stiffness is a decaying sum of importances.

    Chinese: 用弹簧把每个参数拉向最新的值，弹簧的硬度是重要性逐渐衰减的累加。

    Formula: L_t(θ) + λ/2 Σ_i F̃_i (θ_i − θ*_{t−1,i})², with F̃ ← γ F̃ + F_t after task t and
    F_{t,i} = 1/N Σ_n E_y (∂ log p(y | x_n, θ*_t)/∂θ_i)².

    Arguments:
        strength: λ ≥ 0. 0 is fine-tuning, bit for bit; with ∞ weights of any importance do not move.
        decay: γ in [0, 1], what is kept of the former importance at the end of a task.
        online: True; the method is `ewc` with it.
        fisher: see `ewc`. batch: see `ewc`. samples: see `ewc`.

    Stores: importance and centre, 8 · P bytes for P float32 parameters.

    Reference: Schwarz et al. 2018, Progress & Compress: A scalable framework for continual learning, section 3.2.

    Deviations: the paper normalises every F_t where the scales of tasks differ (in reinforcement learning); this does
    not. The default γ is 1, as for tasks of equal weight. The paper's penalty has γ F̃ where this one has F̃: for γ < 1
    its strength is λ / γ here. Stiffness above 1 / lr (1e6 with Adam) is applied as an
    implicit step after the optimiser's (`proximal_step`), so no λ diverges. Progress & Compress itself, with its two
    networks, is not part of it.

    Limits:
        in the scenario `class` accuracy stays near that of fine-tuning: importance of weights does not keep the answers
        of past tasks apart from new ones. docs/guards.md measures it there and where tasks share their classes.

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

    strength: float = 60.0
    online: bool = True

    name = "online-ewc"
    reference = "Schwarz et al. 2018"

    def validate(self) -> None:
        super().validate()
        require(self.online, "online-ewc.online must be true, got False; use ewc")
