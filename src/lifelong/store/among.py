"""Rows whose column is one of many values.

SQLite gets all values as one parameter: `IN (?, ?, …)` would be written anew by SQLAlchemy for every number of values,
which takes longer than finding the rows. PostgreSQL gets them one by one: a plan that it keeps for an array of unknown
length, made while the table was small, compares every row with every value later.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Connection, bindparam, column, func, select

from lifelong.store.values import chunks, encode

__all__ = ["rows_among"]

VALUES = "among"


def rows_among(connection: Connection, statement: Any, of: Column[str], values: Sequence[str]) -> Sequence[Any]:
    """The rows of `statement` whose column `of`, a text, is among `values`; none is asked for where there are none."""
    if not values:
        return []
    if connection.dialect.name == "sqlite":
        return connection.execute(_in_one(statement, of), {VALUES: encode(values)}).all()
    asked = _one_by_one(statement, of)
    return [row for some in chunks(values) for row in connection.execute(asked, {VALUES: some})]


@lru_cache(maxsize=64)
def _in_one(statement: Any, of: Column[str]) -> Any:
    return statement.where(of.in_(select(column("value")).select_from(func.json_each(bindparam(VALUES)))))


@lru_cache(maxsize=64)
def _one_by_one(statement: Any, of: Column[str]) -> Any:
    return statement.where(of.in_(bindparam(VALUES, expanding=True)))
