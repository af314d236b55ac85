"""What the experiments of the chapter have in common: one method on one stream, gone on with where it was cut short."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lifelong.evaluation import Array, Record
from lifelong.experiments.chapter.lesson import Values
from lifelong.experiments.single import run_single
from lifelong.methods import Method, build
from lifelong.streams import Stream
from lifelong.training import Learner, Training
from lifelong.types import HeadKind

__all__ = ["learned", "matrix_of", "record_of"]


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
    on_event: Callable[..., None] | None = None,
) -> Values:
    """Learn `stream` task after task, and give the record of the run in plain values; goes on from `scratch`."""
    made = method if isinstance(method, Method) else build(method, settings)

    def make() -> Learner:
        return Learner(model, made, stream.space, head=head, seed=seed, **asdict(training))

    checkpoint = scratch / f"{made.name}-{seed}.safetensors"
    record = run_single(make, Learner.load, stream, seed=seed, evaluate=evaluate, checkpoint=checkpoint)
    return record.to_json()


def record_of(values: Values) -> Record:
    """The record that `learned` gave."""
    return Record.from_json(values)


def matrix_of(values: Values) -> Array:
    """R (T + 1, T) of what `learned` gave, fractions, NaN where nothing was measured."""
    return np.asarray(Record.from_json(values).matrix)
