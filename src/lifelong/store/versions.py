"""Versions: immutable, named by the hash of what they hold."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, bindparam, func, literal, select

from lifelong.errors import ConflictError
from lifelong.store.errors import NotFoundError
from lifelong.store.tables import insert_new, project, version
from lifelong.store.values import digest

__all__ = ["NewVersion", "Version", "add", "get", "lineage", "listed", "version_id"]

INSERT = insert_new(version, "id")
ONE = select(version).where(version.c.id == bindparam("id"))
ALL = select(version).where(version.c.project == bindparam("project")).order_by(version.c.number)
NEXT = select(func.coalesce(func.max(version.c.number), 0) + 1).where(version.c.project == bindparam("project"))
PROJECT = select(project.c.name).where(project.c.name == bindparam("project")).with_for_update(key_share=True)
_line = (
    select(version.c.id, version.c.parent, literal(0).label("steps"))
    .where(version.c.id == bindparam("id"))
    .cte("line", recursive=True)
)
_line = _line.union_all(
    select(version.c.id, version.c.parent, _line.c.steps + 1).join_from(_line, version, version.c.id == _line.c.parent)
)
LINEAGE = select(version).join_from(_line, version, version.c.id == _line.c.id).order_by(_line.c.steps.desc())


class NewVersion(Struct, frozen=True, kw_only=True):
    """What a version holds: where it comes from, its learner (a blob), the last task it learned, its exam answers."""

    project: str
    parent: str | None
    blob: str
    settings: Any
    task: int
    exam_row: Any


class Version(Struct, frozen=True):
    """One row of `version`; `number` counts 1, 2, … in its project."""

    id: str
    project: str
    number: int
    parent: str | None
    blob: str
    settings: Any
    task: int
    exam_row: Any
    created: float
    update_id: str | None

    def content(self) -> NewVersion:
        """What `id` is the hash of."""
        return NewVersion(
            project=self.project,
            parent=self.parent,
            blob=self.blob,
            settings=self.settings,
            task=self.task,
            exam_row=self.exam_row,
        )


def version_id(row: NewVersion) -> str:
    """The SHA-256 of the content, in hex.

    >>> row = NewVersion(project="digits", parent=None, blob="ab", settings={}, task=1, exam_row=[0.9])
    >>> len(version_id(row)), version_id(row) == version_id(row)
    (64, True)
    """
    return digest(asdict(row))


def add(connection: Connection, row: NewVersion, now: float, update_id: str | None = None) -> Version:
    """Store `row` under the next number of its project; the same content again is the stored version.

    Raises: `NotFoundError` where project or parent are not stored, or the parent is another project's;
        `ConflictError` where what is stored under the id is not what the id says (the database was changed by hand).
    """
    if connection.execute(PROJECT, {"project": row.project}).one_or_none() is None:
        raise NotFoundError(f"unknown project {row.project!r}; make it before its versions")
    if row.parent is not None and get(connection, row.parent).project != row.project:
        raise NotFoundError(f"the parent {row.parent[:12]} is not a version of project {row.project!r}")
    row_id = version_id(row)
    if connection.execute(ONE, {"id": row_id}).one_or_none() is None:
        number = connection.execute(NEXT, {"project": row.project}).scalar_one()
        values = asdict(row) | {"id": row_id, "number": number, "created": now, "update_id": update_id}
        connection.execute(INSERT[connection.dialect.name], values)
    stored = get(connection, row_id)
    if version_id(stored.content()) != row_id:
        raise ConflictError(
            f"version {row_id[:12]} is stored with content of another hash; restore the database from a copy"
        )
    return stored


def get(connection: Connection, row_id: str) -> Version:
    """The version `id`. Raises: `NotFoundError`."""
    row = connection.execute(ONE, {"id": row_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"no version {row_id!r} is stored; see the list of versions")
    return Version(*row)


def listed(connection: Connection, project: str) -> list[Version]:
    """Every version of `project`, by number."""
    return [Version(*row) for row in connection.execute(ALL, {"project": project})]


def lineage(connection: Connection, row_id: str) -> list[Version]:
    """The version `id` and all it comes from, the first first. Raises: `NotFoundError`."""
    return [Version(*row) for row in connection.execute(LINEAGE, {"id": row_id})] or [get(connection, row_id)]
