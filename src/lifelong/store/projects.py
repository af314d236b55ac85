"""Projects: a name and what was set when it was made."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, bindparam, select, update

from lifelong.errors import ConflictError
from lifelong.store.errors import NotFoundError
from lifelong.store.tables import insert_new, project
from lifelong.store.values import same

__all__ = ["Project", "add", "configure", "get", "listed"]

INSERT = insert_new(project, "name")
ALL = select(project).order_by(project.c.name)
ONE = select(project).where(project.c.name == bindparam("name"))


class Project(Struct, frozen=True):
    """One row of `project`; `config` holds schemas, model, method, gate and triggers."""

    name: str
    config: Any
    created: float


def add(connection: Connection, row: Project) -> Project:
    """Store `row`; the same name with the same config again is the stored one.

    Raises: `ConflictError` where the name is taken with another config.
    """
    connection.execute(
        INSERT[connection.dialect.name], {"name": row.name, "config": row.config, "created": row.created}
    )
    stored = get(connection, row.name)
    if not same(stored.config, row.config):
        raise ConflictError(f"project {row.name!r} is there with another config; choose another name, or change it")
    return stored


def configure(connection: Connection, name: str, config: Any) -> Project:
    """Give project `name` another config. Raises: `NotFoundError`."""
    connection.execute(update(project).where(project.c.name == name).values(config=config))
    return get(connection, name)


def get(connection: Connection, name: str) -> Project:
    """The project of that name. Raises: `NotFoundError`, which tells the names that there are."""
    row = connection.execute(ONE, {"name": name}).one_or_none()
    if row is None:
        known = ", ".join(each.name for each in listed(connection)) or "none yet"
        raise NotFoundError(f"unknown project {name!r}; known: {known}")
    return Project(*row)


def listed(connection: Connection) -> list[Project]:
    """Every project, by name."""
    return [Project(*row) for row in connection.execute(ALL)]
