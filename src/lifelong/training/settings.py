"""How a task is learned: the budget, the optimiser, what happens to a batch, the device and the precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import msgspec
import torch

from lifelong.errors import SettingError, require, unknown_name
from lifelong.methods.compatibility import check_types

__all__ = ["Autocast", "Schedule", "Training", "training_from"]

Autocast = Literal["bfloat16", "float16"]
Schedule = Literal["constant", "linear", "cosine", "step"]


@dataclass(frozen=True)
class Training:
    """Settings of training; the same for every task.

    Args:
        epochs: Passes over the examples of a task.
        iterations: Steps per task instead of epochs.
        batch: Examples per step; the last batch of a pass may be smaller. Where the network has BatchNorm, a last
            batch of one example is joined to the one before.
        optimizer: sgd, adam or adamw.
        lr: Its step size. momentum: of sgd. weight_decay: its settings.
        keep_optimizer: True keeps the optimiser's moments from task to task; False makes it anew for each.
        clip: Largest norm of the gradient, after the method has changed it; None does not clip.
        schedule: The step size within a task, as a factor of `lr` that begins at 1: `constant`; `linear` and `cosine`
            fall to 0 at the task's last step; `step` is divided by ten after half and after three quarters of them.
        warmup: Steps at the start of each task in which the step size rises evenly to `lr`.
        accumulate: Pieces in which a batch goes through the network, one after another, for less memory; the step is
            that of the whole batch (a replay method draws for each piece).
        augment: What is done to inputs in training, drawn anew each time: `crop:4` (pixels of padding), `flip`,
            `color:0.4` (strength), `mixup:0.2` (α), several as in `crop:4,flip`, or `package.module:function`.
        normalize: (x − mean) / deviation as part of the network: `first-task` measures both on the first task.
        patience: Epochs without a better score on the validation split after which a task ends early, at the best
            weights; None always takes all epochs.
        class_weights: Weights of the classes in the training loss: `balanced`, N / (K · N_c) over the task's K classes;
            None weighs examples alike.
        eval_batch: Examples per forward pass without gradients; None chooses at most 2,048 and at most 32 MiB of input.
        device: cpu, cuda, cuda:N or mps.
        autocast: Precision of forward passes; None is float32.

    Raises:
        SettingError: A value has the wrong type, is out of range, or names a device that is not there.
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
    schedule: Schedule = "constant"
    warmup: int = 0
    accumulate: int = 1
    augment: str | None = None
    normalize: Literal["first-task"] | None = None
    patience: int | None = None
    class_weights: Literal["balanced"] | None = None
    eval_batch: int | None = None

    def __post_init__(self) -> None:
        check_types("training", self, ("clip",))
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
            self.autocast is None or self.autocast in get_args(Autocast),
            f"autocast must be bfloat16 or float16, got {self.autocast!r}",
        )
        require(
            self.schedule in get_args(Schedule),
            f"schedule must be one of {', '.join(get_args(Schedule))}, got {self.schedule!r}",
        )
        require(self.warmup >= 0, f"warmup must be 0 or more steps, got {self.warmup}")
        require(
            1 <= self.accumulate <= self.batch,
            f"accumulate must be in 1 … batch ({self.batch}) pieces, got {self.accumulate}",
        )
        require(self.normalize in (None, "first-task"), f"normalize must be first-task, got {self.normalize!r}")
        require(self.class_weights in (None, "balanced"), f"class_weights must be balanced, got {self.class_weights!r}")
        require(self.patience is None or self.patience >= 1, f"patience must be 1 or more, got {self.patience}")
        require(
            self.patience is None or self.iterations is None,
            "patience counts epochs; give epochs in place of iterations",
        )
        require(self.eval_batch is None or self.eval_batch >= 1, f"eval_batch must be 1 or more, got {self.eval_batch}")
        _check_device(self.device)

    def steps(self, examples: int, task_examples: int, per_epoch: int | None = None) -> int:
        """Steps for one task that trains on `examples` of which `task_examples` are its own, `per_epoch` in a pass.

        Example:
            >>> Training(epochs=2, batch=32).steps(100, 100), Training(iterations=10).steps(300, 100)
            (8, 30)
        """
        if self.iterations is not None:
            return round(self.iterations * examples / task_examples)
        return self.epochs * (self.steps_per_epoch(examples) if per_epoch is None else per_epoch)

    def steps_per_epoch(self, examples: int, joined: bool = False) -> int:
        """Batches in one pass over `examples`; with `joined` a last batch of one belongs to the one before.

        Example:
            >>> Training(batch=32).steps_per_epoch(33), Training(batch=32).steps_per_epoch(33, joined=True)
            (2, 1)
        """
        lone = joined and examples > self.batch and examples % self.batch == 1
        return -(-examples // self.batch) - lone

    def rate(self, number: int, steps: int) -> float:
        """The factor of `lr` in step `number` (from 1) of `steps`.

        Example:
            >>> Training(warmup=2).rate(1, 10), Training(schedule="linear").rate(6, 10)
            (0.5, 0.5)
        """
        if number <= self.warmup:
            return number / self.warmup
        done = (number - 1 - self.warmup) / max(1, steps - self.warmup)
        match self.schedule:
            case "linear":
                return 1 - done
            case "cosine":
                return (1 + math.cos(math.pi * done)) / 2
            case "step":
                return 0.1 ** ((done >= 0.5) + (done >= 0.75))
            case _:
                return 1.0

    @property
    def scheduled(self) -> bool:
        """Whether the step size changes within a task."""
        return self.warmup > 0 or self.schedule != "constant"


def training_from(settings: Mapping[str, Any]) -> Training:
    """`Training` from plain values, which may be text.

    Example:
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
        values = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        raise SettingError(f"training: {error} (given: {values})") from error


def _check_device(name: str) -> None:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingError(f"device must be cpu, cuda, cuda:N or mps, got {name!r}") from error
    missing = (device.type == "cuda" and not torch.cuda.is_available()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    require(not missing, f"device {name!r} is not available on this machine; use cpu")
