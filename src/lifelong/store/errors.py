"""What a store refuses, apart from the `StorageError` of a disk or database that fails.

LifelongError
├── NotFoundError       what is named is not stored (HTTP 404)
├── AccessError         an API key that does not open this: `known` tells 403 from 401
└── StorageError
    └── DamagedError    what is stored is not what was stored: trying again does not help
"""

from __future__ import annotations

from lifelong.errors import LifelongError, StorageError

__all__ = ["AccessError", "DamagedError", "NotFoundError"]


class NotFoundError(LifelongError):
    """Something is named that is not stored."""


class AccessError(LifelongError):
    """An API key is unknown, expired, revoked (`known` is false) or has not the scope (`known` is true)."""

    def __init__(self, message: str, known: bool) -> None:
        super().__init__(message)
        self.known = known


class DamagedError(StorageError):
    """The bytes that are stored are not those that were: a person must restore them."""
