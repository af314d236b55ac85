"""Runs of Python objects, which no file and no worker process can hold: one after the other in this process."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from lifelong.errors import require
from lifelong.evaluation import Record
from lifelong.experiments.pool import run_one_by_one
from lifelong.experiments.resources import check_methods
from lifelong.experiments.results import Results, complete, oracle_facts
from lifelong.experiments.single import Event
from lifelong.methods import Method
from lifelong.models import Head, build, factory_of, from_factory
from lifelong.streams import Stream
from lifelong.training import Learner, Training
from lifelong.training.construction import ModelLike, ObjectiveLike
from lifelong.types import HeadKind

__all__ = ["Plan", "reinitialised", "run_plan"]


@dataclass(frozen=True)
class Plan:
    """Runs of objects: the stream of each seed, methods by title, the model, and how a run is done."""

    streams: Mapping[int, Stream]
    methods: Mapping[str, Method[Any]]
    model: ModelLike
    training: Training
    head: HeadKind | None
    objective: ObjectiveLike | None
    run: Callable[..., Record]

    def network(self, seed: int) -> ModelLike:
        """The model of the run with `seed`: a module as a copy."""
        if not isinstance(self.model, nn.Module):
            return self.model
        return copy.deepcopy(self.model) if len(self.streams) == 1 else reinitialised(self.model, seed)

    def learner(self, title: str, seed: int) -> Learner:
        """A new learner."""
        return Learner(
            self.network(seed),
            self.methods[title],
            self.streams[seed].space,
            self.training,
            head=self.head,
            objective=copy.deepcopy(self.objective),
            seed=seed,
        )


def run_plan(plan: Plan, on_event: Callable[[Event], None], on_record: Callable[[Record], None]) -> Results:
    """The runs one after the other in this process; nothing of them is on disk."""
    stream = next(iter(plan.streams.values()))

    def make() -> nn.Module:
        network = plan.network(next(iter(plan.streams)))
        if isinstance(network, nn.Module):
            return network
        factory = factory_of(network, import_paths=True) if isinstance(network, str) else network
        if isinstance(network, str) and factory is None:
            return build(network, stream.space, plan.head)
        return from_factory(factory, str(network), stream.space, plan.head)

    check_methods([*plan.methods.values()], make, stream, own_objective=plan.objective is not None)
    records: dict[tuple[str, int], Record] = {}

    def one(title: str, seed: int) -> None:
        make_one = partial(plan.learner, title, seed)
        record = plan.run(make_one, Learner.load, plan.streams[seed], seed=seed, title=title, on_event=on_event)
        records[title, seed] = record
        on_record(record)

    failures = run_one_by_one([partial(one, title, seed) for seed in plan.streams for title in plan.methods])
    plain = {"name": stream.name, "scenario": stream.scenario, "tasks": [task.name for task in stream]}
    facts = {"stream": stream.name, "scenario": stream.scenario, "tasks": str(len(stream))}
    facts |= oracle_facts(plan.methods, stream.scenario)
    keys = [(title, seed) for title in plan.methods for seed in plan.streams]
    results = Results(plain, facts, tuple(records[key] for key in keys if key in records))
    return complete(results, failures)


def reinitialised(module: nn.Module, seed: int) -> nn.Module:
    """A copy of `module` whose weights are drawn anew from `seed`, as its layers draw them when they are made.

    Layers whose parameters are all frozen keep their weights.

    Raises:
        SettingError: A layer with parameters has no `reset_parameters`.

    Example:
        >>> one, two = (reinitialised(nn.Linear(2, 1), seed) for seed in (0, 1))
        >>> torch.equal(one.weight, two.weight)
        False
    """
    network = copy.deepcopy(module)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, layer in network.named_modules():
            direct = list(layer.parameters(recurse=False))
            if direct and not any(p.requires_grad for p in direct):
                continue
            if isinstance(layer, Head):
                layer.seed = seed
                weight, bias = layer.initial_rows(0, layer.classes)
                with torch.no_grad():
                    layer.weight.copy_(weight)
                    layer.bias.copy_(bias)
                continue
            reset = getattr(layer, "reset_parameters", None) or getattr(layer, "_reset_parameters", None)
            require(
                reset is not None or not direct,
                f"several seeds need several initialisations, and the layer {name or 'itself'!r} "
                f"({type(layer).__name__}) has no reset_parameters; give a function that makes the model, its import "
                "path, or seeds=1",
            )
            if reset is not None:
                reset()
    return network
