"""The audit: a chain in which every change leaves a break."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, update

from lifelong.store import audit, tables
from lifelong.store.database import Store
from lifelong.store.errors import NotFoundError
from lifelong.store.sqlite import sqlite_engine


def tell(connection: Connection, number: int) -> audit.Entry:
    detail = {"n": number, "a": (1, 2.0)}
    return audit.append(connection, at=number, project="digits", actor="ann", action="promote", detail=detail)


def test_what_was_told_holds(connection: Connection) -> None:
    assert audit.head(connection) == (0, "0" * 64)
    told = [tell(connection, number) for number in range(5)]
    assert audit.listed(connection) == told
    assert audit.listed(connection, project="digits", after=2, limit=2) == told[2:4]
    assert audit.listed(connection, project="other") == []
    assert audit.head(connection) == (5, told[-1].hash)
    assert audit.verify(connection) == []
    assert audit.verify(connection, known=told[2].hash) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [("at", 99.0), ("project", None), ("actor", "bob"), ("action", "reject"), ("detail", {}), ("hash", "f" * 64)],
)
def test_every_change_is_a_break(connection: Connection, column: str, value: Any) -> None:
    for number in range(5):
        tell(connection, number)
    connection.execute(update(tables.audit).where(tables.audit.c.seq == 3).values({column: value}))
    breaks = audit.verify(connection)
    assert breaks[0] == audit.Break(3, "its content was changed")
    assert [each.seq for each in breaks] == ([3, 4] if column == "hash" else [3])


def test_entries_that_are_gone_are_a_break(connection: Connection) -> None:
    told = [tell(connection, number) for number in range(5)]
    connection.execute(delete(tables.audit).where(tables.audit.c.seq == 5))
    assert audit.verify(connection) == []  # the end was cut off, which no chain can tell by itself
    assert audit.verify(connection, known=told[-1].hash)[0].fault.endswith("the end was cut off, or written anew")
    connection.execute(delete(tables.audit).where(tables.audit.c.seq == 2))
    assert audit.verify(connection) == [
        audit.Break(3, "expected entry 2: entries are missing"),
        audit.Break(3, "it does not follow the entry before it"),
    ]


def test_it_is_told_with_what_it_tells_of_or_not_at_all(store: Store, run: Callable[[Any], Any]) -> None:
    def fail(connection: Connection) -> None:
        tell(connection, 1)
        raise NotFoundError("no")

    with pytest.raises(NotFoundError):
        run(fail)
    assert run(lambda connection: tell(connection, 2)).seq == 1
    assert store.read(audit.verify) == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: value is not None)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0, 1e12), JSON), max_size=4))
def test_whatever_is_told_holds(told: list[tuple[float, Any]]) -> None:
    engine = sqlite_engine(None, begin="BEGIN", connections=1)
    with engine.connect() as connection:
        tables.audit.create(connection)
        for at, detail in told:
            audit.append(connection, at=at, project=None, actor="a", action="x", detail=detail)
        assert audit.verify(connection) == []
        assert [row.detail for row in audit.listed(connection)] == [detail for _, detail in told]
    engine.dispose()
