"""Maximally interfered retrieval: replay what the step about to be taken would hurt most."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.memory import Reservoir
from lifelong.methods.base import Inner, Step
from lifelong.methods.er import ER
from lifelong.methods.inference import evaluating
from lifelong.methods.rehearsal import joined_loss
from lifelong.types import Examples

__all__ = ["MIR", "interference"]


@dataclass(frozen=True)
class MIR(ER):
    """Replay those stored examples whose loss the step on the batch alone would raise most.

    Chinese: 重放那些若只学当前这批、损失会上升最多的样本。

    Formula: θᵛ = θ − lr · ∇L(B; θ); M_B holds the largest l(x, y; θᵛ) − l(x, y; θ) among candidates drawn from the
    reservoir; then one gradient for B ∪ M_B, as in ER.

    Arguments:
        capacity: examples stored, a uniform sample of all that were ever seen.
        replay_batch: |M_B|, stored examples replayed in each step.
        candidates: stored examples drawn for each step, among which to choose; `replay_batch` or more.

    Stores: capacity · (4 · D + 16) bytes for inputs of D float32 numbers.

    Reference: Aljundi et al. 2019, Online Continual Learning with Maximally Interfered Retrieval, algorithm 1 (ER-MIR),
    criterion s_MI-1.

    Deviations: the virtual step is one of plain gradient descent, whatever the optimiser, and it and the two losses are
    measured in evaluation mode: dropout has no part in the choice, and running statistics are not moved by it. The
    reservoir is filled in the first pass over a task only. In a chain it is the batch's cross-entropy that the virtual
    step descends.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import MIR
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", MIR(capacity=200), digits.space, epochs=3, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.4
        True
    """

    candidates: int = 96

    name = "mir"
    reference = "Aljundi et al. 2019"

    def validate(self) -> None:
        super().validate()
        require(
            self.candidates >= self.replay_batch,
            f"mir.candidates must be replay_batch = {self.replay_batch} or more, got {self.candidates}",
        )

    def loss(self, state: Reservoir, step: Step, inner: Inner) -> Tensor:
        if len(state) == 0:
            return inner(step)
        chosen = state.sample(self.candidates, step.generator)
        if len(chosen) > self.replay_batch:
            with evaluating(step.learner.model):
                virtual_P = torch.sub(step.theta_P, step.gradient_on(step.batch), alpha=step.lr)
            rise_M = interference(step, chosen, virtual_P)
            chosen = chosen.at(rise_M.topk(self.replay_batch).indices)
        return joined_loss(step, chosen, inner)


@torch.no_grad()
def interference(step: Step, examples: Examples, virtual_P: Tensor) -> Tensor:
    """By how much the loss of each example would rise if θ became `virtual_P`; θ itself is left alone."""
    learner = step.learner
    with evaluating(learner.model), learner.autocast():
        with learner.flat.holding(virtual_P):
            after_MC = step.forward(examples.x, examples.task)
        before_MC = step.forward(examples.x, examples.task)
    task, losses = examples.task, learner.objective.losses
    return losses(after_MC.float(), examples.y, task) - losses(before_MC.float(), examples.y, task)
