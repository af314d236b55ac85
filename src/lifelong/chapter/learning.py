"""The networks, trainings, streams and runs that the lessons share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from lifelong.chapter.lesson import Setup, Values
from lifelong.evaluation import Array, Record
from lifelong.experiments import defaults_for, run_single
from lifelong.methods import Joint, Method, build
from lifelong.streams import Stream, stream
from lifelong.training import Learner, Training
from lifelong.types import Data, HeadKind, Split, Task

__all__ = ["by_class", "data_stream", "fewer_tests", "joint_after", "learned", "matrix_of", "record_of", "usual"]


def usual(setup: Setup, name: str | None = None, **changes: Any) -> tuple[str, Training]:
    """The network and the training that suit the digits of `setup`, or the stream `name`, with `changes` of training.

    >>> usual(Setup("digits"), epochs=3)[0], usual(Setup("digits"), epochs=3)[1].epochs
    ('mlp:128,128', 3)
    """
    settings = defaults_for(name or setup.data)
    model = str(settings.pop("model"))
    return model, Training(**{**settings, **changes})


def data_stream(setup: Setup, kind: str, **settings: Any) -> Stream:
    """The stream `kind`-`setup.data`; its seed is the setup's unless it is given.

    >>> data_stream(Setup("digits"), "rotated", tasks=3).name
    'rotated-digits'
    """
    return stream(f"{kind}-{setup.data}", data_dir=setup.data_dir, **{"seed": setup.seed, **settings})


def joint_after(tasks: int, stream: Stream, model: str, training: Training, seed: int) -> tuple[Learner, float]:
    """A learner that has just learned tasks 1 … `tasks` of `stream` together, and the core-seconds that this took.

    Its memory and its budget are those of `Joint` at that moment of its life. Only the order of the batches differs
    from a run that trained anew at every task before, as fewer random numbers were drawn.

    >>> digits = data_stream(Setup(), "permuted", tasks=2, samples=50)
    >>> learner, seconds = joint_after(2, digits, "linear", Training(epochs=1), seed=0)
    >>> len(learner.state), seconds > 0
    (100, True)
    """
    learner = Learner(model, Joint(), stream.space, seed=seed, **asdict(training))
    for task in stream.tasks[: tasks - 1]:
        learner.state.add(task.train)
    last = stream.task(tasks)
    start = time.process_time()
    learner.learn(last, progress=False)
    return learner, time.process_time() - start


def fewer_tests(stream: Stream, most: int) -> Stream:
    """`stream` with only the first `most` test examples of each task, so that a long life is examined in short time.

    >>> len(fewer_tests(data_stream(Setup(), "permuted", tasks=2), 50).task(1).test)
    50
    """

    def loader(task: Task) -> Callable[[Split], Data | None]:
        def load(split: Split) -> Data | None:
            examples = task.load(split)
            return examples.at(slice(most)) if examples is not None and split == "test" else examples

        return load

    return replace(stream, tasks=tuple(replace(task, load=loader(task)) for task in stream.tasks))


def learned(
    scratch: Path,
    stream: Stream,
    method: str | Method[Any],
    *,
    model: str,
    training: Training,
    seed: int = 0,
    head: HeadKind | None = None,
    evaluate: str = "every",
    settings: Mapping[str, Any] | None = None,
    on_task: Callable[[Learner, Task], None] | None = None,
) -> Values:
    """Learn `stream` task after task, and give the record of the run in plain values; goes on from `scratch`.

    `on_task` hears of every task once it is learned, and again of the one that was interrupted.
    """
    made = method if isinstance(method, Method) else build(method, settings)

    def make() -> Learner:
        return Learner(model, made, stream.space, head=head, seed=seed, **asdict(training))

    checkpoint = scratch / f"{made.name}-{seed}.safetensors"
    record = run_single(
        make, Learner.load, stream, seed=seed, evaluate=evaluate, checkpoint=checkpoint, on_task=on_task
    )
    return record.to_json()


def by_class(
    stream: Stream, method: str, *, model: str, training: Training, seed: int = 0
) -> list[list[list[float | None]]]:
    """The accuracy on every class of every task after each task of `stream`: (T, T, C), None where a class is missing.

    Example:
        >>> digits = data_stream(Setup(), "permuted", tasks=1)
        >>> [[accuracies]] = by_class(digits, "finetune", model="linear", training=Training(epochs=5))
        >>> len(accuracies), min(accuracies) > 0.5
        (10, True)
    """
    learner = Learner(model, build(method), stream.space, seed=seed, **asdict(training))
    rows: list[list[list[float | None]]] = []
    for task in stream:
        learner.learn(task, progress=False)
        rows.append([_class_accuracies(learner, each) for each in stream])
    return rows


def _class_accuracies(learner: Learner, task: Task) -> list[float | None]:
    answers = learner.answers(task)
    right_N, y_N = answers["decision"] == answers["y"], answers["y"]
    chosen = [right_N[y_N == label] for label in range(learner.space.classes or 0)]
    return [float(each.float().mean()) if len(each) else None for each in chosen]


def record_of(values: Values) -> Record:
    """The record that `learned` gave."""
    return Record.from_json(values)


def matrix_of(values: Values) -> Array:
    """R (T + 1, T) of what `learned` gave, fractions, NaN where nothing was measured."""
    return np.asarray(Record.from_json(values).matrix)
