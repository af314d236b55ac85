"""ER with asymmetric cross-entropy: new classes do not push the old ones aside."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.memory import Reservoir
from lifelong.methods.base import Claim, Inner, Step
from lifelong.methods.er import ER
from lifelong.methods.rehearsal import in_one_pass

__all__ = ["ERACE"]


@dataclass(frozen=True)
class ERACE(ER):
    """Learn a batch among its own classes only, and what is replayed among all.

    Chinese: 新的一批只在它自己的类别之间学习，重放的样本在所有类别之间学习。

    Formula: L(θ) = CE(B; classes in B) + CE(M_B; all outputs that count), each a mean, with M_B drawn from a reservoir.
    The logits of classes that are not in the batch get no gradient from it, so old classes keep their features.

    Arguments:
        capacity: examples stored, a uniform sample of all that were ever seen.
        replay_batch: |M_B|, stored examples drawn for each step (all of them where fewer are stored).

    Stores: capacity · (4 · D + 16) bytes for inputs of D float32 numbers.

    Reference: Caccia et al. 2022, New Insights on Reducing Abrupt Representation Change in Online Continual Learning,
    equation 4.

    Deviations: replayed examples compete among all outputs that count, where the paper has the classes seen so far;
    these are the same with growing heads. The reservoir is filled in the first pass over a task only. Where every
    batch has all classes that count (most often so in the scenarios domain and task), it is ER with the mean over the
    batch and the mean over the replay added up. In a chain the losses inside are those of the replayed examples.
    Batch and replay go through the network in one pass, but where it has batch normalisation.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import ERACE
        >>> digits = stream("split-digits", scenario="class", tasks=2)
        >>> learner = Learner("mlp:32", ERACE(capacity=200), digits.space, epochs=3, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.4
        True
    """

    replay_batch: int = 16

    name = "er-ace"
    reference = "Caccia et al. 2022"
    objectives = ("classes",)
    claims = Claim.STORES_BATCHES | Claim.REPLACES_LOSS
    disabled_settings = None
    least = 1

    def loss(self, state: Reservoir, step: Step, inner: Inner) -> Tensor:
        batch, replays = step.batch, [state.sample(self.replay_batch, step.generator)] if len(state) > 0 else []
        step, *replayed = in_one_pass(step, *replays)
        objective = step.learner.objective
        logits_BC = objective.outputs(step.answer.float(), batch.task)
        absent_C = torch.ones_like(logits_BC[0], dtype=torch.bool).index_fill(0, batch.y, False)
        present_BC = logits_BC.masked_fill(absent_C, float("-inf"))
        loss = objective.of(batch.task).loss(present_BC, batch.y, batch.task)
        return loss + inner(replayed[0]) if replayed else loss
