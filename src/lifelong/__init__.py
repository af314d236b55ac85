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
    from lifelong.errors import DataError, DivergedError, LifelongError, ResourceError, SettingError, StorageError
    from lifelong.experiments import Results, run
    from lifelong.methods import ER, EWC, GEM, Chain, Finetune, Independent, Joint, Method
    from lifelong.streams import Stream, from_csv, from_folder, split_by_class, stream
    from lifelong.training import Learner
    from lifelong.types import Examples, Space, Task

_HOMES = {
    "lifelong.errors": (
        "DataError",
        "DivergedError",
        "LifelongError",
        "ResourceError",
        "SettingError",
        "StorageError",
    ),
    "lifelong.experiments": ("Results", "run"),
    "lifelong.methods": ("EWC", "ER", "GEM", "Chain", "Finetune", "Independent", "Joint", "Method"),
    "lifelong.streams": ("Stream", "from_csv", "from_folder", "split_by_class", "stream"),
    "lifelong.training": ("Learner",),
    "lifelong.types": ("Examples", "Space", "Task"),
}

__all__ = [
    "ER",
    "EWC",
    "GEM",
    "Chain",
    "DataError",
    "DivergedError",
    "Examples",
    "Finetune",
    "Independent",
    "Joint",
    "Learner",
    "LifelongError",
    "Method",
    "ResourceError",
    "Results",
    "SettingError",
    "Space",
    "StorageError",
    "Stream",
    "Task",
    "from_csv",
    "from_folder",
    "run",
    "split_by_class",
    "stream",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'lifelong' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
