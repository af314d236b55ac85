"""The tables. Ids are text, times are seconds since the epoch given by the caller, JSON is text.

A change here needs a migration beside it (`store/migrations.py`); `tests/store/test_migrations.py` watches over that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Insert,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite

from lifelong.store.values import decode, encode

__all__ = [
    "LARGEST",
    "Json",
    "PerDialect",
    "alias",
    "api_key",
    "audit",
    "failure",
    "feedback",
    "history",
    "insert_many",
    "insert_new",
    "insert_or_change",
    "metadata",
    "migration",
    "prediction",
    "project",
    "task",
    "traffic",
    "trigger_firing",
    "update",
    "version",
]

#: the largest number that an Integer holds
LARGEST = 2**31 - 1

#: rows in one statement: few different ones, as each is compiled and kept
SIZES = tuple(2**power for power in range(9, -1, -1))

PerDialect: TypeAlias = Mapping[str, Insert]


class Json(TypeDecorator[Any]):
    """A plain value, kept as JSON text (canonical, but for what came as a `msgspec.Raw`); None is NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else encode(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else decode(value)


def insert_new(table: Table, *key: str) -> PerDialect:
    """By dialect, the INSERT that passes over rows whose `key` is taken; other violations still raise."""
    statements = {
        "sqlite": sqlite.insert(table).on_conflict_do_nothing(index_elements=list(key)),
        "postgresql": postgresql.insert(table).on_conflict_do_nothing(index_elements=list(key)),
    }
    # inline: fetch no key that the caller knows; the rowcount says whether rows were new
    return {name: each.inline().execution_options(preserve_rowcount=True) for name, each in statements.items()}


def insert_or_change(table: Table, *changed: str) -> PerDialect:
    """By dialect, the INSERT that gives a row which is there already new values in the columns `changed`."""
    key = [column.name for column in table.primary_key]
    local, remote = sqlite.insert(table), postgresql.insert(table)
    return {
        "sqlite": local.on_conflict_do_update(
            index_elements=key, set_={name: local.excluded[name] for name in changed}
        ),
        "postgresql": remote.on_conflict_do_update(
            index_elements=key, set_={name: remote.excluded[name] for name in changed}
        ),
    }


def insert_many(connection: Connection, statement: PerDialect, rows: Sequence[Mapping[str, Any]]) -> int:
    """Run `insert_new`'s statement for `rows`, given as the driver takes them (JSON as text); how many were new.

    It hands the rows to the driver in one piece: what SQLAlchemy does to each would take twice as long as storing it.
    SQLite gets many rows in one statement, as its driver lets go of the interpreter's lock for each statement: a server
    that answers meanwhile would have to give it back as often.
    """
    text, places = _compiled(statement[connection.dialect.name], connection.dialect, tuple(rows[0]))
    if places is None:
        return _executed(connection, text, list(rows))
    values = list(map(itemgetter(*places), rows))
    row, at, new = f"({', '.join('?' * len(places))})", 0, 0
    for size in SIZES:
        together = text.replace(row, ", ".join([row] * size), 1)
        while len(values) - at >= size:
            new += _executed(connection, together, tuple(chain.from_iterable(values[at : at + size])))
            at += size
    return new


def _executed(connection: Connection, text: str, values: Any) -> int:
    return connection.exec_driver_sql(text, values, execution_options={"preserve_rowcount": True}).rowcount


@lru_cache(maxsize=64)
def _compiled(statement: Insert, dialect: Dialect, columns: tuple[str, ...]) -> tuple[str, list[str] | None]:
    """The text for the driver, and the order of its values; None where it names them."""
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    return str(compiled), list(compiled.positiontup) if compiled.positiontup else None


metadata = MetaData()

#: of rows that are not the first of their thread
APART = text("thread <> id")

migration = Table("migration", metadata, Column("name", Text, primary_key=True), Column("at", Double, nullable=False))

project = Table(
    "project",
    metadata,
    Column("name", Text, primary_key=True),
    Column("config", Json, nullable=False),
    Column("created", Double, nullable=False),
)

prediction = Table(
    "prediction",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", ForeignKey("project.name"), nullable=False),
    Column("version", Text, nullable=False),
    Column("variant", Text, nullable=False),
    Column("x", Json, nullable=False),
    Column("output", BigInteger, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("at", Double, nullable=False),
    Index("prediction_at", "project", "at"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),  # a hash of project and key, so both are unique together
    Column("project", ForeignKey("project.name"), nullable=False),
    Column("key", Text, nullable=False),
    Column("thread", Text, nullable=False),
    Column("prediction", Text),
    Column("x", Json),
    Column("label", Json, nullable=False),
    Column("source", Text, nullable=False),
    Column("received", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("supersedes", Text),
    Column("task", Integer),
    Index("feedback_state", "project", "state", "seq"),
    # most rows are alone in their thread, which has their id: they need no second entry at a random place
    Index("feedback_thread", "thread", sqlite_where=APART, postgresql_where=APART),
    sqlite_autoincrement=True,  # a sequence number is never given twice
)

task = Table(
    "task",
    metadata,
    Column("project", ForeignKey("project.name"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("classes", Json, nullable=False),
    Column("manifest", Json, nullable=False),
    Column("train_blob", Text, nullable=False),
    Column("exam_blob", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("retired", Json),  # why its exam counts no more, who said so, and when
)

version = Table(
    "version",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", ForeignKey("project.name"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("parent", ForeignKey("version.id")),
    Column("blob", Text, nullable=False),
    Column("settings", Json, nullable=False),
    Column("task", Integer, nullable=False),
    Column("exam_row", Json, nullable=False),
    Column("created", Double, nullable=False),
    Column("update_id", Text),
    UniqueConstraint("project", "number"),
)

alias = Table(
    "alias",
    metadata,
    Column("project", ForeignKey("project.name"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", ForeignKey("version.id"), nullable=False),
    Column("revision", Integer, nullable=False),
)

history = Table(
    "history",
    metadata,
    Column("project", ForeignKey("project.name"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("version", ForeignKey("version.id"), nullable=False),
    Column("previous", ForeignKey("version.id")),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
)

traffic = Table(
    "traffic",
    metadata,
    Column("project", ForeignKey("project.name"), primary_key=True),
    Column("canary", ForeignKey("version.id")),
    Column("percent", Double, nullable=False),
    Column("shadow", ForeignKey("version.id")),
    Column("since", Double, nullable=False),
    Column("revision", Integer, nullable=False),
)

failure = Table(
    "failure",
    metadata,
    Column("project", ForeignKey("project.name"), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),  # of the traffic that was in force
    Column("version", Text, primary_key=True),
    Column("variant", Text, primary_key=True),
    Column("server", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

update = Table(
    "update",
    metadata,
    Column("id", Text, primary_key=True),  # a hash of project and trigger_id
    Column("project", ForeignKey("project.name"), nullable=False),
    Column("trigger_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("trigger", Json, nullable=False),
    Column("method", Json),
    Column("base_version", ForeignKey("version.id")),
    Column("task", Integer),
    Column("lease_owner", Text),
    Column("lease_until", Double),
    Column("attempt", Integer, nullable=False),
    Column("candidate", ForeignKey("version.id")),
    Column("progress", Json),
    Column("evidence", Json),
    Column("decision", Json),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Index("update_state", "state", "created"),
    Index("update_project", "project", "created"),
)

trigger_firing = Table(
    "trigger_firing",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", ForeignKey("project.name"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("at", Double, nullable=False),
    Column("update_id", ForeignKey("update.id")),
    Index("trigger_firing_at", "project", "at"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("project", Text),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("detail", Json, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("revoked", Double),
)
