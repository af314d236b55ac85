"""Gradients of several tasks' losses at once: with linear layers one pass over all their examples is enough.

Suffixes: T tasks, M examples of each, B examples in all, D inputs and H outputs of a layer, P parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.methods.base import Step
from lifelong.methods.linear import all_linear, deltas, hooks_see_all_uses, once, recorded
from lifelong.types import Examples

__all__ = ["task_gradients"]


def task_gradients(step: Step, tasks: Sequence[Examples]) -> Tensor:
    """The gradient of the mean cross-entropy on each of `tasks`, as rows (T, P).

    For a layer z = W a + b the gradient of task t is Σ_m δ_m a_mᵀ and Σ_m δ_m over its own examples, δ = ∂loss/∂z. So
    where the network is of linear layers, each used once, and the memories are of one size, one pass over all examples
    and one batched product per layer give all rows; else there is a pass for each task.
    """
    sizes = {len(examples) for examples in tasks}
    learner = step.learner
    if len(tasks) > 1 and len(sizes) == 1 and all_linear(learner.model) and hooks_see_all_uses(learner, tasks[0].x):
        rows_TP = _at_once(step, tasks)
        if rows_TP is not None:
            return rows_TP
    return torch.stack([step.gradient_on(examples) for examples in tasks])


def _at_once(step: Step, tasks: Sequence[Examples]) -> Tensor | None:
    """The rows; None where the pass does not go once through every layer, or in another precision."""
    learner, count, size = step.learner, len(tasks), len(tasks[0])
    flat, model = learner.flat, learner.model
    together = Examples.cat(tasks)
    with recorded(model) as calls:
        logits_BC = step.on(together).answer
    every = {id(p) for layer in calls for p in layer.parameters(recurse=False)} == {id(p) for p in flat.parameters}
    if not (every and once(calls, len(together)) and logits_BC.dtype == flat.grad_P.dtype):
        return None
    masked_BC = learner.objective.masked(logits_BC, together.task_numbers())
    loss = F.cross_entropy(masked_BC, together.y, reduction="sum") / size
    rows_TP = flat.grad_P.new_empty(count, len(flat))
    rows = {id(p): rows_TP[:, flat.slices[name]] for name, p in zip(flat.names, flat.parameters, strict=True)}
    for (layer, notes), delta_BH in zip(calls.items(), deltas(loss, calls), strict=True):
        delta_TMH, a_TMD = delta_BH.view(count, size, -1), notes[0][0].view(count, size, -1)
        rows[id(layer.weight)].copy_((delta_TMH.mT @ a_TMD).flatten(1))
        if isinstance(layer.bias, Tensor):
            rows[id(layer.bias)].copy_(delta_TMH.sum(1))
    return rows_TP
