"""What a store refuses, apart from the `StorageError` of a disk or database that fails.

LifelongError
├── NotFoundError       what is named is not stored (HTTP 404)
└── AccessError         an API key that does not open this: `known` tells 403 from 401
"""

from __future__ import annotations

from lifelong.errors import LifelongError

__all__ = ["AccessError", "NotFoundError"]


class NotFoundError(LifelongError):
    """Something is named that is not stored."""


class AccessError(LifelongError):
    """An API key is unknown, expired, revoked (`known` is false) or has not the scope (`known` is true)."""

    def __init__(self, message: str, known: bool) -> None:
        super().__init__(message)
        self.known = known
