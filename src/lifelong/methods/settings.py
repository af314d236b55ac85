"""Whether the settings of a method are of the types and among the words that it declares, and finite."""

from __future__ import annotations

import math
import types
from collections.abc import Collection
from dataclasses import fields
from functools import cache
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lifelong.errors import require

__all__ = ["check_choice", "check_types"]

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
