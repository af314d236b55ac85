"""No defence: the lower bound."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.methods.base import Method, NoState

__all__ = ["Finetune"]


@dataclass(frozen=True)
class Finetune(Method[NoState]):
    """Learn each task with plain gradient descent and defend nothing: the lower bound.

    Chinese: 每个任务都用普通的梯度下降学习，不加任何防范：下界。

    Formula: θ ← θ − η ∇L_t(θ) on the data of the task t alone.

    Stores: nothing, 0 bytes.

    Reference: McCloskey & Cohen 1989, Catastrophic Interference in Connectionist Networks.

    Deviations: none.

    Example:
        >>> from lifelong import Finetune, Learner, stream
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", Finetune(), digits.space, epochs=2, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> before, after = learner.evaluate(digits)
        >>> before < after
        True
    """

    name = "finetune"
    family = "bounds"
    reference = "McCloskey & Cohen 1989"
