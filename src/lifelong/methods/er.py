"""Experience replay: every batch is learned together with a few stored examples."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.memory import Reservoir
from lifelong.methods.base import Step
from lifelong.methods.rehearsal import Rehearsal

__all__ = ["ER"]


@dataclass(frozen=True)
class ER(Rehearsal[Reservoir]):
    """Replay examples from a reservoir beside each batch, with one gradient for both.

    Chinese: 每一批都与蓄水池中抽出的旧样本一起学，合成一个梯度。

    Formula: g = ∇ 1/(|B| + |M_B|) Σ_{(x, y) in B ∪ M_B} −log p(y | x, θ), with M_B drawn from the reservoir.

    Arguments:
        capacity: examples stored, a uniform sample of all that were ever seen.
        replay_batch: |M_B|, stored examples drawn for each step (all of them where fewer are stored).

    Stores: capacity · (4 · D + 16) bytes for inputs of D float32 numbers.

    Reference: Chaudhry et al. 2019, On Tiny Episodic Memories in Continual Learning, algorithms 1 and 2 (reservoir).

    Deviations: the reservoir is filled in the first pass over a task only, so that in several epochs it still holds
    every example with the same probability.

    Example:
        >>> from lifelong import ER, Learner, stream
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", ER(capacity=200), digits.space, epochs=3, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.4
        True
    """

    name = "er"
    reference = "Chaudhry et al. 2019"
    state_class = Reservoir

    def after_step(self, state: Reservoir, step: Step) -> None:
        if step.epoch == 1:
            state.add(step.batch, step.generator)
