"""Predictions: what was asked, what was answered, by which version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, bindparam, select

from lifelong.store.among import rows_among
from lifelong.store.errors import NotFoundError
from lifelong.store.tables import insert_many, insert_new, prediction
from lifelong.store.values import encode

__all__ = ["Prediction", "add_many", "among", "get", "listed", "newest"]

INSERT = insert_new(prediction, "id")
ONE = select(prediction).where(prediction.c.id == bindparam("id"))
ALL = select(prediction)
LATEST = (
    select(prediction)
    .where(prediction.c.project == bindparam("project"))
    .order_by(prediction.c.at.desc(), prediction.c.id)
    .limit(bindparam("limit"))
)
_fresh = (
    select(prediction.c.id, prediction.c.version, prediction.c.variant, prediction.c.at)
    .where(
        prediction.c.project == bindparam("project"),
        prediction.c.at > bindparam("after"),
        prediction.c.at <= bindparam("until"),
    )
    .order_by(prediction.c.at.desc())
    .limit(bindparam("within"))
    .subquery()
)
NEWEST = (
    select(_fresh.c.id)
    .where(_fresh.c.version == bindparam("version"), _fresh.c.variant == "champion")
    .order_by(_fresh.c.at.desc(), _fresh.c.id)
    .limit(bindparam("limit"))
)


class Prediction(Struct, frozen=True):
    """One row of `prediction`; `variant` is champion, canary, shadow or named."""

    id: str
    project: str
    version: str
    variant: str
    x: Any
    output: int
    confidence: float
    at: float


def add_many(connection: Connection, rows: Sequence[Prediction]) -> None:
    """Store rows; an id that is there already is passed over. `review.log` also joins the feedback that waits for them.

    Raises: `StorageError` (from the store) where a project is unknown.
    """
    if rows:
        insert_many(connection, INSERT, [{**asdict(row), "x": encode(row.x)} for row in rows])


def get(connection: Connection, row_id: str) -> Prediction:
    """The prediction `row_id`. Raises: `NotFoundError`."""
    row = connection.execute(ONE, {"id": row_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"no prediction {row_id!r} is stored; take the id from the answer to infer")
    return Prediction(*row)


def among(connection: Connection, ids: Sequence[str]) -> dict[str, Prediction]:
    """Those of `ids` that are stored, by id."""
    return {row.id: Prediction(*row) for row in rows_among(connection, ALL, prediction.c.id, ids)}


def listed(connection: Connection, project: str, *, limit: int = 100) -> list[Prediction]:
    """The latest predictions, newest first."""
    return [Prediction(*row) for row in connection.execute(LATEST, {"project": project, "limit": limit})]


def newest(
    connection: Connection,
    project: str,
    version: str,
    *,
    count: int,
    within: int,
    after: float,
    until: float,
) -> list[Prediction]:
    """The newest `count` answers of `version` as the champion, the newest first; none at all where there are fewer.

    They are looked for among the newest `within` answers of anybody from `after` (excluded) to `until`.
    """
    values = {"project": project, "version": version, "after": after, "until": until, "within": within, "limit": count}
    ids = list(connection.scalars(NEWEST, values))
    if len(ids) < count:  # inputs can be long: they are not read before they are enough
        return []
    found = among(connection, ids)
    return [found[each] for each in ids]
