"""Whether a method, its settings, the others in its chain and a stream fit each other; asked before learning."""

from __future__ import annotations

import math
import types
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from enum import Flag, IntEnum, auto
from functools import cache
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from torch import Tensor, nn

from lifelong.errors import require
from lifelong.models import Head, announce, headed
from lifelong.objectives import objective_for
from lifelong.types import Space, Task

if TYPE_CHECKING:
    from lifelong.methods.base import Method

__all__ = [
    "Claim",
    "Phase",
    "StreamSize",
    "check_choice",
    "check_compatible",
    "check_room",
    "check_space",
    "check_types",
    "stream_size",
]


#: what a plain type lets in (NumPy's numbers too), in words; other types are the method's own to check
PLAIN: dict[type, tuple[type, str]] = {
    bool: (bool, "true or false"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "text"),
    types.NoneType: (types.NoneType, "None"),
}


def check_types(name: str, settings: Any, unbounded: Collection[str]) -> None:
    """Raise `SettingError` for a field of the dataclass `settings` that has another type than it declares, or that is
    infinite without being named in `unbounded`.

    >>> from lifelong.methods import ER
    >>> ER(capacity=2.5)
    Traceback (most recent call last):
    lifelong.errors.SettingError: er.capacity must be a whole number, got 2.5
    """
    hints = _hints(type(settings))
    for field in fields(settings):
        value, place = getattr(settings, field.name), f"{name}.{field.name}"
        check_choice(name, type(settings), field.name, value)
        known = [PLAIN.get(hint) for hint in _alternatives(hints[field.name])]
        allowed = [plain for plain in known if plain is not None]
        if len(allowed) == len(known):
            words = " or ".join(word for _, word in allowed)
            require(any(_is(value, kind) for kind, _ in allowed), f"{place} must be {words}, got {value!r}")
        infinite = isinstance(value, float) and math.isinf(value) and field.name not in unbounded
        require(not infinite, f"{place} must be finite, got {value}")


def check_choice(name: str, kind: type, field: str, value: object) -> None:
    """Raise `SettingError` where the dataclass `kind` says that `field` is one of some words and it is another.

    >>> from lifelong.methods import GEM
    >>> check_choice("gem", GEM, "per", "day")
    Traceback (most recent call last):
    lifelong.errors.SettingError: gem.per must be task or total, got 'day'
    """
    hint = _hints(kind)[field]
    words = get_args(hint) if get_origin(hint) is Literal else ()
    *most, last = words or ("",)
    allowed = f"{', '.join(most)} or {last}"
    require(not words or value in words, f"{name}.{field} must be {allowed}, got {value!r}")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def check_space(method: Method[Any], space: Space) -> None:
    """Raise `SettingError` where `method` is not defined in the scenario of `space`, for its targets, or for tasks of
    several kinds, or lacks the boundaries it needs.

    >>> from lifelong.methods import EWC
    >>> check_space(EWC(), Space((4,), 2, boundaries=False))
    Traceback (most recent call last):
    lifelong.errors.SettingError: ewc needs task boundaries and this stream has none; use a method without, as er
    """
    require(
        space.scenario in method.scenarios,
        f"{method.name} is not defined in the scenario {space.scenario!r}, only in {', '.join(method.scenarios)}",
    )
    for kind in space.kinds or (space,):
        objective = objective_for(kind.target, space.scenario).name
        require(
            objective in method.objectives,
            f"{method.name} learns {', '.join(method.objectives)}, not {objective}; use one for any target, as er",
        )
    require(
        not (method.one_kind and len(space.kinds) > 1),
        f"{method.name} learns tasks that are alike in their inputs and targets, and those of this stream differ; use "
        "one for any, as er or ewc",
    )
    require(
        space.boundaries or "task boundaries" not in method.needs,
        f"{method.name} needs task boundaries and this stream has none; use a method without, as er",
    )


class Claim(Flag):
    """What a method does not share with the others of a chain, or rests upon."""

    #: its loss leaves out, for some batches or for all, that of the methods inside
    REPLACES_LOSS = auto()
    #: it puts the weights back to the random initialisation
    RESETS_WEIGHTS = auto()
    #: it relies on what past tasks left in the weights
    RELIES_ON_WEIGHTS = auto()
    #: it stores, or learns, what its batches hold as new examples of the newest task
    STORES_BATCHES = auto()
    #: it learns without a step of gradient descent
    SOLVES = auto()
    #: it chooses what is learned from (hook `examples`)
    CHOOSES_DATA = auto()
    #: it answers in a way of its own (hook `predict`)
    ANSWERS = auto()


class Phase(IntEnum):
    """When the `gradient` and the `correct` of a method are called: a chain is a set, its order is this one."""

    MEASURE = 0
    PENALISE = 1
    PROJECT = 2
    FREEZE = 3


#: claims that one method of a chain may have, with what several would do
ONCE = {
    Claim.CHOOSES_DATA: "each choose what is learned from, and only one can",
    Claim.ANSWERS: "each answer in a way of their own, and only one can",
    Claim.REPLACES_LOSS: "each leave out the loss of the other",
}
#: pairs of claims that two methods of a chain may not have, with what the first would do to the second
NEVER = {
    (Claim.RESETS_WEIGHTS, Claim.RELIES_ON_WEIGHTS): "begins tasks anew and would undo what {} relies on",
    (Claim.CHOOSES_DATA, Claim.STORES_BATCHES): "learns from stored examples too, which {} would store as new ones",
}


def check_compatible(methods: Sequence[Method[Any]]) -> None:
    """Check that each method of a chain does what it says next to the others.

    Raises:
        SettingError: Two methods claim what only one can have, or one undoes what another relies on.

    Example:
        >>> from lifelong.methods import ER, NCM, ICaRL, LwF
        >>> check_compatible([ICaRL(), LwF()])
        >>> check_compatible([ER(), NCM()])
        Traceback (most recent call last):
        lifelong.errors.SettingError: er+ncm: ncm takes no step of gradient descent, and in a chain no other method
            would take one; use it alone
    """
    label = "+".join(method.name for method in methods)

    def claiming(claim: Claim) -> str:
        return ", ".join(method.name for method in methods if claim in method.claimed())

    solving = claiming(Claim.SOLVES)
    require(
        not solving,
        f"{label}: {solving} takes no step of gradient descent, and in a chain no other method would take one; "
        "use it alone",
    )
    for (first, second), harm in NEVER.items():
        for method in methods:
            others = [other.name for other in methods if other is not method and second in other.claimed()]
            require(
                first not in method.claimed() or not others,
                f"{label}: {method.name} {harm.format(', '.join(others))}; take one of them",
            )
    for claim, harm in ONCE.items():
        require(
            sum(claim in method.claimed() for method in methods) <= 1,
            f"{label}: {claiming(claim)} {harm}; take one of them",
        )


@dataclass(frozen=True)
class StreamSize:
    """The size of a life.

    Fields: `tasks`; training `examples` of the largest of them; `input_bytes` of one input; `parameters` of the network
    at the end of the life, grown and frozen ones too; `outputs` in all; training
    examples `total_examples`, `numbers` in one input (taken to be float32), `classes` (as many as outputs) and
    `class_task_pairs`, pairs of a class and a task (each class in one task), or classes where tasks have no boundaries.
    `buffers` are the bytes of the network's buffers, `widths` the inputs of each layer that has weights, a bias as one
    more, `smallest` the weights of the smallest layer before the head (None: not known). `open_ended`: this is a life
    so far, which may go on. `target_bytes`: of one target.

    >>> StreamSize.of(tasks=2, examples=10, input_bytes=16, parameters=15, outputs=3).total_examples
    20
    """

    tasks: int
    examples: int
    input_bytes: int
    parameters: int
    outputs: int
    total_examples: int
    numbers: int
    classes: int
    class_task_pairs: int
    buffers: int = 0
    widths: tuple[int, ...] = ()
    smallest: int | None = None
    open_ended: bool = False
    target_bytes: int = 8

    @property
    def example_bytes(self) -> int:
        """What a stored example takes: its input, its target, and the number of its task."""
        return self.input_bytes + self.target_bytes + 8

    @staticmethod
    def of(tasks: int, examples: int, input_bytes: int, parameters: int, outputs: int, **more: Any) -> StreamSize:
        """A size in which what follows from the rest may be left out (each class in one task, float32 inputs)."""
        classes = more.pop("classes", outputs)
        usual = {"total_examples": tasks * examples, "numbers": -(-input_bytes // 4), "class_task_pairs": classes}
        settings: dict[str, Any] = {**usual, **more}
        return StreamSize(tasks, examples, input_bytes, parameters, outputs, classes=classes, **settings)


def stream_size(model: nn.Module, tasks: Sequence[Task], one: Tensor, boundaries: bool = True) -> StreamSize:
    """The extent of a life of `tasks`, `one` an input; `model` is grown to what it is at the end: give it a copy.

    `boundaries`: whether there are any between the tasks.
    """
    classes: set[int] = set()
    for task in tasks:
        classes.update(task.classes)
        announce(model, task.number, 1 + max(classes, default=-1))
    sizes = [task.size for task in tasks]
    network = headed(model)
    backbone = () if network is None else network.backbone.parameters()
    return StreamSize(
        tasks=len(tasks),
        examples=max(sizes),
        input_bytes=one.nbytes,
        parameters=sum(p.numel() for p in model.parameters()),
        outputs=1 + max(classes, default=-1),
        total_examples=sum(sizes),
        numbers=one.numel(),
        classes=len(classes),
        class_task_pairs=sum(len(task.classes) for task in tasks) if boundaries else len(classes),
        buffers=sum(buffer.nbytes for buffer in model.buffers()),
        widths=tuple(_inputs(layer) for layer in model.modules() if isinstance(layer, (nn.Linear, Head, nn.Conv2d))),
        smallest=min((p.numel() for p in backbone if p.ndim > 1), default=None),
    )


def check_room(method: str, capacity: int, needed: int, each: str) -> None:
    """Raise `SettingError` where a memory of `capacity` examples is used (not 0) and smaller than `needed`.

    >>> check_room("gem", 3, 4, "tasks")
    Traceback (most recent call last):
    lifelong.errors.SettingError: gem.capacity must hold an example of each of the 4 tasks, got 3; raise it to 4 or more
    """
    require(
        capacity == 0 or capacity >= needed,
        f"{method}.capacity must hold an example of each of the {needed} {each}, got {capacity}; "
        f"raise it to {needed} or more",
    )


def _inputs(layer: nn.Module) -> int:
    if isinstance(layer, Head):
        return layer.features + 1
    assert isinstance(layer, (nn.Linear, nn.Conv2d))
    return layer.weight[0].numel() + (layer.bias is not None) if len(layer.weight) else 0
