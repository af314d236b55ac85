"""The diagonal of the Fisher information: how much each weight matters for the model's answers.

    F_i = 1/N Σ_n E_y [ (∂ log p(y | x_n, θ) / ∂θ_i)² ]

The square is taken per sample, before the mean. What y is gives the name: `true` takes the expectation over the model's
own p(y | x_n), `sampled` draws one y from it, `empirical` takes the given target, and `auto` is `true` where there are
few outputs and else `sampled`: a backward pass for each output, or one. `batched` is what much public code has
instead, and results were published with: the square of the gradient of a batch's mean, at the given labels. It depends
on the size of the batch and is smaller by about that factor, so a strength that was chosen with it needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from lifelong.methods.base import LearnerView
from lifelong.methods.inference import chunks, evaluating, subset
from lifelong.methods.per_sample import given_labels, per_sample_power_sum
from lifelong.objectives import Objective
from lifelong.types import Data, Examples, Tree

__all__ = ["FisherKind", "exact_or_sampled", "fisher_diagonal"]

FisherKind = Literal["auto", "true", "sampled", "empirical", "batched"]

#: so many outputs are few enough for a backward pass each
FEW = 10


def fisher_diagonal(
    learner: LearnerView, task: Data, kind: FisherKind, samples: int | None = None, batch: int = 128
) -> Tensor:
    """The Fisher diagonal (P,) at θ over the examples of one task, in evaluation mode.

    The generator of the learner is drawn from for `samples` and where y is sampled only.

    Args:
        learner: Whose θ, and objective.
        task: The examples of one task.
        kind: What y is; `auto` decides by the number of outputs (`exact_or_sampled`).
        samples: Caps N by a random subset.
        batch: How many examples make one gradient, for `batched` alone.
    """
    task, objective = subset(learner, task, samples), learner.objective
    if kind == "batched":
        return _batched(learner, task, batch)

    def choices(answer: Tensor, chunk: Examples) -> Iterator[tuple[Tree, Tensor]]:
        asked = exact_or_sampled(objective, answer, chunk.task) if kind == "auto" else kind
        if asked == "true":
            return objective.support(answer, chunk.task)
        if asked == "sampled":
            drawn = objective.draw(answer, chunk.task, learner.generator)
            return iter([(drawn, torch.ones(len(answer), device=answer.device))])
        return given_labels(answer, chunk)

    return per_sample_power_sum(learner, task, objective.losses, 2, choices) / len(task)


def exact_or_sampled(objective: Objective, answer: Tensor, task: int | Tensor) -> FisherKind:
    """The exact sum where it has few terms, else one draw; the given target where the objective can do neither."""
    outputs = int(torch.isfinite(objective.masked(answer[:1], task if isinstance(task, int) else task[:1])).sum())
    if outputs <= FEW and answer.ndim == 2 and type(objective).support is not Objective.support:
        return "true"
    return "sampled" if type(objective).draw is not Objective.draw else "empirical"


def _batched(learner: LearnerView, task: Data, batch: int) -> Tensor:
    """1/⌈N/B⌉ Σ_b (∂/∂θ 1/|b| Σ_{n ∈ b} log p(y_n | x_n, θ))²."""
    total_P, parts = torch.zeros_like(learner.flat.grad_P), 0
    for some in chunks(learner, task, batch):
        with evaluating(learner.model, some.task), torch.enable_grad():
            loss = learner.objective.loss(learner.model(some.x).float(), some.y, some.task)
            total_P += learner.flat.gradient(loss).square()
        parts += 1
    return total_P / parts
