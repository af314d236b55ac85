"""Lifelong (continual) learning: models that learn task after task without forgetting what they knew.

    >>> import lifelong
    >>> results = lifelong.run("permuted-digits", methods=["finetune", "joint"], tasks=2, seeds=1, epochs=2)
    >>> results.methods
    ['finetune', 'joint']

Names are loaded when they are first used, so `import lifelong` itself costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from types import ModuleType

    from lifelong.errors import DataError, DivergedError, LifelongError, ResourceError, SettingError, StorageError
    from lifelong.experiments import Results, reproduce, run, tune
    from lifelong.methods import (
        AGEM,
        DER,
        DERPP,
        DGR,
        ER,
        ERACE,
        EWC,
        GEM,
        GPM,
        GSS,
        HAT,
        L2,
        MAS,
        MIR,
        NCM,
        OGD,
        SCP,
        SI,
        SLDA,
        Chain,
        Finetune,
        GDumb,
        ICaRL,
        Independent,
        Joint,
        LwF,
        Method,
        OnlineEWC,
        PackNet,
        Progressive,
        RanPAC,
        RWalk,
        XdG,
    )
    from lifelong.streams import Stream, from_csv, from_folder, split_by_class, stream
    from lifelong.training import Learner, Training
    from lifelong.types import Classes, Examples, Field, Labels, Numbers, Space, Task, Tokens

    chapter: ModuleType  # the layer on top, which this package does not import

#: the modules whose names are public here; each is imported when one of its names is first asked for
_HOMES = {
    "lifelong.errors": (
        "DataError",
        "DivergedError",
        "LifelongError",
        "ResourceError",
        "SettingError",
        "StorageError",
    ),
    "lifelong.experiments": (
        "Results",
        "run",
    ),
    "lifelong.methods": (
        "AGEM",
        "DER",
        "DERPP",
        "DGR",
        "ER",
        "ERACE",
        "EWC",
        "GEM",
        "GPM",
        "GSS",
        "HAT",
        "L2",
        "MAS",
        "MIR",
        "NCM",
        "OGD",
        "SCP",
        "SI",
        "SLDA",
        "Chain",
        "Finetune",
        "GDumb",
        "ICaRL",
        "Independent",
        "Joint",
        "LwF",
        "Method",
        "OnlineEWC",
        "PackNet",
        "Progressive",
        "RWalk",
        "RanPAC",
        "XdG",
    ),
    "lifelong.streams": (
        "Stream",
        "from_csv",
        "from_folder",
        "split_by_class",
        "stream",
    ),
    "lifelong.training": (
        "Learner",
        "Training",
    ),
    "lifelong.types": (
        "Classes",
        "Examples",
        "Field",
        "Labels",
        "Numbers",
        "Space",
        "Task",
        "Tokens",
    ),
}

#: modules that are public by a short name
_MODULES = {
    "chapter": "lifelong.chapter",
    "reproduce": "lifelong.experiments.reproduce",
    "tune": "lifelong.experiments.tune",
}

__all__ = [
    "AGEM",
    "DER",
    "DERPP",
    "DGR",
    "ER",
    "ERACE",
    "EWC",
    "GEM",
    "GPM",
    "GSS",
    "HAT",
    "L2",
    "MAS",
    "MIR",
    "NCM",
    "OGD",
    "SCP",
    "SI",
    "SLDA",
    "Chain",
    "Classes",
    "DataError",
    "DivergedError",
    "Examples",
    "Field",
    "Finetune",
    "GDumb",
    "ICaRL",
    "Independent",
    "Joint",
    "Labels",
    "Learner",
    "LifelongError",
    "LwF",
    "Method",
    "Numbers",
    "OnlineEWC",
    "PackNet",
    "Progressive",
    "RWalk",
    "RanPAC",
    "ResourceError",
    "Results",
    "SettingError",
    "Space",
    "StorageError",
    "Stream",
    "Task",
    "Tokens",
    "Training",
    "XdG",
    "chapter",
    "from_csv",
    "from_folder",
    "reproduce",
    "run",
    "split_by_class",
    "stream",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'lifelong' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
