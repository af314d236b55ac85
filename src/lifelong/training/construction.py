"""What the arguments of a `Learner` become: its training, seed, space, network and objective, each checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, get_args

import numpy as np
from torch import nn

from lifelong.errors import require, unknown_name
from lifelong.models import build, cut_head, factory_of, from_factory, headed
from lifelong.objectives import MixedObjective, Objective, objective_for
from lifelong.plugins import load_object
from lifelong.training import optimizers
from lifelong.training.settings import Training
from lifelong.types import HeadKind, Space

__all__ = [
    "ModelLike",
    "ObjectiveLike",
    "module_of",
    "name_of",
    "objective_of",
    "seed_of",
    "space_of",
    "training_of",
]

ModelLike = str | nn.Module | Callable[..., nn.Module]
ObjectiveLike = str | Objective | type[Objective]


def module_of(model: ModelLike, space: Space, head: HeadKind | str | None, seed: int) -> nn.Module:
    """The network: a module as it is, else one made by name or by a function."""
    kinds = (None, *get_args(HeadKind))
    if isinstance(model, nn.Module):
        return model if head in kinds else cut_head(model, str(head), space, seed)
    factory = factory_of(model, import_paths=True) if isinstance(model, str) else model
    if isinstance(model, str) and factory is None:
        return build(model, space, head, seed)  # pyrefly: ignore[bad-argument-type] - it checks
    plain: Any = head if head in kinds else None
    module = from_factory(factory, name_of(model), space, plain, seed)
    return module if head in kinds else cut_head(module, str(head), space, seed)


def objective_of(objective: ObjectiveLike | None, space: Space, model: nn.Module) -> Objective:
    """The objective of the space, or the user's own."""
    kind = load_object(objective, "objective") if isinstance(objective, str) else objective
    if isinstance(kind, Objective):
        return kind
    target = None if isinstance(space.target, int) else space.target
    if isinstance(kind, type) and issubclass(kind, Objective):
        return kind(target, space.scenario)
    require(kind is None, f"an objective is a class that derives from lifelong.objectives.Objective, got {kind!r}")
    network = headed(model)
    growing = network is not None and network.head.grows
    if space.kinds:
        mixed = MixedObjective(None, space.scenario, growing)
        mixed.whole = None if network is None else space
        return mixed
    return objective_for(space.target, space.scenario, announced_only=growing)


def training_of(
    training: Training | None, settings: Mapping[str, Any]
) -> tuple[Training, optimizers.OptimizerFactory | None]:
    """The settings as `Training`, and the function that makes the optimiser where one was given."""
    require(
        training is None or isinstance(training, Training),
        f"training must be Training(…), got {training!r}; give its fields one by one, as epochs=5",
    )
    known = [field.name for field in fields(Training)]
    for name in settings:
        if name not in known:
            raise unknown_name("setting of a learner", name, [*known, "head", "objective", "seed"])
    plain = {name: _plain(value) for name, value in settings.items()}
    optimizer = plain.get("optimizer")
    factory = optimizer if callable(optimizer) else None
    if factory is not None:
        plain["optimizer"] = f"own:{getattr(factory, '__name__', 'factory')}"
    return replace(training or Training(), **plain), factory


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, which files can hold."""
    return value.item() if isinstance(value, np.generic) else value


def seed_of(seed: Any) -> int:
    """The seed as a Python number."""
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    require(bool(whole and 0 <= seed < 2**63), f"seed must be a whole number in 0 … 2⁶³ − 1, got {seed!r}")
    return int(seed)


def space_of(space: Any) -> Space:
    """The space; an empty one where none was given."""
    fix = "; give stream.space" if hasattr(space, "space") else "; give Space((…), …, scenario)"
    require(space is None or isinstance(space, Space), f"space must be a Space, got {type(space).__name__}{fix}")
    return space or Space()


def name_of(model: ModelLike) -> str:
    """What the user calls the model."""
    if isinstance(model, str):
        return model
    return type(model).__name__ if isinstance(model, nn.Module) else getattr(model, "__name__", type(model).__name__)
