"""Changes of the schema: named functions, each recorded in the transaction that runs it.

The first one makes the tables of today. When the tables change: let it make them as they were (from
`tests/store/schema`), and add a function that changes those into the new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy import DDL, Connection, insert, inspect, select, update

from lifelong.errors import StorageError
from lifelong.store import tables
from lifelong.store.backend import serialise

__all__ = ["MIGRATIONS", "Migration", "migrate"]

Migration: TypeAlias = tuple[str, Callable[[Connection], None]]


def initial(connection: Connection) -> None:
    """Every table but `migration`, which is there already, and those that came later."""
    later = {"traffic", "failure"}
    first = [table for name, table in tables.metadata.tables.items() if name not in later]
    tables.metadata.create_all(connection, tables=first)


def traffic(connection: Connection) -> None:
    """Which versions answer beside the champion; before, aliases named `canary` and `shadow` would have said so."""
    tables.traffic.create(connection)


def threads(connection: Connection) -> None:
    """The index of threads leaves out the first row of each."""
    (index,) = (index for index in tables.feedback.indexes if index.name == "feedback_thread")
    index.drop(connection)
    index.create(connection)


def failures(connection: Connection) -> None:
    """On how many inputs versions failed; before, each server counted in memory."""
    tables.failure.create(connection)


def margins(connection: Connection) -> None:
    """The gate asks narrow margins of the mean and wide ones of single tasks, where each task had the narrow one."""
    for name, config in connection.execute(select(tables.project.c.name, tables.project.c.config)).all():
        if "gate" not in config:
            continue
        gate = {key: value for key, value in config["gate"].items() if key not in ("proof", "test")}
        if config["gate"].get("proof", "each") == "each" and "max_total_forgetting" in gate:
            gate["max_task_forgetting"] = gate.pop("max_total_forgetting")
        change = update(tables.project).where(tables.project.c.name == name)
        connection.execute(change.values(config={**config, "gate": gate}))


def retired_exams(connection: Connection) -> None:
    """Exams that count no more, with the reason; a database that is made now has the column."""
    if "retired" not in {column["name"] for column in inspect(connection).get_columns("task")}:
        connection.execute(DDL("ALTER TABLE task ADD COLUMN retired TEXT"))


MIGRATIONS: tuple[Migration, ...] = (
    ("0001_initial", initial),
    ("0002_traffic", traffic),
    ("0003_threads", threads),
    ("0005_failures", failures),
    ("0006_margins", margins),
    ("0007_retired", retired_exams),
)


def migrate(connection: Connection, now: float, migrations: Sequence[Migration] = MIGRATIONS) -> list[str]:
    """Run what this database has not seen, in order, and return the names; all or none of it is kept.

    Raises: `StorageError` for a database that a newer lifelong has written, which is left as it is.
    """
    serialise(connection, "migration")
    if not inspect(connection).has_table("migration"):
        tables.migration.create(connection)
    done = set(connection.scalars(select(tables.migration.c.name)))
    names = [name for name, _ in migrations]
    if newer := sorted(done.difference(names)):
        raise StorageError(
            f"the database was written by a newer lifelong: it has {', '.join(newer)}, and this one knows no later "
            f"change than {names[-1]}; upgrade lifelong, or choose another --home or --database"
        )
    todo = [migration for migration in migrations if migration[0] not in done]
    for name, change in todo:
        change(connection)
        connection.execute(insert(tables.migration), {"name": name, "at": now})
    return [name for name, _ in todo]
