"""Frozen dataclasses ↔ plain values, strictly: an unknown name is refused with the nearest one that is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

import msgspec

from lifelong.errors import SettingError, unknown_name

__all__ = ["plain", "read"]

T = TypeVar("T")


def plain(value: Any) -> Any:
    """`value` as what JSON can hold: dataclasses become objects, with their `kind` where they have one, tuples lists.

    >>> from lifelong.loop.triggers import Amount
    >>> plain((Amount(50), None))
    [{'kind': 'amount', 'n': 50}, None]
    """
    if is_dataclass(value) and not isinstance(value, type):
        kind = {"kind": value.kind} if hasattr(value, "kind") else {}
        return {**kind, **{field.name: plain(getattr(value, field.name)) for field in fields(value)}}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no infinity; settings of methods are read from text too
    return value


def read(kind: type[T], data: object, place: str, **made: Any) -> T:
    """The dataclass `kind` that plain `data` describes; what it leaves out takes the default.

    Arguments: `place` names the data in errors; `made` holds fields that are values already.
    Raises: `SettingError` for data that is no object, unknown or missing names, wrong types, values out of range.

    >>> from lifelong.loop.triggers import Amount
    >>> read(Amount, {"m": 30}, "project.toml")
    Traceback (most recent call last):
    lifelong.errors.SettingError: unknown setting in project.toml: 'm'; known: n
    """
    if not isinstance(data, Mapping):
        raise SettingError(f"{place}: expected an object with names and values, got {data!r}")
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]  # pyrefly: ignore
    values: dict[str, Any] = dict(made)
    for name, value in data.items():
        if name not in known:
            raise unknown_name(f"setting in {place}:", str(name), known)
        if name in made:
            continue
        if is_dataclass(hints[name]):
            values[name] = read(hints[name], value, f"{place}.{name}")  # pyrefly: ignore
            continue
        try:
            values[name] = msgspec.convert(value, hints[name])
        except msgspec.ValidationError as error:
            raise SettingError(f"{place}.{name}: {error}, got {value!r}") from error
    try:
        return kind(**values)
    except TypeError as error:
        raise SettingError(f"{place}: {str(error).partition(') ')[2] or error}; give it") from error
    except SettingError as error:
        raise SettingError(f"{place}: {error}") from error
