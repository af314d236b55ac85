"""The loss of a task as a function of the weights alone: what is drawn as a surface, and what is bent at its bottom."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import vmap

from lifelong.methods import LearnerView
from lifelong.types import Examples

__all__ = ["Loss", "losses", "task_loss"]

#: θ (P,) → the loss there, one number
Loss = Callable[[Tensor], Tensor]

CHUNK = 16


def task_loss(learner: LearnerView, examples: Examples, dtype: torch.dtype = torch.float32) -> Loss:
    """The mean cross-entropy of `examples`, of one task, as a function of θ (P,) that `vmap` can take many of.

    Arguments: `dtype` of θ and of the arithmetic. The weights of the learner are neither used nor changed.

    >>> from lifelong import Learner, stream
    >>> digits = stream("permuted-digits", tasks=1)
    >>> learner = Learner("mlp:8", space=digits.space)
    >>> loss = task_loss(learner, digits.task(1).train)
    >>> round(float(loss(torch.zeros(len(learner.flat)))), 4)  # ln 10: it knows nothing
    2.3026
    """
    x_BD, number = examples.x.to(dtype), int(examples.task_numbers()[0])

    def loss(theta_P: Tensor) -> Tensor:
        logits_BC = learner.flat.call(learner.model, learner.flat.named(theta_P), x_BD)
        return learner.objective.loss(logits_BC, examples.y, number)

    return loss


@torch.no_grad()
def losses(at: Callable[[Tensor], Tensor], points_KD: Tensor, chunk: int = CHUNK) -> Tensor:
    """`at(point)` for each of K points, `chunk` of them at a time: (K,).

    >>> losses(lambda x_D: x_D.square().sum(), torch.tensor([[1.0, 2.0], [3.0, 0.0]])).tolist()
    [5.0, 9.0]
    """
    values_K: Tensor = vmap(at, chunk_size=chunk)(points_KD)
    return values_K
