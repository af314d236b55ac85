"""The methods by name, their settings as plain values, and back.

A method as plain values is its name and its settings: `{"name": "ewc", "strength": 100.0, …}`; of a chain the
settings of each: `{"name": "ewc+er", "ewc": {…}, "er": {…}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec

from lifelong.errors import SettingError, unknown_name
from lifelong.methods.base import Method
from lifelong.methods.chain import Chain
from lifelong.methods.er import ER
from lifelong.methods.ewc import EWC
from lifelong.methods.finetune import Finetune
from lifelong.methods.gem import GEM
from lifelong.methods.independent import Independent
from lifelong.methods.joint import Joint

__all__ = ["METHODS", "build", "settings_of"]

METHODS: dict[str, type[Method[Any]]] = {kind.name: kind for kind in (Finetune, Joint, Independent, EWC, GEM, ER)}


def build(label: str, settings: Mapping[str, Any] | None = None) -> Method[Any]:
    """The method called `label`, or the chain `ewc+er`, with `settings` (values may be text).

    >>> build("ewc", {"strength": "10"}).strength
    10.0
    >>> build("ewc+er", {"er": {"capacity": 50}}).methods[1].capacity
    50
    """
    settings = settings or {}
    names = label.split("+")
    if len(names) == 1:
        return _single(names[0], settings)
    for name in settings:
        if name not in names:
            raise unknown_name(f"part of {label}", name, names)
    return Chain(*(_single(name, settings.get(name, {})) for name in names))


def settings_of(method: Method[Any]) -> dict[str, Any]:
    """The settings of a method as plain values, from which `build(method.name, …)` makes an equal one.

    >>> settings_of(build("er"))
    {'capacity': 500, 'replay_batch': 32}
    """
    if isinstance(method, Chain):
        return {part.name: settings_of(part) for part in method.methods}
    return {field.name: getattr(method, field.name) for field in fields(method)}


def _single(name: str, settings: Mapping[str, Any]) -> Method[Any]:
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    kind = METHODS[name]
    known = [field.name for field in fields(kind)]
    for setting in settings:
        if setting not in known:
            raise unknown_name(f"setting of {name}", setting, known)
    try:
        return msgspec.convert(dict(settings), kind, strict=False)
    except msgspec.ValidationError as error:
        given = ", ".join(f"{setting}={value!r}" for setting, value in settings.items())
        raise SettingError(f"{name}: {error} (given: {given}); see: lifelong methods {name}") from error
