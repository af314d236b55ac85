"""Dark experience replay with labels beside the answers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from lifelong.errors import require
from lifelong.memory import Reservoir
from lifelong.methods.base import Inner, Step
from lifelong.methods.der import DER
from lifelong.methods.rehearsal import in_one_pass

__all__ = ["DERPP"]


@dataclass(frozen=True)
class DERPP(DER):
    """Replay stored inputs against their past logits, and others against their labels.

    Chinese: 重放保存的输入，一部分对照当时的 logits，另一部分对照标签。

    Formula: L(θ) = CE(B) + α · mean over (x, z) in M' of (h_θ(x) − z)² + β · CE(M''), with M' and M'' drawn apart from
    one reservoir.

    Arguments:
        capacity: examples stored, a uniform sample of all that were ever seen.
        replay_batch: |M'| = |M''|, stored examples drawn for each (all of them where fewer are stored).
        alpha: α ≥ 0, the weight of the past answers.
        beta: β ≥ 0, the weight of the labels; 0 is DER.

    Stores: capacity · (4 · D + 4 · C + 16) bytes for inputs of D float32 numbers and C outputs.

    Reference: Buzzega et al. 2020, Dark Experience for General Continual Learning: a Strong, Simple Baseline,
    equation 7, algorithm 2.

    Deviations: those of `der`: squares averaged over outputs too, outputs that come later held to the logits with
    which they begin, every pass over a task offered to the reservoir, one pass through networks without batch
    normalisation.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import DERPP
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", DERPP(capacity=200), digits.space, epochs=3, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.4
        True
    """

    alpha: float = 0.7
    beta: float = 1.5

    name = "der++"
    needs = ("labels", "memory")

    def validate(self) -> None:
        super().validate()
        require(self.beta >= 0, f"der++.beta must be 0 or more, got {self.beta}")

    def loss(self, state: Reservoir, step: Step, inner: Inner) -> Tensor:
        if len(state) == 0 or self.beta == 0:
            return super().loss(state, step, inner)
        table, place_B = state.draw(self.replay_batch, step.generator)
        labelled = state.sample(self.replay_batch, step.generator)
        step, replay, known = in_one_pass(step, table.at(place_B), labelled)
        distance = F.mse_loss(replay.answer.float(), table.column("answer", place_B))
        return inner(step) + self.alpha * distance + self.beta * known.base_loss()
