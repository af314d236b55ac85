"""A group of waiting works, run for a common COMMIT so that one that fails takes no other with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

__all__ = ["Entry", "Outcome", "parts", "run_part"]


@dataclass(eq=False)
class Entry:
    """One waiting item, what to do with it and those like it, and the future that is to answer."""

    many: Callable[[Connection, list[Any]], Sequence[Any]]
    item: Any
    alone: bool = False
    tries: int = 0
    future: Future[Any] = field(default_factory=Future)


Outcome: TypeAlias = tuple[Entry, Any]  # a result, or the exception


def parts(group: Iterable[Entry]) -> list[list[Entry]]:
    """The entries that are one call, in the order of their first."""
    found: dict[object, list[Entry]] = {}
    for entry in group:
        found.setdefault(entry if entry.alone else entry.many, []).append(entry)
    return list(found.values())


def run_part(connection: Connection, part: list[Entry]) -> list[Outcome]:
    """Run `part` in a SAVEPOINT; where it raises, undo it and run its entries one by one.

    Raises: what the database raises where the whole transaction is gone with it (disk full, connection lost).
    """
    failed: Exception | None = None
    results: Sequence[Any] = ()
    connection.exec_driver_sql("SAVEPOINT work")
    try:
        results = part[0].many(connection, [entry.item for entry in part])
    except Exception as error:  # noqa: BLE001 - whatever a work raises is its own caller's
        failed = error
        try:
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT work")
        except SQLAlchemyError as gone:  # and the whole transaction with it: tell the first cause
            raise (error if isinstance(error, SQLAlchemyError) else gone) from error
    connection.exec_driver_sql("RELEASE SAVEPOINT work")
    if failed is None:
        return list(zip(part, results, strict=True))
    if len(part) == 1:
        return [(part[0], failed)]
    return [outcome for entry in part for outcome in run_part(connection, [entry])]
