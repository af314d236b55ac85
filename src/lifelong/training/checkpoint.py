"""A learner as one safetensors file: tensors in its body, everything else as JSON in its header."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from lifelong.errors import SettingError, StorageError
from lifelong.flat import Layout
from lifelong.methods import Method, build, settings_of
from lifelong.objectives import OBJECTIVES, Objective
from lifelong.plugins import is_import_path
from lifelong.store import replacing
from lifelong.training import loop, serialise
from lifelong.types import Classes, Field, Labels, Numbers, Space, Split, Task, Tokens

if TYPE_CHECKING:
    from lifelong.training.construction import ModelLike, ObjectiveLike
    from lifelong.training.learner import Learner
    from lifelong.training.optimizers import OptimizerFactory

__all__ = ["extra_of", "load", "save", "space_from_plain", "space_to_plain"]

FORMAT = 3
FIX = "(load(…, model=…) wants the one that it was saved with)"


def save(learner: Learner, path: Path, extra: dict[str, Any]) -> None:
    """Write `learner` to `path` at once; see `Learner.save`."""
    cursor = learner._cursor
    groups: dict[str, Any] = {
        "state": serialise.split(learner.state, "state"),
        "optimizer": serialise.split(learner.optimizer.state_dict(), "optimizer"),
        "random": serialise.split(learner.randomness.state(), "random"),
        "start": serialise.split(learner._start, "start"),
        "model": serialise.split(_apart_from_theta(learner), "model"),
        "cursor": serialise.split(cursor, "cursor"),
        "normalizer": serialise.split(learner.normalizer.moments if learner.normalizer else {}, "normalizer"),
        "scaler": serialise.split(learner.scaler.state_dict() if learner.scaler else None, "scaler"),
    }
    header = {
        "format": FORMAT,
        "model_name": learner.model_name,
        "space": space_to_plain(learner.space),
        "head": learner.head,
        "seed": learner.seed,
        "training": asdict(learner.training),
        "method": {"name": learner.method.name, "settings": settings_of(learner.method)},
        "objective": learner.objective_name or learner.objective.name,
        "classes": _classes_in_runs(learner.objective.classes),
        "kinds": _kinds(learner.objective),
        "parameters": list(zip(learner.flat.names, learner.flat.shapes, strict=True)),
        "in_eval": sorted(learner._given_in_eval),
        "label": learner.method.label,
        "tasks": serialise.runs(learner.tasks),
        "class_names": {str(label): name for label, name in learner.class_names.items()},
        "extra": extra,
        **{name: data for name, (data, _) in groups.items()},
    }
    tensors = {"theta": learner.flat.theta_P.detach()}
    for _, (_, some) in groups.items():
        tensors |= some
    owned = {name: tensor.cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        # not save_file: its errors hide what the system said (no space, no permission)
        temporary.write_bytes(to_bytes(owned, metadata={"lifelong": json.dumps(header, default=_plain)}))


def load(
    path: Path,
    *,
    model: ModelLike | None = None,
    method: Method[Any] | None = None,
    optimizer: OptimizerFactory | None = None,
    objective: ObjectiveLike | None = None,
    augment: str | None = None,
    device: str | None = None,
) -> Learner:
    """Read what `save` wrote; see `Learner.load`."""
    from lifelong.training.learner import Learner

    header, tensors = _read(path)
    training = dict(header["training"])
    if device is not None:
        training["device"] = device
    if training["optimizer"].startswith("own:"):
        if optimizer is None:
            raise SettingError(f"{path} was saved with an optimizer of your own: give load(…, optimizer=…)")
        training["optimizer"] = optimizer
    name = header["model_name"]
    if model is None and (name.startswith("own:") or is_import_path(name)):  # no file says what is imported
        raise SettingError(
            f"{path} was saved with a model of your own ({name.removeprefix('own:')}): give load(…, model=…)"
        )
    if augment is None and any(is_import_path(part) for part in (training.get("augment") or "").split(",")):
        raise SettingError(f"{path} was saved with an augmentation of your own: give load(…, augment=…)")
    training["augment"] = augment or training.get("augment")
    if objective is None and (header["objective"] not in OBJECTIVES and header["objective"] != "mixed"):
        raise SettingError(
            f"{path} was saved with an objective of your own ({header['objective']}): give load(…, objective=…)"
        )
    try:
        learner = Learner(
            model if model is not None else header["model_name"],
            method or _method(path, header["method"]["name"], header["method"]["settings"]),
            space_from_plain(header["space"]),
            head=header["head"],
            objective=objective,
            seed=header["seed"],
            **training,
        )
        learner._given_in_eval = frozenset(header["in_eval"])
        kinds = {int(number): space_from_plain(kind) for number, kind in header["kinds"].items()}
        for classes, runs in header["classes"]:
            for number in serialise.unrolled(runs):
                learner._announce(Task(number, "", tuple(classes), _nothing, space=kinds.get(number)))
        _check_parameters(learner, header, path)
        _fill(learner, header, {name: tensor.to(learner.training.device) for name, tensor in tensors.items()})
    except (KeyError, RuntimeError, msgspec.ValidationError) as error:
        raise StorageError(f"{path} does not fit the learner that it describes: {error}; it is damaged") from error
    return learner


def _method(path: Path, name: str, settings: dict[str, Any]) -> Method[Any]:
    try:
        return build(name, settings)
    except SettingError as error:
        raise SettingError(f"{path} needs its method, load(…, method=…), as this one is not known: {error}") from error


def space_to_plain(space: Space) -> dict[str, Any]:
    """A space as plain values; `space_from_plain` is the way back.

    Example:
        >>> space_from_plain(space_to_plain(Space((4,), Numbers(2)))) == Space((4,), Numbers(2))
        True
    """

    def field(one: Field) -> dict[str, Any]:
        return {"shape": list(one.shape), "vocabulary": one.vocabulary}

    inputs: Any = list(space.inputs) if isinstance(space.inputs, tuple) else None
    if isinstance(space.inputs, Field):
        inputs = {"field": field(space.inputs)}
    elif isinstance(space.inputs, dict):
        inputs = {"fields": {name: field(one) for name, one in space.inputs.items()}}
    target = space.target
    plain = target if target is None or isinstance(target, int) else {type(target).__name__: asdict(target)}
    common = {"inputs": inputs, "target": plain, "scenario": space.scenario, "boundaries": space.boundaries}
    return {**common, "kinds": [space_to_plain(kind) for kind in space.kinds]} if space.kinds else common


def space_from_plain(plain: dict[str, Any]) -> Space:
    """The space that `space_to_plain` wrote."""

    def field(one: dict[str, Any]) -> Field:
        return Field(tuple(one["shape"]), one["vocabulary"])

    inputs, target = plain["inputs"], plain["target"]
    if isinstance(inputs, dict):
        named = {name: field(one) for name, one in inputs.get("fields", {}).items()}
        inputs = named or field(inputs["field"])
    elif inputs is not None:
        inputs = tuple(inputs)
    if isinstance(target, dict):
        targets: dict[str, Any] = {"Classes": Classes, "Numbers": Numbers, "Labels": Labels, "Tokens": Tokens}
        [(name, settings)] = target.items()
        target = targets[name](**settings)
    kinds = tuple(space_from_plain(kind) for kind in plain.get("kinds", []))
    return Space(inputs, target, plain["scenario"], plain["boundaries"], kinds)


def extra_of(path: Path) -> dict[str, Any]:
    """The plain data that was saved beside a learner."""
    extra: dict[str, Any] = _read(path)[0]["extra"]
    return extra


def _fill(learner: Learner, header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    learner.tasks = serialise.unrolled(header["tasks"])
    learner.class_names = {int(label): name for label, name in header.get("class_names", {}).items()}
    saved = Layout(
        tuple(name for name, _ in header["parameters"]), tuple(tuple(shape) for _, shape in header["parameters"])
    )
    now = learner.flat.layout
    learner.flat.assign(now.carry(tensors["theta"], saved))
    for name, value in _apart_from_theta(learner).items():
        value.copy_(tensors[header["model"][name]])
    learner.state = serialise.join(header["state"], tensors, learner.method.state_type)
    if saved != now:  # the same layers in another order
        learner.state = serialise.remap_state(learner.state, now, saved)
    if learner.normalizer is not None:
        learner.normalizer.moments = serialise.plain(header["normalizer"], tensors)
    learner._start = serialise.plain(header["start"], tensors)
    on_cpu = {name: tensor.cpu() for name, tensor in tensors.items() if name.startswith(("random", "cursor"))}
    learner.randomness.load(serialise.plain(header["random"], on_cpu))
    if header["cursor"] is not None:
        learner._cursor = serialise.join(header["cursor"], on_cpu, loop.Cursor)
    moments = serialise.plain(header["optimizer"], tensors)
    moments["state"] = {int(key): value for key, value in moments["state"].items()}
    if saved != now and learner._factory is None:
        for state in moments["state"].values():
            state |= {
                name: now.carry(value, saved) for name, value in state.items() if value.shape == tensors["theta"].shape
            }
    learner.optimizer.load_state_dict(moments)
    if learner.scaler is not None:
        learner.scaler.load_state_dict(serialise.plain(header["scaler"], tensors))


def _check_parameters(learner: Learner, header: dict[str, Any], path: Path) -> None:
    """Raise `StorageError` where the module has other parameters than those in the file, by name and shape."""
    saved = {name: tuple(shape) for name, shape in header["parameters"]}
    now = dict(zip(learner.flat.names, learner.flat.shapes, strict=True))
    frozen = {name: tuple(value.shape) for name, value in _apart_from_theta(learner).items()}
    if set(frozen) != set(header["model"]):
        odd = sorted(set(frozen) ^ set(header["model"]))[:3]
        raise StorageError(
            f"{path} is whole, but the model has other buffers or frozen weights ({', '.join(odd)}) {FIX}"
        )
    for name in [*saved, *now]:
        if saved.get(name) != now.get(name):
            raise StorageError(
                f"{path} is whole, but the model given is another: {name} is {now.get(name, 'missing')} in it and "
                f"{saved.get(name, 'missing')} in the file {FIX}"
            )


def _kinds(objective: Objective) -> dict[int, dict[str, Any]]:
    """The spaces of tasks that have one of their own."""
    return {number: space_to_plain(space) for number, space in objective.spaces.items()}


def _nothing(split: Split) -> None:
    return None


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be stored")


def _apart_from_theta(learner: Learner) -> dict[str, Tensor]:
    """Buffers and frozen parameters by name."""
    frozen = {name: p.detach() for name, p in learner.model.named_parameters() if not p.requires_grad}
    return {**frozen, **dict(learner.model.named_buffers())}


def _classes_in_runs(classes: dict[int, tuple[int, ...]]) -> list[tuple[tuple[int, ...], list[list[int]]]]:
    """Tasks in the order in which they were announced, neighbours of the same classes together: a life in one set of
    classes does not grow the file.
    """
    together = groupby(classes, key=classes.__getitem__)
    return [(same, serialise.runs(list(numbers))) for same, numbers in together]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["lifelong"])
            names: list[str] = list(file.keys())
            # cloned: what lies unaligned in the file gives other last bits in a matrix product
            tensors = {name: file.get_tensor(name).clone() for name in names}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise StorageError(f"{path} is no saved learner, or it is damaged: {error!r}") from error
    if header.get("format") != FORMAT:
        raise StorageError(
            f"{path} has the format {header.get('format')}, this version reads {FORMAT}; "
            "use the version of lifelong that wrote it"
        )
    return header, tensors
