"""A method's state after the model grew: what runs over the parameters is laid out anew."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from lifelong.flat import Flat

__all__ = ["carried"]


def carried(state: Any, new: Flat, old: Flat) -> Any:
    """`state` with every tensor in a field whose name ends in `P` carried from `old` to `new`, new entries zero.

    Dataclasses are changed in place and returned; tuples, lists and dicts are followed.
    """
    return _carried(state, new, old, over_parameters=False)


def _carried(value: Any, new: Flat, old: Flat, over_parameters: bool) -> Any:
    if isinstance(value, Tensor):
        return new.carry(value, old) if over_parameters else value
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            inside = _carried(getattr(value, field.name), new, old, field.name.endswith("P"))
            setattr(value, field.name, inside)
        return value
    if isinstance(value, list):
        return [_carried(item, new, old, over_parameters) for item in value]
    if isinstance(value, tuple):
        return tuple(_carried(item, new, old, over_parameters) for item in value)
    if isinstance(value, dict):
        return {key: _carried(item, new, old, over_parameters) for key, item in value.items()}
    return value
