"""The diagonal of the Fisher information: how much each weight matters for the model's answers.

    F_i = 1/N Σ_n E_y [ (∂ log p(y | x_n, θ) / ∂θ_i)² ]

The square is taken per sample, before the mean. What y is gives the name: `true` takes the expectation over the model's
own p(y | x_n), `sampled` draws one y from it, `empirical` takes the given label. `batched` is what much public code has
instead, and results were published with: the square of the gradient of a batch's mean, at the given labels. It depends
on the size of the batch and is smaller by about that factor, so a strength that was chosen with it needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from lifelong.methods.base import LearnerView
from lifelong.methods.evaluating import evaluating
from lifelong.methods.per_sample import chunks, given, per_sample_power_sum, subset
from lifelong.types import Examples

__all__ = ["FisherKind", "fisher_diagonal"]

FisherKind = Literal["true", "sampled", "empirical", "batched"]


def fisher_diagonal(
    learner: LearnerView, task: Examples, kind: FisherKind, samples: int | None = None, batch: int = 128
) -> Tensor:
    """The Fisher diagonal (P,) at θ over the examples of one task, in evaluation mode.

    Arguments: `kind` what y is; `samples` caps N by a random subset; `batch`, how many make one gradient, counts for
    `kind="batched"` alone. The generator of the learner is drawn from for `samples` and for `kind="sampled"` only.
    """
    task, objective = subset(learner, task, samples), learner.objective
    if kind == "batched":
        return _batched(learner, task, batch)

    def choices(answer: Tensor, chunk: Examples) -> Iterator[tuple[Tensor, Tensor]]:
        if kind == "true":
            return objective.support(answer, chunk.task)
        if kind == "sampled":
            drawn = objective.draw(answer, chunk.task, learner.generator)
            return iter([(drawn, torch.ones(len(drawn), device=drawn.device))])
        return given(answer, chunk)

    return per_sample_power_sum(learner, task, objective.losses, 2, choices) / len(task)


def _batched(learner: LearnerView, task: Examples, batch: int) -> Tensor:
    """1/⌈N/B⌉ Σ_b (∂/∂θ 1/|b| Σ_{n ∈ b} log p(y_n | x_n, θ))²."""
    total_P, parts = torch.zeros_like(learner.flat.grad_P), list(chunks(task, batch))
    for some in parts:
        with evaluating(learner.model, some.task), torch.enable_grad():
            loss = learner.objective.loss(learner.model(some.x).float(), some.y, some.task)
            total_P += learner.flat.gradient(loss).square()
    return total_P / len(parts)
