"""What a store refuses, apart from the `StorageError` of a disk or database that fails.

LifelongError
├── NotFoundError       what is named is not stored (HTTP 404)
├── ConflictError
│   └── RevisionError   what was to be swapped is at another revision (HTTP 412 where the client named one)
├── AccessError         an API key that does not open this: `known` tells 403 from 401
└── StorageError
    ├── DamagedError    the place answers, but the bytes are gone or not what they were: trying again does not help
    └── DatabaseError   the database does not do its part (HTTP 503)
"""

from __future__ import annotations

from lifelong.errors import ConflictError, LifelongError, StorageError

__all__ = ["AccessError", "DamagedError", "DatabaseError", "NotFoundError", "RevisionError"]


class NotFoundError(LifelongError):
    """Something is named that is not stored."""


class RevisionError(ConflictError):
    """A compare-and-swap that somebody else came before."""


class DamagedError(StorageError):
    """Bytes are missing from a place that answers, or are not those that were stored."""


class AccessError(LifelongError):
    """An API key is unknown, expired, revoked (`known` is false) or has not the scope (`known` is true)."""

    def __init__(self, message: str, known: bool) -> None:
        super().__init__(message)
        self.known = known


class DatabaseError(StorageError):
    """A database fails: the message names its place for those who run it, `mend` is what anybody may be told."""

    def __init__(self, place: str, cause: str, mend: str) -> None:
        super().__init__(f"{place}: {cause}; {mend}")
        self.mend = mend
