"""Failures: on how many inputs a version gave no answer, under each revision of the traffic, as told by each server.

A server tells its own sum since it started, not what was added: told twice it counts once, and servers do not wait for
each other's row.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, bindparam, func, select

from lifelong.store.tables import failure, insert_or_change

__all__ = ["Failure", "counted", "put_many"]

PUT = insert_or_change(failure, "count")
COUNTED = (
    select(failure.c.version, failure.c.variant, func.sum(failure.c.count))
    .where(failure.c.project == bindparam("project"), failure.c.revision == bindparam("revision"))
    .group_by(failure.c.version, failure.c.variant)
)


class Failure(Struct, frozen=True):
    """One row of `failure`: `count` inputs that a version failed on as `variant`, since `server` started.

    `revision` is that of the traffic in force, so what a version did when it was tried before is not held against it.
    """

    project: str
    revision: int
    version: str
    variant: str
    server: str
    count: int


def put_many(connection: Connection, rows: Sequence[Failure]) -> None:
    """Store rows in place of what the same server told before; at most one for each key.

    Raises: `StorageError` (from the store) where a project is unknown.
    """
    if rows:
        connection.execute(PUT[connection.dialect.name], [asdict(row) for row in rows])


def counted(connection: Connection, project: str, revision: int) -> dict[tuple[str, str], int]:
    """How many inputs failed under that revision of the traffic, on all servers, by version and variant."""
    values = {"project": project, "revision": revision}
    return {(row[0], row[1]): int(row[2]) for row in connection.execute(COUNTED, values)}
