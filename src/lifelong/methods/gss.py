"""Gradient-based sample selection: keep a memory whose gradients differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.memory import PriorityBuffer, kind_of
from lifelong.methods.base import LearnerView, Step, StreamSize
from lifelong.methods.per_sample import announce_cost, products
from lifelong.methods.rehearsal import Rehearsal
from lifelong.types import Data, Examples

__all__ = ["GSS", "inner_products", "normalised", "pooled"]


@dataclass(frozen=True)
class GSS(Rehearsal[PriorityBuffer]):
    """Replay from a memory that prefers examples whose gradients point elsewhere.

    Chinese: 记忆优先保存梯度方向各不相同的样本，并从中重放。

    Formula: score c(x) = 1 + max over m in S of cos(∇l(x; θ), ∇l(m; θ)), S a random subset of the memory. While there
    is room all examples are kept. Then one with c < 1 challenges a place drawn with probability C_i / Σ C, and takes it
    with probability C_i / (C_i + c). Every batch is learned with replayed examples, with one gradient, as in ER.

    Arguments:
        capacity: examples stored.
        replay_batch: stored examples drawn for each step (all of them where fewer are stored).
        subset: |S|, stored examples that a batch is compared with.
        gate: what must have c < 1 for an example to challenge: the `example` itself, as algorithm 2 is written, or its
            `batch`, whose gradient is the mean: all examples of the batch challenge then, or none, as in the code of
            the paper's authors. The larger the memory's variety, the rarer is an example that is unlike all of it.

    Stores: capacity · (4 · D + 20) bytes for inputs of D float32 numbers. The cosines come from each layer's inputs and
    the gradients of its outputs; networks that are not made of linear layers alone need (|B| + |S|) · P numbers for a
    while in every step.

    Reference: Aljundi et al. 2019, Gradient based sample selection for online continual learning, algorithm 2
    (GSS-Greedy).

    Deviations: the examples of a batch are compared with one subset S, and decided by the scores held before the
    batch. What comes while the memory is empty has the score 1 (like nothing, unlike nothing). Gradients are taken in
    evaluation mode, after the step. Examples are offered in the first pass over a task only.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import GSS
        >>> digits = stream("permuted-digits", tasks=2)
        >>> learner = Learner("mlp:32", GSS(capacity=1000), digits.space, epochs=3, lr=0.1)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> min(learner.evaluate(digits)) > 0.4
        True
    """

    subset: int = 10
    gate: Literal["example", "batch"] = "example"

    name = "gss"
    reference = "Aljundi et al. 2019"
    state_class = PriorityBuffer

    def validate(self) -> None:
        super().validate()
        require(self.subset >= 1, f"gss.subset must be 1 or more, got {self.subset}")

    def declared_bytes(self, size: StreamSize) -> int:
        return self.capacity * (size.example_bytes + 4)

    def begin_task(self, state: PriorityBuffer, learner: LearnerView, task: Data) -> PriorityBuffer:
        announce_cost(learner, task, self.name)
        return super().begin_task(state, learner, task)

    def after_step(self, state: PriorityBuffer, step: Step) -> None:
        if step.epoch > 1 or self.capacity == 0:
            return
        batch, size, gate_B = step.batch, len(step.batch), None
        score_B = torch.ones(size, device=batch.device)
        like = state.sample(self.subset, step.generator) if len(state) > 0 else None
        if like is not None and kind_of(like) == kind_of(batch):
            gram_NN = inner_products(step.learner, Examples.cat([batch, like]))
            score_B += normalised(gram_NN)[:size, size:].amax(1)
            if self.gate == "batch":
                gate_B = (1 + normalised(pooled(gram_NN, size))[0, 1:].amax()).expand(size)
        state.offer(batch, score_B, step.generator, gate_B)


def normalised(gram_NN: Tensor) -> Tensor:
    """The cosines (N, N) of vectors whose inner products are given; 0 with a vector that is 0."""
    length_N = gram_NN.diagonal().sqrt().clamp_min(1e-12)
    return (gram_NN / torch.outer(length_N, length_N)).clamp_(-1.0, 1.0)


def pooled(gram_NN: Tensor, first: int) -> Tensor:
    """Inner products where the mean of the `first` vectors takes their place.

    >>> pooled(torch.tensor([[4.0, 0.0, 2.0], [0.0, 4.0, 6.0], [2.0, 6.0, 9.0]]), 2).tolist()
    [[2.0, 4.0], [4.0, 9.0]]
    """
    rows = torch.cat([gram_NN[:first].mean(0, keepdim=True), gram_NN[first:]])
    return torch.cat([rows[:, :first].mean(1, keepdim=True), rows[:, first:]], dim=1)


def inner_products(learner: LearnerView, examples: Examples) -> Tensor:
    """⟨∇l(x_n), ∇l(x_m)⟩ (N, N), l the loss of one example, whatever its task, in evaluation mode."""
    return products(learner, examples, learner.objective.losses)
