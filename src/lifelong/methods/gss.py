"""Gradient-based sample selection: keep a memory whose gradients differ."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.errors import require
from lifelong.memory import PriorityBuffer
from lifelong.methods.base import Claim, Inner, LearnerView, Method, Step, StreamSize
from lifelong.methods.per_sample import products
from lifelong.types import Examples

__all__ = ["GSS", "inner_products", "normalised", "pooled"]


@dataclass(frozen=True)
class GSS(Method[PriorityBuffer]):
    """Replay from a memory that prefers examples whose gradients point elsewhere.

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

    capacity: int = 500
    replay_batch: int = 32
    subset: int = 10
    gate: Literal["example", "batch"] = "example"

    name = "gss"
    family = "replay"
    reference = "Aljundi et al. 2019"
    needs = ("labels", "memory")
    claims = Claim.STORES_BATCHES
    disabled_settings = MappingProxyType({"capacity": 0})

    def validate(self) -> None:
        require(self.capacity >= 0, f"gss.capacity must be 0 or more, got {self.capacity}")
        require(self.replay_batch >= 1, f"gss.replay_batch must be 1 or more, got {self.replay_batch}")
        require(self.subset >= 1, f"gss.subset must be 1 or more, got {self.subset}")

    @property
    def state_type(self) -> type[PriorityBuffer]:
        return PriorityBuffer

    def declared_bytes(self, size: StreamSize) -> int:
        return self.capacity * (size.input_bytes + 20)

    def init(self, learner: LearnerView) -> PriorityBuffer:
        return PriorityBuffer(self.capacity)

    def loss(self, state: PriorityBuffer, step: Step, inner: Inner) -> Tensor:
        if len(state) == 0:
            return inner(step)
        replayed = state.sample(self.replay_batch, step.generator)
        return inner(step.on(Examples.cat([step.batch, replayed])))

    def after_step(self, state: PriorityBuffer, step: Step) -> None:
        if step.epoch > 1 or self.capacity == 0:
            return
        batch, score_B, gate_B = step.batch, torch.ones_like(step.batch.y, dtype=torch.float32), None
        if len(state) > 0:
            gram_NN = inner_products(step.learner, Examples.cat([batch, state.sample(self.subset, step.generator)]))
            own_NN, own = normalised(gram_NN), len(batch)
            score_B += own_NN[:own, own:].amax(1)
            if self.gate == "batch":
                gate_B = (1 + normalised(pooled(gram_NN, own))[0, 1:].amax()).expand(own)
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
    """⟨∇l(x_n), ∇l(x_m)⟩ (N, N), l the cross-entropy of one example, whatever its task, in evaluation mode."""
    # one example stands for all positions: its label and its mask are looked up by its place
    place_N = torch.arange(len(examples), device=examples.y.device)

    def cross_entropy(logits_BC: Tensor, place_B: Tensor, _: int | Tensor) -> Tensor:
        zeros_NC = torch.zeros(len(examples), logits_BC.shape[1], device=place_N.device)
        mask_NC = learner.objective.masked(zeros_NC, examples.task)
        return F.cross_entropy(logits_BC + mask_NC[place_B], examples.y[place_B], reduction="none")

    return products(learner, Examples(examples.x, place_N, examples.task), cross_entropy)
