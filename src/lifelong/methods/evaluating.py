"""The mode in which a network is asked rather than trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn

from lifelong.models import Network

__all__ = ["evaluating"]


@contextmanager
def evaluating(model: nn.Module, task: int | Tensor | None = None) -> Iterator[None]:
    """Inside the block the model is in evaluation mode, and the inputs are of `task`, or of the task that is learned.

    Afterwards each of its modules is in the mode it was in.
    """
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        with model.selecting(task) if isinstance(model, Network) and task is not None else nullcontext():
            yield
    finally:
        for module in training:
            module.training = True
