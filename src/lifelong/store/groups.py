"""A group of waiting works, run for a common COMMIT so that one that fails takes no other with it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

__all__ = ["Entry", "Outcome", "run_apart"]


@dataclass(eq=False)
class Entry:
    """One waiting work, and the future that is to answer."""

    work: Callable[[Connection], Any]
    tries: int = 0
    future: Future[Any] = field(default_factory=Future)


Outcome: TypeAlias = tuple[Entry, Any]  # a result, or the exception


def run_apart(connection: Connection, entry: Entry) -> Outcome:
    """Run a work in a SAVEPOINT, and undo it where it raises.

    Raises: what the database raises where the whole transaction is gone with it (disk full, connection lost).
    """
    outcome: Any
    connection.exec_driver_sql("SAVEPOINT work")
    try:
        outcome = entry.work(connection)
    except Exception as error:  # noqa: BLE001 - whatever a work raises is its own caller's
        outcome = error
        try:
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT work")
        except SQLAlchemyError as gone:  # and the whole transaction with it: tell the first cause
            raise (error if isinstance(error, SQLAlchemyError) else gone) from error
    connection.exec_driver_sql("RELEASE SAVEPOINT work")
    return entry, outcome
