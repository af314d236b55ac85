"""How a task is learned: the budget, the optimiser, the device and the precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import msgspec
import torch

from lifelong.errors import SettingError, require, unknown_name

__all__ = ["Autocast", "Training", "training_from"]

Autocast = Literal["bfloat16", "float16"]


@dataclass(frozen=True)
class Training:
    """Settings of training; the same for every task.

    Arguments:
        epochs: passes over the examples of a task. iterations: steps per task instead of epochs.
        batch: examples per step; the last batch of a pass may be smaller.
        optimizer: sgd, adam or adamw. lr, momentum (sgd), weight_decay: its settings.
        keep_optimizer: True keeps the optimiser's moments from task to task; False makes it anew for each.
        clip: largest norm of the gradient, after the method has changed it; None does not clip.
        device: cpu, cuda, cuda:N or mps. autocast: precision of forward passes; None is float32.

    Raises: `SettingError` for values out of range and devices that are not there.
    """

    epochs: int = 1
    iterations: int | None = None
    batch: int = 32
    optimizer: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.0
    weight_decay: float = 0.0
    keep_optimizer: bool = False
    clip: float | None = None
    device: str = "cpu"
    autocast: Autocast | None = None

    def __post_init__(self) -> None:
        require(self.epochs >= 1, f"epochs must be 1 or more, got {self.epochs}")
        require(self.iterations is None or self.iterations >= 1, f"iterations must be 1 or more, got {self.iterations}")
        require(self.batch >= 1, f"batch must be 1 or more, got {self.batch}")
        require(0 < self.lr < math.inf, f"lr must be above 0 and finite, got {self.lr}")
        require(0 <= self.momentum < 1, f"momentum must be in 0 … 1 (1 excluded), got {self.momentum}")
        require(
            0 <= self.weight_decay < math.inf, f"weight_decay must be 0 or more and finite, got {self.weight_decay}"
        )
        require(self.clip is None or self.clip > 0, f"clip must be above 0, got {self.clip}")
        require(
            self.autocast in (None, "bfloat16", "float16"),
            f"autocast must be bfloat16 or float16, got {self.autocast!r}",
        )
        _check_device(self.device)

    def steps(self, examples: int, task_examples: int) -> int:
        """Steps for one task that trains on `examples` of which `task_examples` are its own.

        >>> Training(epochs=2, batch=32).steps(100, 100), Training(iterations=10).steps(300, 100)
        (8, 30)
        """
        if self.iterations is not None:
            return round(self.iterations * examples / task_examples)
        return self.epochs * self.steps_per_epoch(examples)

    def steps_per_epoch(self, examples: int) -> int:
        """Batches in one pass over `examples`."""
        return -(-examples // self.batch)


def training_from(settings: Mapping[str, Any]) -> Training:
    """`Training` from plain values, which may be text.

    >>> training_from({"lr": "0.5", "keep_optimizer": "true"}).lr
    0.5
    """
    known = [field.name for field in fields(Training)]
    for name in settings:
        if name not in known:
            raise unknown_name("setting of training", name, known)
    try:
        return msgspec.convert(dict(settings), Training, strict=False)
    except msgspec.ValidationError as error:
        given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        raise SettingError(f"training: {error} (given: {given})") from error


def _check_device(name: str) -> None:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingError(f"device must be cpu, cuda, cuda:N or mps, got {name!r}") from error
    missing = (device.type == "cuda" and not torch.cuda.is_available()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    require(not missing, f"device {name!r} is not available on this machine; use cpu")
