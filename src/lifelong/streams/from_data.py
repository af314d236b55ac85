"""A stream of data sets: what people hold their data in, brought to `Data`, and the space that it spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.utils.data import IterableDataset, TensorDataset

from lifelong.data import Lazy, View, class_names_of, is_memory_mapped, labels_of, subset
from lifelong.errors import DataError, require
from lifelong.streams.stream import Stream, held_out, input_fields, relabelled, shared_space
from lifelong.types import Classes, Data, Examples, Field, Labels, Numbers, Scenario, Space, Split, Target, Task, Tokens
from lifelong.values import Inputs, check_precision, inputs_from, targets_from, tensor_from

__all__ = ["as_outputs", "data_of", "stream_from", "stream_of"]

ACCEPTED = (
    "a pair (x, y) of torch tensors or numpy arrays, a torch Dataset of (x, y) with a length, lifelong.data.Lazy, "
    "or Examples"
)
#: rows of a memory-mapped array that are looked at before training
SAMPLE = 256


def data_of(data: object, place: str, target: Target | None = None, inputs: Inputs = None) -> Data:
    """`data` as checked examples in memory, or as data that is read batch by batch; task 0.

    Args:
        data: A pair (x, y) of torch tensors or NumPy arrays, x (N, …) or a dict of them; `Examples`; a `TensorDataset`.
            Read batch by batch: a pair with an `np.memmap`; a map-style torch `Dataset` of (x, y); `Lazy`.
        place: Names the data in errors.
        target: What y is; None is classes.
        inputs: What x is; None takes it as it comes.

    Raises:
        DataError: For anything else, no examples, unequal lengths, NaN or infinity, or a y that is no such target.

    Example:
        >>> import numpy as np
        >>> bytes_ND, labels_N = np.full((2, 3), 51, dtype=np.uint8), np.array([0.0, 4.0])
        >>> examples = data_of((bytes_ND, labels_N), "training part")
        >>> examples.at(slice(0, 1)).x.tolist(), examples.y.tolist()
        ([[0.20000000298023224, 0.20000000298023224, 0.20000000298023224]], [0, 4])
    """
    if isinstance(data, Lazy):
        return _checked(replace(data, target=target or data.target, inputs=inputs or data.inputs, name=place), place)
    if isinstance(data, (tuple, list)) and len(data) == 2 and is_memory_mapped(data[0]):
        lazy = _checked(Lazy((data[0], data[1]), target or Classes(), inputs, name=place), place)
        sample = torch.linspace(0, len(lazy) - 1, min(SAMPLE, len(lazy))).long().tolist()
        for name, array in data[0].items() if isinstance(data[0], Mapping) else [("", data[0])]:
            check_precision(tensor_from(array[sample], place), f"{place}{f', x[{name!r}]' if name else ''}")
        return lazy
    if isinstance(data, Examples):
        x, y = data.x, data.y
    elif isinstance(data, TensorDataset):
        x, y = _pair(data.tensors, place)
    elif _is_dataset(data, place):
        return _checked(Lazy(data, target or Classes(), inputs, name=place), place)
    elif isinstance(data, Data):
        return _checked(data, place)
    else:
        x, y = _pair(data, place)
    for name, leaf in x.items() if isinstance(x, dict) else [("", x)]:
        if leaf.ndim > 1 and not (name and inputs is None and not leaf.is_floating_point()):
            check_precision(leaf, f"{place}{f', x[{name!r}]' if name else ''}")
    counts = {len(leaf) for leaf in (*(x.values() if isinstance(x, dict) else [x]), y) if leaf.ndim > 0}
    if counts == {0}:
        raise DataError(f"{place} is empty: expected at least one example")
    x = inputs_from(x, inputs, place, tokens=isinstance(target, Tokens))
    examples = Examples(x, targets_from(y, target, place), task=0)
    examples.check(place)
    return examples


def _checked(data: Data, place: str) -> Data:
    """`data`, of which one row has been read."""
    if len(data) == 0:
        raise DataError(f"{place} is empty: expected at least one example")
    data.at(slice(0, 1))
    return data


def _is_dataset(data: object, place: str) -> bool:
    """Whether `data` is read by row."""
    if isinstance(data, (tuple, list, Mapping, torch.Tensor)) or not hasattr(data, "__getitem__"):
        if isinstance(data, IterableDataset):
            raise DataError(f"{place}: expected {ACCEPTED}, got {type(data).__name__} without a length")
        return False
    if isinstance(data, IterableDataset) or not isinstance(data, Sized):
        raise DataError(f"{place}: expected {ACCEPTED}, got {type(data).__name__} without a length; read it to tensors")
    return True


def _pair(data: object, place: str) -> tuple[Any, Any]:
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        shown = f"{type(data).__name__} of {len(data)}" if isinstance(data, (tuple, list)) else type(data).__name__
        raise DataError(f"{place}: expected {ACCEPTED}, got {shown}")
    return tensor_from(data[0], f"{place}, x"), tensor_from(data[1], f"{place}, y")


def as_outputs(data: Data, labels: Sequence[int], outputs: Sequence[int], place: str) -> Data:
    """`data` whose `labels` are replaced by the `outputs` at the same places; others are refused when they are read."""
    change = partial(_as_outputs, labels=tuple(labels), outputs=tuple(outputs), place=place)
    return change(data) if isinstance(data, Examples) else View(data, change=change)


def _as_outputs(examples: Examples, labels: tuple[int, ...], outputs: tuple[int, ...], place: str) -> Examples:
    strange = ~torch.isin(examples.y, torch.tensor(labels))
    if bool(strange.any()):
        shown = sorted(set(examples.y[strange].tolist()))
        raise DataError(f"{place} has labels {shown[:5]} outside the task's classes {list(labels)}")
    return examples if labels == outputs else replace(examples, y=relabelled(examples.y, labels, outputs))


def stream_from(
    datasets: Sequence[tuple[object, object]],
    scenario: Scenario,
    target: Target | Sequence[Target] | None,
    inputs: Field | Mapping[str, Field] | Sequence[Field | Mapping[str, Field]] | None,
    classes: Sequence[Sequence[int]] | None,
    overlap: bool,
    validation: float,
    names: Sequence[str] | None,
    name: str,
    seed: int,
) -> Stream:
    """See `Stream.from_datasets`."""
    count = len(datasets)
    require(count > 0, "from_datasets needs one (train, test) pair per task, got none")
    titles = list(names) if names is not None else [f"task {i}" for i in range(1, count + 1)]
    require(len(titles) == count, f"expected {count} names, got {len(titles)}")
    require(classes is None or len(classes) == count, f"expected classes of {count} tasks, got {len(classes or ())}")
    targets, fields = _for_each(target, count, "target"), _for_each(inputs, count, "inputs")
    differ = isinstance(inputs, Sequence) or isinstance(target, Sequence)
    parts: list[tuple[Data, Data]] = []
    for pair, title, goal, field in zip(datasets, titles, targets, fields, strict=True):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise DataError(f"{title}: expected a pair (train, test), got {type(pair).__name__}")
        parts.append(
            (
                data_of(pair[0], f"training part of {title}", goal, field),
                data_of(pair[1], f"test part of {title}", goal, field),
            )
        )
    return stream_of(parts, titles, targets, fields, classes, name, scenario, overlap, validation, seed, differ)


def stream_of(
    parts: Sequence[tuple[Data, Data]],
    titles: Sequence[str],
    targets: Sequence[Target | None] | None = None,
    inputs: Sequence[Inputs] | None = None,
    classes: Sequence[Sequence[int]] | None = None,
    name: str = "own",
    scenario: Scenario = "domain",
    overlap: bool = False,
    validation: float = 0.0,
    seed: int = 0,
    differ: bool = False,
) -> Stream:
    """The stream of checked (train, test) pairs, one for each of `titles`; see `Stream.from_datasets`.

    Args:
        differ: Whether the tasks may differ in their inputs and targets; each then says its own.
    """
    count = len(parts)
    targets, fields = list(targets or [None] * count), list(inputs or [None] * count)
    spaces = [
        _inputs_of(pair, title, goal, field)
        for pair, title, goal, field in zip(parts, titles, targets, fields, strict=True)
    ]
    if len({repr(space) for space in spaces}) != 1 and not differ:
        shapes = sorted({repr(_shape(space)) for space in spaces})
        if len(shapes) > 1:
            raise DataError(
                f"all tasks need inputs of one shape, got {', '.join(shapes)}; map them to one first, or say that they "
                "differ: inputs=[Field(…), …], one for each task"
            )
        spaces = [_largest_vocabularies(spaces)] * count
    parts = [
        (_with_inputs(train, space), _with_inputs(test, space))
        for (train, test), space in zip(parts, spaces, strict=True)
    ]
    labels = [
        _outputs_of(pair, goal, None if classes is None else classes[place])
        for place, (pair, goal) in enumerate(zip(parts, targets, strict=True))
    ]
    outputs = _numbered(labels, targets, titles, scenario, overlap, differ)
    total = 1 + max((max(some) for some in outputs if some), default=-1)
    tasks = []
    for number, title in enumerate(titles, start=1):
        train, test = parts[number - 1]
        goal, old, new = targets[number - 1], labels[number - 1], outputs[number - 1]
        called = class_names_of(train)
        if _is_classes(goal):
            shown = new if scenario == "domain" else old
            train = as_outputs(train, shown, new, f"training part of {title}")
            test = as_outputs(test, shown, new, f"test part of {title}")
        announced = (goal.count or 0) if isinstance(goal, Classes) else 0
        counted = max(announced, 1 + max(new, default=-1)) if scenario == "domain" else total
        space = Space(spaces[number - 1], _target_of(goal, counted, scenario), scenario) if differ else None
        load, sizes = _splits(train, test, validation, seed + number)
        meaning = dict(zip(new, new if scenario == "domain" else old, strict=True))
        named = tuple(called.get(meaning[label], str(meaning[label])) for label in sorted(new)) if called else ()
        tasks.append(Task(number, title, tuple(sorted(new)), load, sizes, space, named))
    goal = _target_of(targets[0], total, scenario) if len(set(targets)) == 1 else None
    shared = None if differ else Space(spaces[0], goal, scenario)
    return Stream(name, shared or shared_space(tasks), tuple(tasks))


def _for_each(value: Any, count: int, name: str) -> list[Any]:
    """`value` for each task: one for all, or a sequence of one for each."""
    if not isinstance(value, Sequence):
        return [value] * count
    require(len(value) == count, f"expected {name} for {count} tasks, got {len(value)}")
    return list(value)


def _is_classes(target: Target | None) -> bool:
    return target is None or isinstance(target, Classes)


def _inputs_of(
    pair: tuple[Data, Data], title: str, target: Target | None, known: Inputs
) -> tuple[int, ...] | Field | dict[str, Field]:
    """What the inputs of a task are, with the vocabulary of those that are tokens."""
    train, test = (part.at(slice(0, 1)).x for part in pair)
    first, other = input_fields(train), input_fields(test)
    if repr(first) != repr(other):
        shapes = f"{_shape(first)} in training and {_shape(other)} in test"
        raise DataError(f"{title}: expected inputs of one shape, got {shapes}")
    if known is not None:
        return input_fields(train, dict(known) if isinstance(known, Mapping) else known)
    if isinstance(train, torch.Tensor):
        if train.is_floating_point():
            return first
        return Field(tuple(train.shape[1:]), target.vocabulary if isinstance(target, Tokens) else None)
    whole = [name for name, leaf in train.items() if not leaf.is_floating_point()]
    if whole and not all(isinstance(part, Examples) for part in pair):
        raise DataError(
            f"{title}: {', '.join(map(repr, whole))} holds tokens; say how many there are: "
            f"inputs={{{whole[0]!r}: Field({tuple(train[whole[0]].shape[1:])}, vocabulary=…), …}}"
        )
    sizes = {name: 1 + max(int(part.x[name].max()) for part in pair if isinstance(part, Examples)) for name in whole}
    return {name: Field(tuple(leaf.shape[1:]), sizes.get(name)) for name, leaf in train.items()}


def _shape(space: Any) -> Any:
    """The shapes alone."""
    if isinstance(space, dict):
        return {name: field.shape for name, field in space.items()}
    return space.shape if isinstance(space, Field) else space


def _largest_vocabularies(spaces: Sequence[Any]) -> Any:
    """The inputs of all tasks, which differ in their vocabularies at most."""
    if not isinstance(spaces[0], dict):
        return spaces[0]
    return {
        name: replace(field, vocabulary=max((space[name].vocabulary or 0) for space in spaces) or None)
        for name, field in spaces[0].items()
    }


def _with_inputs(data: Data, space: tuple[int, ...] | Field | dict[str, Field]) -> Data:
    """`data` whose inputs are checked against `space`: now where they are in memory, else when they are read."""
    if isinstance(data, Lazy):
        return replace(data, inputs=Field(space) if isinstance(space, tuple) else space)
    return data


def _outputs_of(pair: tuple[Data, Data], target: Target | None, listed: Sequence[int] | None) -> tuple[int, ...]:
    """The classes, labels or numbers of a task."""
    if listed is not None:
        return tuple(sorted(int(label) for label in listed))
    if _is_classes(target):
        return tuple(sorted({int(label) for part in pair for label in labels_of(part).unique()}))
    if isinstance(target, (Numbers, Labels)):
        return tuple(range(target.count))
    return ()


def _numbered(
    labels: Sequence[tuple[int, ...]],
    targets: Sequence[Target | None],
    titles: Sequence[str],
    scenario: Scenario,
    overlap: bool,
    differ: bool,
) -> list[tuple[int, ...]]:
    """The outputs of each task, in the order of its labels."""
    if scenario == "domain" and differ:
        return list(labels)
    if scenario == "domain":
        everything = tuple(sorted({label for some, goal in zip(labels, targets, strict=True)
                                   if _is_classes(goal) for label in some}))  # fmt: skip
        return [everything if _is_classes(goal) else some for some, goal in zip(labels, targets, strict=True)]
    apart = scenario == "task" and (overlap or any(isinstance(goal, Numbers) for goal in targets))
    if apart:
        starts = [sum(len(some) for some in labels[:place]) for place in range(len(labels))]
        return [tuple(range(start, start + len(some))) for start, some in zip(starts, labels, strict=True)]
    owner: dict[int, str] = {}
    for some, goal, title in zip(labels, targets, titles, strict=True):
        for label in some if _is_classes(goal) and not overlap else ():
            other = owner.setdefault(label, title)
            if other != title:
                raise DataError(
                    f"class {label} is in {other!r} and in {title!r}; in the scenario {scenario!r} every task has "
                    "classes of its own: number the outputs apart, say overlap=True, or use scenario='domain'"
                )
    return list(labels)


def _target_of(target: Target | None, total: int, scenario: Scenario) -> int | Target:
    """The target of the stream: all outputs of its classes, and of the numbers that every task has of its own."""
    if _is_classes(target):
        return total
    assert target is not None
    return Numbers(total) if isinstance(target, Numbers) and scenario == "task" else target


def _splits(
    train: Data, test: Data, validation: float, seed: int
) -> tuple[Callable[[Split], Data | None], dict[Split, int]]:
    rows, others = held_out(len(train), validation, seed)
    index = {"train": rows, "validation": others}

    def load(split: Split) -> Data:
        return test if split == "test" else subset(train, index[split])

    return load, {"train": len(rows), "validation": len(others), "test": len(test)}
