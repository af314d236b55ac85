"""The training loop; it exists once.

    for every batch of the task, in an order drawn from the learner's seed:
        loss            method.loss, at its core the cross-entropy of the batch
        backward        g ← ∂loss/∂θ
        gradient        method.gradient: springs, projections, masks (after unscaling, before clipping)
        step            the optimiser moves θ along g
        correct         method.correct: proximal steps, projections, weights put back
        after_step      method.after_step: path integrals, reservoirs

No number is read back from the device within a step: losses are looked at every `WINDOW` steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from lifelong.errors import DivergedError
from lifelong.methods import LearnerView, Method, Step
from lifelong.training.optimizers import max_stable_stiffness
from lifelong.training.settings import Training
from lifelong.types import Examples

__all__ = ["Position", "Report", "autocast", "run"]

WINDOW = 50


@dataclass
class Position:
    """How far a task has been learned: `step` steps; `order` is the state of the shuffling at the start of the pass."""

    task: int
    step: int
    order: Tensor


@dataclass(frozen=True)
class Report:
    """News from the loop every few steps: `step` of `steps`, the `epoch`, and the mean loss of the last window."""

    task: int
    step: int
    steps: int
    epoch: int
    loss: float


def autocast(training: Training) -> AbstractContextManager[object]:
    """The precision of forward passes."""
    if training.autocast is None:
        return nullcontext()
    return torch.autocast(torch.device(training.device).type, dtype=getattr(torch, training.autocast))


def batches(
    examples: Examples, training: Training, order: torch.Generator, position: Position, steps: int
) -> Iterator[tuple[int, int, Examples]]:
    """(step, epoch, batch) from `position` to the last of `steps`; the caller counts `position.step` up."""
    per_epoch = training.steps_per_epoch(len(examples))
    order.set_state(position.order)
    while position.step < steps:
        epoch, skipped = divmod(position.step, per_epoch)
        position.order = order.get_state()
        shuffled_N = torch.randperm(len(examples), generator=order).to(examples.y.device)
        for place, index_B in enumerate(shuffled_N.split(training.batch)[skipped:], start=skipped + 1):
            if place == per_epoch:
                position.order = order.get_state()  # after this batch the next pass begins
            yield epoch * per_epoch + place, epoch + 1, examples.at(index_B)
            if position.step == steps:
                return


def run(
    learner: LearnerView,
    method: Method[Any],
    state: Any,
    optimizer: Optimizer,
    scaler: torch.amp.GradScaler | None,
    training: Training,
    examples: Examples,
    order: torch.Generator,
    position: Position,
    steps: int,
    on_report: Callable[[Report], None] | None = None,
    on_step: Callable[[int], None] | None = None,
    on_batch: Callable[[Examples], None] | None = None,
) -> None:
    """Learn from `examples` from `position` on; `position.step` counts the steps done.

    `on_batch(batch)` is called before the step that learns it, and may ask the learner.
    `on_step(step)` is called after each step, where everything may be saved; `on_report` every `WINDOW` steps.
    Raises `DivergedError` that names the first step whose loss was not finite.
    """
    flat, task = learner.flat, position.task
    forward = partial(method.forward, state, learner)
    limit, per_epoch = max_stable_stiffness(optimizer), training.steps_per_epoch(len(examples))
    losses: list[Tensor] = []
    for number, epoch, batch in batches(examples, training, order, position, steps):
        if on_batch is not None:
            on_batch(batch)
        lr = optimizer.param_groups[0]["lr"]
        step = Step(learner, forward, batch, task, number, steps, epoch, per_epoch, lr, limit)
        loss = method.loss(state, step, Step.base_loss)
        flat.backward(loss if scaler is None else scaler.scale(loss))
        if scaler is not None:
            scaler.unscale_(optimizer)
        grad_P = method.gradient(state, step, flat.grad_P)
        if grad_P is not flat.grad_P:
            flat.grad_P.copy_(grad_P)
        if training.clip is not None:
            flat.grad_P.mul_((training.clip / flat.grad_P.norm()).clamp(max=1.0))
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        method.correct(state, step)
        method.after_step(state, step)
        position.step = number
        losses.append(loss.detach())
        if len(losses) == WINDOW or number == steps:
            mean = _mean_loss(losses, task, number, scaler)
            losses.clear()
            if on_report is not None:
                on_report(Report(task, number, steps, epoch, mean))
        if on_step is not None:
            on_step(number)


def _mean_loss(losses: list[Tensor], task: int, number: int, scaler: torch.amp.GradScaler | None) -> float:
    window = torch.stack(losses)
    wrong = (~torch.isfinite(window)).nonzero()
    if len(wrong) > 0:
        first = number - len(losses) + 1 + int(wrong[0])
        value = float(window[int(wrong[0])])
        raise DivergedError(
            f"the loss became {value} at step {first} of task {task}; the weights are spoiled from there on. "
            "Try a smaller lr, clip=1.0, or a smaller strength of the method"
            + ("; autocast bfloat16 has a wider range than float16" if scaler is not None else "")
        )
    return float(window.mean())
