"""A line of progress on a terminal or in a notebook, and nothing anywhere else. Needs no other library."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

__all__ = ["ProgressLine", "is_watched"]

WIDTH = 24
PAUSE = 0.1  # seconds between two drawings


class Step(Protocol):
    """Where a task is, as the training loop reports it."""

    @property
    def task(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def loss(self) -> float: ...


StepT = TypeVar("StepT", bound=Step)


def is_watched() -> bool:
    """Whether somebody sees what is written to stderr: it is a terminal, or this is a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


class ProgressLine:
    """A line that is written over: a bar, what is done, and the seconds that it took.

    Args:
        wanted: False writes nothing.
        total: How many runs there are; 1 for one task of one learner.

    Example:
        >>> with ProgressLine(True, 2) as line:  # stderr of a test is no terminal: nothing is written
        ...     line.show(0.5, "1 of 2")
    """

    def __init__(self, wanted: bool, total: int = 1) -> None:
        self.shown, self.total = wanted and is_watched(), total
        self.done, self._parts, self._last, self._start = 0, dict[tuple[str, int], float](), 0.0, time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.shown:
            sys.stderr.write("\r\x1b[K" if sys.stderr.isatty() else "\n")
            sys.stderr.flush()

    def show(self, fraction: float, text: str) -> None:
        """Draw the line, at most every tenth of a second."""
        now = time.monotonic()
        if not self.shown or now - self._last < PAUSE:
            return
        self._last = now
        bar = "█" * round(WIDTH * fraction)
        sys.stderr.write(f"\r{bar:░<{WIDTH}} {100 * fraction:3.0f} % {text} {now - self._start:.0f} s\x1b[K")
        sys.stderr.flush()

    def reporting_to(self, listener: Callable[[StepT], None] | None) -> Callable[[StepT], None] | None:
        """What shows the steps of one learner and tells them to `listener`; that itself where nothing is shown."""
        if not self.shown:
            return listener

        def report(step: StepT) -> None:
            self.show(step.step / step.steps, f"task {step.task} epoch {step.epoch} loss {step.loss:.3f}")
            if listener is not None:
                listener(step)

        return report

    def event(self, event: Any) -> None:
        """News of one of several runs (`experiments.Event`)."""
        self._parts[event.method, event.seed] = (event.task - 1 + event.step / event.steps) / event.tasks
        fraction = (self.done + sum(self._parts.values())) / self.total
        where = f"{event.method} seed {event.seed} task {event.task}/{event.tasks} loss {event.loss:.3f}"
        self.show(fraction, f"{self.done}/{self.total} runs, {where}")

    def finished(self, record: Any) -> None:
        """A run is done (`evaluation.Record`)."""
        self._parts.pop((record.method, record.seed), None)
        self.done += 1
        self.show(self.done / self.total, f"{self.done}/{self.total} runs")
