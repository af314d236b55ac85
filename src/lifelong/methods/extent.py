"""How large a life is: what a method's settings and its memory are measured against before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from lifelong.errors import require
from lifelong.models import Head, Network
from lifelong.types import Task

__all__ = ["Extent", "check_room", "extent_of"]


@dataclass(frozen=True)
class Extent:
    """The size of a life.

    Fields: `tasks`; training `examples` of the largest of them; `input_bytes` of one input; `parameters` of the network
    at the end of the life, grown and frozen ones too; `outputs` in all. What follows is derived where it is 0:
    training examples `in_all` tasks, `numbers` in one input (taken to be float32), `classes` (as many as outputs) and
    `shares`, pairs of a class and a task (each class in one task), or classes where tasks have no boundaries. `buffers`
    are the bytes of the network's buffers, `widths` the inputs of each layer that has weights, a bias as one more,
    `smallest` the weights of the smallest layer before the head (None: not known). `goes_on`: this is a life so far,
    which may go on.

    >>> Extent(tasks=2, examples=10, input_bytes=16, parameters=15, outputs=3).in_all
    20
    """

    tasks: int
    examples: int
    input_bytes: int
    parameters: int
    outputs: int
    in_all: int = 0
    numbers: int = 0
    classes: int = 0
    shares: int = 0
    buffers: int = 0
    widths: tuple[int, ...] = ()
    smallest: int | None = None
    goes_on: bool = False

    def __post_init__(self) -> None:
        usual = {
            "in_all": self.tasks * self.examples,
            "numbers": -(-self.input_bytes // 4),
            "classes": self.outputs,
            "shares": self.classes or self.outputs,
        }
        for name, value in usual.items():
            object.__setattr__(self, name, getattr(self, name) or value)


def extent_of(model: nn.Module, tasks: Sequence[Task], one: Tensor, boundaries: bool = True) -> Extent:
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
    return Extent(
        tasks=len(tasks),
        examples=max(sizes),
        input_bytes=one.nbytes,
        parameters=sum(p.numel() for p in model.parameters()),
        outputs=1 + max(classes),
        in_all=sum(sizes),
        numbers=one.numel(),
        classes=len(classes),
        shares=sum(len(task.classes) for task in tasks) if boundaries else len(classes),
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
