"""Progress on stderr: a bar per run with task, epoch, loss and score so far, and one for all with the time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from lifelong.evaluation import Record
    from lifelong.experiments import Event, Experiment

__all__ = ["counting", "following", "stopped_with"]


@contextmanager
def stopped_with(words: str) -> Iterator[None]:
    """At Ctrl-C, `words` on stderr and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True, highlight=False).print(f"stopped; {words}", soft_wrap=True)
        raise typer.Exit(130) from None


@contextmanager
def counting(what: str, total: int | None = None) -> Iterator[Callable[[str], None]]:
    """A line that says at once what goes on, and a function that tells of each finished part.

    On a terminal it is a bar with the time, above which parts are told; elsewhere a line per part.
    """
    console = Console(stderr=True, highlight=False)
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    if not console.is_terminal:
        console.print(what if total is None else f"{what}: {total} to do", soft_wrap=True)
    done = 0
    with progress:
        bar = progress.add_task(what, total=total)

        def told(text: str) -> None:
            nonlocal done
            done += 1
            progress.update(bar, completed=done)
            console.print(f"{done}/{total} {text}" if total else text, soft_wrap=True)

        yield told


Callbacks: TypeAlias = "tuple[Callable[[Event], None], Callable[[Record], None]]"


@contextmanager
def following(experiment: Experiment) -> Iterator[Callbacks]:
    """Callbacks for events and finished runs; where stderr is no terminal, one line per finished run instead."""
    console = Console(stderr=True)
    runs = len(experiment.methods) * len(experiment.seeds)
    finished = 0
    progress = Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[news]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with progress:
        whole = progress.add_task(f"all {runs} runs", total=float(runs), news="")
        bars: dict[tuple[str, int], TaskID] = {}
        parts: dict[tuple[str, int], float] = {}

        def advance() -> None:
            progress.update(whole, completed=finished + sum(parts.values()), news=f"{finished} finished")

        def on_event(event: Event) -> None:
            key = (event.method, event.seed)
            if key not in bars:
                bars[key] = progress.add_task(f"{event.method} seed {event.seed}", total=1.0, news="")
            parts[key] = (event.task - 1 + event.step / event.steps) / event.tasks
            score = "" if event.score is None else f" score {100 * event.score:.1f} %"
            news = f"task {event.task}/{event.tasks} epoch {event.epoch} loss {event.loss:.3f}{score}"
            progress.update(bars[key], completed=parts[key], news=news)
            advance()

        def on_record(record: Record) -> None:
            nonlocal finished
            key = (record.method, record.seed)
            finished += 1
            parts.pop(key, None)
            if key in bars:
                progress.remove_task(bars.pop(key))
            advance()
            if not console.is_terminal:
                acc = 100 * record.scores["acc"]
                console.print(
                    f"{finished}/{runs} {record.method} seed {record.seed}: ACC {acc:.1f} %, "
                    f"{record.cost.train_seconds:.1f} s of training",
                    highlight=False,
                )

        try:
            yield on_event, on_record
        except KeyboardInterrupt:
            console.print("stopped; with --out, what is finished is kept and the same command goes on from there")
            raise typer.Exit(130) from None
