"""Whether a method, its settings, the others in its chain and a stream fit each other; asked before learning."""

from __future__ import annotations

import math
import types
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from torch import Tensor, nn

from lifelong.errors import require
from lifelong.models import Head, Network
from lifelong.types import Space, Task

if TYPE_CHECKING:
    from lifelong.methods.base import Method

__all__ = [
    "StreamSize",
    "after_step_order",
    "check_choice",
    "check_compatible",
    "check_room",
    "check_space",
    "check_types",
    "holds",
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
    """Raise `SettingError` where `method` is not defined in the scenario of `space`, or lacks the boundaries it needs.

    >>> from lifelong.methods import EWC
    >>> check_space(EWC(), Space((4,), 2, boundaries=False))
    Traceback (most recent call last):
    lifelong.errors.SettingError: ewc needs task boundaries and this stream has none; use a method without, as er
    """
    require(
        space.scenario in method.scenarios,
        f"{method.name} is not defined in the scenario {space.scenario!r}, only in {', '.join(method.scenarios)}",
    )
    require(
        space.boundaries or "task boundaries" not in method.needs,
        f"{method.name} needs task boundaries and this stream has none; use a method without, as er",
    )


def holds(method: Method[Any]) -> bool:
    """Whether the method keeps weights where they are, whatever the others do."""
    return method.family == "isolation"


def after_step_order(methods: Sequence[Method[Any]]) -> list[int]:
    """The places of `methods` in the order of their `after_step`; a place may come twice.

    A projection comes first, as the others measure the step that was taken, and again after springs, which may move θ
    back into the span; who holds weights puts them back last.

    >>> from lifelong.methods import EWC, OGD, PackNet
    >>> after_step_order([PackNet(), EWC(), OGD()])
    [2, 1, 2, 0]
    """
    places = range(len(methods))
    projecting = [place for place in places if methods[place].projects]
    holding = [place for place in places if holds(methods[place])]
    others = [place for place in places if place not in projecting + holding]
    again = projecting if any(method.family == "springs" for method in methods) else []
    return [*projecting, *others, *again, *holding]


def check_compatible(methods: Sequence[Method[Any]]) -> None:
    """Raise `SettingError` where a chain of `methods` would not do what each of them says.

    >>> from lifelong.methods import ER, NCM, ICaRL, LwF
    >>> check_compatible([LwF(), ICaRL()])
    >>> check_compatible([ICaRL(), LwF()])
    Traceback (most recent call last):
    lifelong.errors.SettingError: icarl+lwf: icarl leaves out the loss of what comes after it (lwf); name it last
    >>> check_compatible([ER(), NCM()])
    Traceback (most recent call last):
    lifelong.errors.SettingError: er+ncm: ncm takes no step of gradient descent, and in a chain no other method would
        take one; use it alone
    """
    from lifelong.methods.base import Method

    label = "+".join(method.name for method in methods)
    idle = [method for method in methods if not method.descends]
    require(
        not idle,
        f"{label}: {_names(idle)} takes no step of gradient descent, and in a chain no other method would take one; "
        "use it alone",
    )
    restarting, holding = [m for m in methods if m.restarts], [m for m in methods if m.holds_past]
    require(
        not (restarting and holding),
        f"{label}: {_names(restarting)} begins tasks anew and would undo what {_names(holding)} holds; "
        "take one of them",
    )
    answering = [method for method in methods if type(method).predict is not Method.predict]
    require(
        len(answering) <= 1,
        f"{label}: {_names(answering)} each answer in a way of their own, and only one can; take one of them",
    )
    choosing = [method for method in methods if type(method).examples is not Method.examples]
    require(
        len(choosing) <= 1,
        f"{label}: {_names(choosing)} each choose what is learned from, and only one can; take one of them",
    )
    keeping = [method for method in methods if method.keeps_batches]
    require(
        not (choosing and keeping),
        f"{label}: {_names(choosing)} learns from stored examples too, which {_names(keeping)} would take for new ones "
        "of the newest task; take one of them, or a method that keeps no examples in place of the other",
    )
    losing = [method for method in methods if method.own_loss]
    require(len(losing) <= 1, f"{label}: {_names(losing)} each leave out the loss of the other; take one of them")
    for place, method in enumerate(methods):
        lost = [other for other in methods[place + 1 :] if type(other).loss is not Method.loss]
        require(
            not (method.own_loss and lost),
            f"{label}: {method.name} leaves out the loss of what comes after it ({_names(lost)}); name it last",
        )


def _names(methods: Iterable[Method[Any]]) -> str:
    return ", ".join(method.name for method in methods)


@dataclass(frozen=True)
class StreamSize:
    """The size of a life.

    Fields: `tasks`; training `examples` of the largest of them; `input_bytes` of one input; `parameters` of the network
    at the end of the life, grown and frozen ones too; `outputs` in all. What follows is derived where it is 0:
    training examples `total_examples`, `numbers` in one input (taken to be float32), `classes` (as many as outputs) and
    `class_task_pairs`, pairs of a class and a task (each class in one task), or classes where tasks have no boundaries.
    `buffers` are the bytes of the network's buffers, `widths` the inputs of each layer that has weights, a bias as one
    more, `smallest` the weights of the smallest layer before the head (None: not known). `open_ended`: this is a life
    so far, which may go on.

    >>> StreamSize(tasks=2, examples=10, input_bytes=16, parameters=15, outputs=3).total_examples
    20
    """

    tasks: int
    examples: int
    input_bytes: int
    parameters: int
    outputs: int
    total_examples: int = 0
    numbers: int = 0
    classes: int = 0
    class_task_pairs: int = 0
    buffers: int = 0
    widths: tuple[int, ...] = ()
    smallest: int | None = None
    open_ended: bool = False

    def __post_init__(self) -> None:
        usual = {
            "total_examples": self.tasks * self.examples,
            "numbers": -(-self.input_bytes // 4),
            "classes": self.outputs,
            "class_task_pairs": self.classes or self.outputs,
        }
        for name, value in usual.items():
            object.__setattr__(self, name, getattr(self, name) or value)


def stream_size(model: nn.Module, tasks: Sequence[Task], one: Tensor, boundaries: bool = True) -> StreamSize:
    """The extent of a life of `tasks`, `one` an input; `model` is grown to what it is at the end: give it a copy.

    `boundaries`: whether there are any between the tasks.
    """
    classes: set[int] = set()
    for task in tasks:
        classes.update(task.classes)
        if isinstance(model, Network):
            model.announce(task.number, 1 + max(classes))
    sizes = [task.size for task in tasks]
    backbone = model.backbone.parameters() if isinstance(model, Network) else ()
    return StreamSize(
        tasks=len(tasks),
        examples=max(sizes),
        input_bytes=one.nbytes,
        parameters=sum(p.numel() for p in model.parameters()),
        outputs=1 + max(classes),
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
