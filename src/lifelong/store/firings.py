"""Firings: each time a trigger fired, with its evidence and the update that came of it, if one did."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, bindparam, select, update

from lifelong.store.errors import NotFoundError
from lifelong.store.tables import insert_new, trigger_firing

__all__ = ["Firing", "add", "get", "link", "listed"]

INSERT = insert_new(trigger_firing, "id")
ONE = select(trigger_firing).where(trigger_firing.c.id == bindparam("id"))
PAGE = (
    select(trigger_firing)
    .where(trigger_firing.c.project == bindparam("project"))
    .order_by(trigger_firing.c.at.desc(), trigger_firing.c.id)
    .limit(bindparam("limit"))
)


class Firing(Struct, frozen=True):
    """One row of `trigger_firing`: `kind` is that of the trigger.

    `update_id` is None where no lot could be cut; `evidence` says why not under `refused`.
    """

    id: str
    project: str
    kind: str
    evidence: Any
    at: float
    update_id: str | None = None


def add(connection: Connection, row: Firing) -> Firing:
    """Store `row`; the same id again is the stored one."""
    connection.execute(INSERT[connection.dialect.name], asdict(row))
    return get(connection, row.id)


def link(connection: Connection, row_id: str, update_id: str) -> Firing:
    """Note that `update_id` came of firing `row_id`. Raises: `NotFoundError`."""
    connection.execute(update(trigger_firing).where(trigger_firing.c.id == row_id).values(update_id=update_id))
    return get(connection, row_id)


def get(connection: Connection, row_id: str) -> Firing:
    """The firing `row_id`. Raises: `NotFoundError`."""
    row = connection.execute(ONE, {"id": row_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"no firing {row_id!r} is stored; see the list of firings")
    return Firing(*row)


def listed(connection: Connection, project: str, *, limit: int = 100) -> list[Firing]:
    """The latest firings, newest first."""
    return [Firing(*row) for row in connection.execute(PAGE, {"project": project, "limit": limit})]
