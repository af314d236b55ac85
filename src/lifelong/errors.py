"""Everything that can go wrong, as one tree.

    LifelongError
    ├── SettingError        a name, type or range that does not exist (also a ValueError)
    ├── DataError           data that is missing, corrupt, empty, out of range or not finite (also a ValueError)
    ├── DivergedError       the loss stopped being a finite number
    ├── StorageError        a file or folder that cannot be read, written or trusted
    ├── ResourceError       not enough memory for what was asked
    └── ConflictError       someone else changed it first: look again, then decide again

Every message says what was expected, what came, and the fix. The command line prints it and exits with 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

__all__ = [
    "ConflictError",
    "DataError",
    "DivergedError",
    "LifelongError",
    "ResourceError",
    "SettingError",
    "StorageError",
    "require",
    "unknown_name",
]


class LifelongError(Exception):
    """The root of every error that this package raises on purpose.

    Attributes:
        results: The `Results` of the runs that finished, where other runs of the same call failed.
    """

    results: Any = None


class SettingError(LifelongError, ValueError):
    """A setting has an unknown name, a wrong type or a value out of its range."""


class DataError(LifelongError, ValueError):
    """Data is missing, corrupt, empty, out of range or not finite."""


class DivergedError(LifelongError):
    """The training loss stopped being a finite number."""


class StorageError(LifelongError):
    """A file or folder cannot be read, written or trusted."""


class ResourceError(LifelongError):
    """The machine has less memory than the request needs."""


class ConflictError(LifelongError):
    """What is asked contradicts what is stored: someone was first, or the state does not allow it (HTTP 409)."""


def require(condition: bool, message: str) -> None:
    """Raise `SettingError(message)` unless `condition` holds.

    >>> require(-1.0 >= 0, "strength must be 0 or more, got -1.0")
    Traceback (most recent call last):
    lifelong.errors.SettingError: strength must be 0 or more, got -1.0
    """
    if not condition:
        raise SettingError(message)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> SettingError:
    """The error for a name that does not exist, with the nearest one that does.

    >>> unknown_name("method", "ewcc", ["ewc", "gem"])
    SettingError("unknown method 'ewcc'; did you mean 'ewc'? known: ewc, gem")
    """
    names = sorted(known)
    nearest = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ";"
    return SettingError(f"unknown {kind} {name!r}{hint} known: {', '.join(names)}")
