"""The methods by name, their settings as plain values, and back.

A method as plain values is its name and its settings: `{"name": "ewc", "strength": 100.0, …}`; of a chain the
settings of each: `{"name": "ewc+er", "ewc": {…}, "er": {…}}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lifelong.errors import SettingError, unknown_name
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

__all__ = ["METHODS", "build", "parts_of", "settings_of"]

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


def build(label: str, settings: Mapping[str, Any] | None = None) -> Method[Any]:
    """The method called `label`, or the chain `ewc+er`, with `settings` (values may be text).

    >>> build("ewc", {"strength": "10"}).strength
    10.0
    >>> build("ewc+er", {"er": {"capacity": 50}}).methods[1].capacity
    50
    """
    settings = settings or {}
    names = parts_of(label)
    if len(names) == 1:
        return _single(names[0], settings)
    for name in settings:
        if name not in names:
            raise unknown_name(f"part of {label}", name, names)
    return Chain(*(_single(name, settings.get(name, {})) for name in names))


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


def _single(name: str, settings: Mapping[str, Any]) -> Method[Any]:
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    kind = METHODS[name]
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
