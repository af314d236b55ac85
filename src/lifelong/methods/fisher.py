"""The diagonal of the Fisher information: how much each weight matters for the model's answers.

    F_i = 1/N Σ_n E_y [ (∂ log p(y | x_n, θ) / ∂θ_i)² ]

The square is taken per sample, before the mean. What y is gives the name: `true` takes the expectation over the model's
own p(y | x_n), `sampled` draws one y from it, `empirical` takes the given label. `batched` is what much public code has
instead, and results were published with: the square of the gradient of a batch's mean, at the given labels. It depends
on the size of the batch and is smaller by about that factor, so a strength that was chosen with it needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from lifelong.methods.base import Student
from lifelong.methods.evaluating import evaluating
from lifelong.methods.per_sample import chunks, given, subset, summed
from lifelong.types import Examples

__all__ = ["FisherKind", "fisher_diagonal"]

FisherKind = Literal["true", "sampled", "empirical", "batched"]


def fisher_diagonal(
    student: Student, task: Examples, kind: FisherKind, samples: int | None = None, batch: int = 128
) -> Tensor:
    """The Fisher diagonal (P,) at θ over the examples of one task, in evaluation mode.

    Arguments: `kind` what y is; `samples` caps N by a random subset; `batch`, how many make one gradient, counts for
    `kind="batched"` alone. The generator of the student is drawn from for `samples` and for `kind="sampled"` only.
    """
    task = subset(student, task, samples)
    outputs = student.outputs
    if kind == "batched":
        return _batched(student, task, batch)

    def log_likelihood(logits_BC: Tensor, y_B: Tensor, task: int | Tensor) -> Tensor:
        return outputs.log_probabilities(logits_BC, task).gather(1, y_B[:, None])[:, 0]

    choices = given if kind == "empirical" else partial(_every_label if kind == "true" else _drawn_label, student)
    return summed(student, task, log_likelihood, 2, choices) / len(task)


def _batched(student: Student, task: Examples, batch: int) -> Tensor:
    """1/⌈N/B⌉ Σ_b (∂/∂θ 1/|b| Σ_{n ∈ b} log p(y_n | x_n, θ))²."""
    total_P, parts = torch.zeros_like(student.flat.grad_P), list(chunks(task, batch))
    for some in parts:
        with evaluating(student.model, some.task), torch.enable_grad():
            loss = student.outputs.loss(student.model(some.x).float(), some.y, some.task)
            total_P += student.flat.gradient(loss).square()
    return total_P / len(parts)


def _every_label(student: Student, logits_BC: Tensor, chunk: Examples) -> Iterator[tuple[Tensor, Tensor]]:
    """Each label that counts, weighted by its probability."""
    p_BC = student.outputs.log_probabilities(logits_BC, chunk.task).exp()
    for label in (p_BC > 0).any(0).nonzero()[:, 0].tolist():
        yield torch.full_like(chunk.y, label), p_BC[:, label]


def _drawn_label(student: Student, logits_BC: Tensor, chunk: Examples) -> Iterator[tuple[Tensor, Tensor]]:
    """One label drawn from the model's answer."""
    p_BC = student.outputs.log_probabilities(logits_BC, chunk.task).exp()
    y_B = torch.multinomial(p_BC.double().cpu(), 1, generator=student.generator)[:, 0]
    yield y_B.to(chunk.y.device), torch.ones_like(p_BC[:, 0])
