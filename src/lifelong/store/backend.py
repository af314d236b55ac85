"""What a `Store` stands on: two engines, and what differs between the databases."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DataError as ValueRefusedError
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from lifelong.errors import DataError, LifelongError, StorageError
from lifelong.store.errors import DatabaseError

__all__ = ["Backend", "RacedError", "explain", "is_race", "serialise"]


@dataclass(frozen=True)
class Backend:
    """An engine with one connection for writing, an engine for reading snapshots, and how to let go of the place.

    `keeps`: the writing connection cannot be lost between two uses.
    `warnings` are sentences about what makes this place less trustworthy than it should be.
    """

    place: str
    writing: Engine
    reading: Engine
    warnings: tuple[str, ...]
    keeps: bool
    release: Callable[[], None]


class RacedError(StorageError):
    """Another server wrote the same row first: the work is to be run again, and will see it."""

    def __init__(self) -> None:
        super().__init__("other servers kept writing the same rows; send again (with the same key)")


def serialise(connection: Connection, name: str) -> None:
    """Wait until no other transaction holds `name`, and hold it until this one ends.

    SQLite has one writer, so there is nothing to wait for; PostgreSQL takes an advisory lock.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(zlib.crc32(f"lifelong {name}".encode()))))


def is_race(error: BaseException) -> bool:
    """Whether `error` says that two servers stood in each other's way, so that trying again helps.

    SQLSTATE 40001 is a serialization failure, 40P01 a deadlock.
    """
    if isinstance(error, DBAPIError):
        return getattr(error.orig, "sqlstate", None) in {"40001", "40P01"}
    return isinstance(error, RacedError)


def explain(error: SQLAlchemyError, place: str) -> LifelongError:
    """The `DatabaseError` for what the database said, with the mend; `DataError` for a value that it cannot hold."""
    cause = (str(error.orig) if isinstance(error, DBAPIError) else str(error)).strip().partition("\n")[0]
    if isinstance(error, ValueRefusedError):  # PostgreSQL: the character NUL in a text, a number beyond its column
        return DataError(f"a value cannot be stored: {cause}; send a text without NUL, or a smaller number")
    if isinstance(error, IntegrityError):
        mend = "a row it names is not stored, or one that it would make is there already"
    elif isinstance(error, DBAPIError) and error.connection_invalidated:
        mend = "the connection was lost: see that the database runs, then send again (with the same key)"
    elif "full" in cause or "No space" in cause:
        mend = "nothing of it was stored; free some space there, then send again"
    else:
        mend = "nothing of it was stored; see that the place can be written and the database runs, then send again"
    return DatabaseError(place, cause, mend)
