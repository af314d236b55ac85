"""Streams and models that are Python objects: run one after the other in this process, and kept nowhere."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from torch import nn

from lifelong.evaluation import Record
from lifelong.experiments.resources import check_methods
from lifelong.experiments.results import Results, oracle_facts
from lifelong.experiments.single import Event, run_single
from lifelong.methods import Method
from lifelong.models import build
from lifelong.streams import Stream
from lifelong.training import Learner, Training
from lifelong.training.learner import ModelLike
from lifelong.types import HeadKind

__all__ = ["run_in_process"]


def run_in_process(
    stream: Stream,
    model: ModelLike,
    methods: Sequence[Method[Any]],
    seeds: Sequence[int],
    training: Training,
    head: HeadKind | None,
    evaluate: str,
    on_event: Callable[[Event], None] | None,
) -> Results:
    """`methods` × `seeds` on `stream`; a model given as a module is copied for each run."""

    def made() -> nn.Module:
        if isinstance(model, str):
            return build(model, stream.space, head)
        return copy.deepcopy(model) if isinstance(model, nn.Module) else model()

    check_methods(methods, made, stream)
    records: list[Record] = []
    for seed in seeds:
        for method in methods:

            def make(method: Method[Any] = method, seed: int = seed) -> Learner:
                fresh = copy.deepcopy(model) if isinstance(model, nn.Module) else model
                return Learner(fresh, method, stream.space, head=head, seed=seed, **asdict(training))

            records.append(run_single(make, Learner.load, stream, seed=seed, evaluate=evaluate, on_event=on_event))
    plain = {"name": stream.name, "scenario": stream.scenario, "tasks": [task.name for task in stream]}
    facts = {"stream": stream.name, "scenario": stream.scenario, "tasks": str(len(stream))}
    facts |= oracle_facts(methods, stream.scenario)
    ordered = sorted(records, key=lambda record: [method.name for method in methods].index(record.method))
    return Results(plain, facts, tuple(ordered))
