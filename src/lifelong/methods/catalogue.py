"""The methods by name, their settings as plain values, and back.

A method as plain values is its name and its settings: `{"name": "ewc", "strength": 100.0, …}`; of a chain the
settings of each: `{"name": "ewc+er", "ewc": {…}, "er": {…}}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from lifelong.errors import SettingError, require, unknown_name
from lifelong.methods.agem import AGEM
from lifelong.methods.base import Method
from lifelong.methods.chain import Chain
from lifelong.methods.compatibility import check_choice
from lifelong.methods.der import DER
from lifelong.methods.derpp import DERPP
from lifelong.methods.dgr import DGR
from lifelong.methods.er import ER
from lifelong.methods.er_ace import ERACE
from lifelong.methods.ewc import EWC
from lifelong.methods.finetune import Finetune
from lifelong.methods.gdumb import GDumb
from lifelong.methods.gem import GEM
from lifelong.methods.gpm import GPM
from lifelong.methods.gss import GSS
from lifelong.methods.hat import HAT
from lifelong.methods.icarl import ICaRL
from lifelong.methods.independent import Independent
from lifelong.methods.joint import Joint
from lifelong.methods.l2 import L2
from lifelong.methods.lwf import LwF
from lifelong.methods.mas import MAS
from lifelong.methods.mir import MIR
from lifelong.methods.ncm import NCM
from lifelong.methods.ogd import OGD
from lifelong.methods.online_ewc import OnlineEWC
from lifelong.methods.packnet import PackNet
from lifelong.methods.progressive import Progressive
from lifelong.methods.ranpac import RanPAC
from lifelong.methods.rwalk import RWalk
from lifelong.methods.scp import SCP
from lifelong.methods.si import SI
from lifelong.methods.slda import SLDA
from lifelong.methods.xdg import XdG
from lifelong.plugins import find

__all__ = ["METHODS", "as_method", "build", "method_class", "parts_of", "settings_of"]

METHODS: dict[str, type[Method[Any]]] = {
    kind.name: kind
    for kind in (
        Finetune,
        Joint,
        Independent,
        EWC,
        OnlineEWC,
        L2,
        SI,
        MAS,
        RWalk,
        SCP,
        GEM,
        AGEM,
        OGD,
        GPM,
        ER,
        ERACE,
        DER,
        DERPP,
        MIR,
        GSS,
        GDumb,
        ICaRL,
        LwF,
        DGR,
        PackNet,
        Progressive,
        HAT,
        XdG,
        NCM,
        SLDA,
        RanPAC,
    )
}


def build(label: str, settings: Mapping[str, Any] | None = None, *, import_paths: bool = False) -> Method[Any]:
    """The method called `label`, or the chain `ewc+er`, with `settings` (values may be text).

    `import_paths` allows `package.module:MyMethod`: only where the person who starts the program wrote the label.

    >>> build("ewc", {"strength": "10"}).strength
    10.0
    >>> build("ewc+er", {"er": {"capacity": 50}}).methods[1].capacity
    50
    """
    settings = settings or {}
    names = parts_of(label)
    if len(names) == 1:
        return _single(names[0], settings, import_paths)
    for name in settings:
        if name not in names:
            raise unknown_name(f"part of {label}", name, names)
    return Chain(*(_single(name, settings.get(name, {}), import_paths) for name in names))


def as_method(method: str | Method[Any] | type[Method[Any]]) -> Method[Any]:
    """A method that was given by name, as an object, or as its class, which stands for its default settings.

    Raises:
        SettingError: It is none of these, or a class whose settings have no defaults.

    Example:
        >>> as_method("ewc") == as_method(EWC) == as_method(EWC())
        True
    """
    if isinstance(method, Method):
        return _with_plain_numbers(method)
    if isinstance(method, str):
        return build(method, import_paths=True)
    require(
        isinstance(method, type) and issubclass(method, Method),
        f"a method is a name as in 'ewc', an object as in EWC(), or a class as in EWC; got {method!r}",
    )
    try:
        return method()
    except TypeError as error:
        raise SettingError(
            f"{method.__name__} has settings without defaults: give an object in place of the class"
        ) from error


def _with_plain_numbers(method: Method[Any]) -> Method[Any]:
    """The method with NumPy's numbers among its settings as Python's, which files can hold."""
    if isinstance(method, Chain):
        parts = [_with_plain_numbers(part) for part in method.methods]
        same = all(new is old for new, old in zip(parts, method.methods, strict=True))
        return method if same else Chain(*parts, label=method.label)
    values = {name: getattr(method, name) for name in method.settings()}
    plain = {name: value.item() for name, value in values.items() if isinstance(value, np.generic)}
    return replace(method, **plain) if plain else method


def method_class(name: str, *, import_paths: bool = False) -> type[Method[Any]]:
    """The class of the method called `name`: a name, a class name, an entry point of an installed package, or a path.

    Raises:
        SettingError: There is no such method, or what the path leads to is none.

    Example:
        >>> method_class("EWC").name
        'ewc'
    """
    if name in METHODS:
        return METHODS[name]
    by_class = {kind.__name__: kind for kind in METHODS.values()}
    if name in by_class:
        return by_class[name]
    kind = find(name, "method", import_paths=import_paths)
    if kind is None:
        raise unknown_name("method", name, METHODS)
    require(
        isinstance(kind, type) and issubclass(kind, Method) and kind is not Chain,
        f"method {name!r} is {kind!r}; expected the name of a class that derives from lifelong.Method",
    )
    require(hasattr(kind, "name"), f"method {name!r} has no name: give the class one, as in name = 'mine'")
    return kind


def parts_of(label: str) -> list[str]:
    """The names in the label of a chain; a name may itself end in `++`.

    >>> parts_of("ewc+er"), parts_of("der++"), parts_of("der+++ewc")
    (['ewc', 'er'], ['der++'], ['der++', 'ewc'])
    """
    return re.split(r"(?<=\+\+)\+|(?<!\+)\+(?!\+)", label)


def settings_of(method: Method[Any]) -> dict[str, Any]:
    """The settings of a method as plain values, from which `build(method.name, …)` makes an equal one.

    >>> settings_of(build("er"))
    {'capacity': 500, 'replay_batch': 32}
    """
    if isinstance(method, Chain):
        return {part.name: settings_of(part) for part in method.methods}
    return {name: getattr(method, name) for name in method.settings()}


def _single(name: str, settings: Mapping[str, Any], import_paths: bool) -> Method[Any]:
    kind = method_class(name, import_paths=import_paths)
    known = kind.settings()
    for setting, value in settings.items():
        if setting not in known:
            raise unknown_name(f"setting of {name}", setting, known)
        check_choice(name, kind, setting, value)
    try:
        return msgspec.convert(dict(settings), kind, strict=False)
    except msgspec.ValidationError as error:
        given = ", ".join(f"{setting}={value!r}" for setting, value in settings.items())
        raise SettingError(f"{name}: {error} (given: {given}); see: lifelong methods {name}") from error
