"""The training loop; it exists once.

    for every batch of the task, in an order drawn from the learner's seed:
        loss            method.loss, at its core the objective's loss of the batch
        backward        g ← ∂loss/∂θ
        gradient        method.gradient: penalties, projections, masks (after unscaling, before clipping)
        step            the optimiser moves θ along g
        correct         method.correct: proximal steps, projections, weights put back
        after_step      method.after_step: path integrals, memories

No number is read back from the device within a step: losses are looked at every `WINDOW` steps.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lifelong.data import ByKind
from lifelong.errors import DivergedError
from lifelong.methods import LearnerView, Method, Step
from lifelong.training.augment import Augmentation
from lifelong.training.optimizers import Optimizer, max_stable_stiffness, set_rate
from lifelong.training.settings import Training
from lifelong.types import Data, Examples

__all__ = ["Cursor", "Hooks", "Progress", "autocast", "run", "steps_per_epoch"]

WINDOW = 50


@dataclass
class Cursor:
    """How far a task has been learned.

    Args:
        task: Its number.
        step: Steps done.
        order: The state of the shuffling at the start of the pass.
        best: The best score on the validation split so far, where training may stop early.
        waited: Passes since then.
        best_values: θ and the buffers of then.
    """

    task: int
    step: int
    order: Tensor
    best: float | None = None
    waited: int = 0
    best_values: dict[str, Tensor] = field(default_factory=dict)
    #: whether a step has begun to move θ and is not finished; never true in a file
    broken: bool = False


@dataclass(frozen=True)
class Progress:
    """News from the loop every few steps: `step` of `steps`, the `epoch`, and the mean loss of the last window."""

    task: int
    step: int
    steps: int
    epoch: int
    loss: float


@dataclass(frozen=True)
class Hooks:
    """Who is told: `batch` before the step that learns it, `step` after each step, `progress` every `WINDOW` steps.

    `epoch` is asked after each pass whether to go on.
    """

    progress: Callable[[Progress], None] | None = None
    step: Callable[[int], None] | None = None
    batch: Callable[[Examples], None] | None = None
    epoch: Callable[[], bool] | None = None


def autocast(training: Training) -> AbstractContextManager[object]:
    """The precision of forward passes."""
    if training.autocast is None:
        return nullcontext()
    return torch.autocast(torch.device(training.device).type, dtype=getattr(torch, training.autocast))


@contextmanager
def deferred_interrupt(hooks: Hooks) -> Iterator[Hooks]:
    """`hooks` with which Ctrl-C waits for the end of the step; pressed twice it does not wait.

    Only in the main thread, and only where nobody else handles the signal.
    """
    handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not handled or threading.current_thread() is not threading.main_thread():
        yield hooks
        return
    pressed: list[int] = []

    def note(number: int, frame: object) -> None:
        pressed.append(number)
        if len(pressed) > 1:
            raise KeyboardInterrupt

    def step(number: int) -> None:
        if hooks.step is not None:
            hooks.step(number)
        if pressed:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield replace(hooks, step=step)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt


def batches(
    data: Data, training: Training, order: torch.Generator, cursor: Cursor, steps: int, joined: bool
) -> Iterator[tuple[int, int, Examples]]:
    """(step, epoch, batch) from `cursor` to the last of `steps`; the caller counts `cursor.step` up."""
    size, per_epoch = training.batch, steps_per_epoch(data, training, joined)
    order.set_state(cursor.order)
    while cursor.step < steps:
        epoch, skipped = divmod(cursor.step, per_epoch)
        cursor.order = order.get_state()
        shuffled_N = torch.randperm(len(data), generator=order)
        for place, batch in enumerate(_pieces(data, shuffled_N, size, skipped, per_epoch), start=skipped + 1):
            if place == per_epoch:
                cursor.order = order.get_state()  # after this batch the next pass begins
            yield epoch * per_epoch + place, epoch + 1, batch
            if cursor.step == steps:
                return


def steps_per_epoch(data: Data, training: Training, joined: bool) -> int:
    """Batches in one pass over `data`."""
    if isinstance(data, ByKind):
        return len(data.arranged(torch.arange(len(data)), training.batch))
    return training.steps_per_epoch(len(data), joined)


def _pieces(data: Data, order_N: Tensor, size: int, skipped: int, per_epoch: int) -> Iterator[Examples]:
    """The batches of one pass after the first `skipped`; the last one has all that is left."""
    if isinstance(data, ByKind):
        yield from (data.at(rows) for rows in data.arranged(order_N, size)[skipped:])
        return
    last = (per_epoch - 1) * size
    if len(order_N) - last <= size:
        yield from data.batches(order_N[skipped * size :], size)
        return
    if skipped * size < last:
        yield from data.batches(order_N[skipped * size : last], size)
    yield from data.batches(order_N[last:], len(order_N) - last)


def run(
    learner: LearnerView,
    method: Method[Any],
    state: Any,
    optimizer: Optimizer,
    scaler: torch.amp.GradScaler | None,
    training: Training,
    augment: Augmentation | None,
    data: Data,
    order: torch.Generator,
    cursor: Cursor,
    steps: int,
    joined: bool,
    hooks: Hooks,
) -> None:
    """Learn from `data` from `cursor` on; `cursor.step` counts the steps done and is right whenever a hook is called.

    Raises:
        DivergedError: The loss was not finite; the message names the first such step.
    """
    flat, task = learner.flat, cursor.task
    forward = partial(method.forward, state, learner)
    per_epoch = steps_per_epoch(data, training, joined)
    lr, limit = optimizer.param_groups[0]["lr"], max_stable_stiffness(optimizer)
    losses: list[Tensor] = []
    for number, epoch, batch in batches(data, training, order, cursor, steps, joined):
        if hooks.batch is not None:
            hooks.batch(batch)
        if training.scheduled:
            set_rate(optimizer, training.rate(number, steps))
            lr, limit = optimizer.param_groups[0]["lr"], max_stable_stiffness(optimizer)
        step = Step(learner, forward, batch, task, number, steps, epoch, per_epoch, lr, limit, augment)
        loss = _backward(step, method, state, training.accumulate, scaler)
        if scaler is not None:
            scaler.unscale_(optimizer)  # pyrefly: ignore[bad-argument-type] - any optimiser with param_groups and step
        grad_P = method.gradient(state, step, flat.grad_P)
        if grad_P is not flat.grad_P:
            flat.grad_P.copy_(grad_P)
        if training.clip is not None:
            flat.grad_P.mul_((training.clip / flat.grad_P.norm()).clamp(max=1.0))
        cursor.broken = True  # from here until the step is whole
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)  # pyrefly: ignore[bad-argument-type]
            scaler.update()
        method.correct(state, step)
        method.after_step(state, step)
        cursor.step = number
        losses.append(loss)
        if len(losses) == WINDOW or number == steps:
            mean = _mean_loss(losses, task, number, scaler)
            losses.clear()
            cursor.broken = False
            if hooks.progress is not None:
                hooks.progress(Progress(task, number, steps, epoch, mean))
        cursor.broken = False
        if hooks.epoch is not None and number % per_epoch == 0 and not hooks.epoch():
            return
        if hooks.step is not None:
            hooks.step(number)


def _backward(step: Step, method: Method[Any], state: Any, pieces: int, scaler: torch.amp.GradScaler | None) -> Tensor:
    """g ← the gradient of the loss of the batch, which goes through the network in `pieces`; the loss, detached."""
    flat = step.learner.flat
    if pieces == 1:
        loss = method.loss(state, step, Step.base_loss)
        flat.backward(loss if scaler is None else scaler.scale(loss))
        return loss.detach()
    total, sum_P = torch.zeros((), device=flat.grad_P.device), torch.zeros_like(flat.grad_P)
    answers: list[Tensor | None] = []
    for part in step.batch.batches(torch.arange(len(step.batch)), -(-len(step.batch) // pieces)):
        piece = step.on(part)
        loss = method.loss(state, piece, Step.base_loss) * (len(part) / len(step.batch))
        sum_P += flat.gradient(loss if scaler is None else scaler.scale(loss))
        total += loss.detach()
        answers.append(None if piece._answer is None else piece._answer.detach())
    flat.grad_P.copy_(sum_P)
    known = [answer for answer in answers if answer is not None]
    step._answer = torch.cat(known) if len(known) == len(answers) else None
    return total


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
