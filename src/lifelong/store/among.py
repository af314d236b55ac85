"""Rows whose column is one of many values, all given as one parameter.

`IN (?, ?, …)` would be written anew by SQLAlchemy for every number of values, which takes longer than finding the rows,
and a statement may hold so many parameters only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Connection, Text, any_, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from lifelong.store.values import encode

__all__ = ["rows_among"]

VALUES = "among"


def rows_among(connection: Connection, statement: Any, of: Column[str], values: Sequence[str]) -> Sequence[Any]:
    """The rows of `statement` whose column `of`, a text, is among `values`; none is asked for where there are none."""
    if not values:
        return []
    lite = connection.dialect.name == "sqlite"
    return connection.execute(_with(statement, of, lite), {VALUES: encode(values) if lite else list(values)}).all()


@lru_cache(maxsize=64)
def _with(statement: Any, of: Column[str], lite: bool) -> Any:
    if lite:
        return statement.where(of.in_(select(column("value")).select_from(func.json_each(bindparam(VALUES)))))
    return statement.where(of == any_(bindparam(VALUES, type_=ARRAY(Text))))
