"""Tasks: one lot of feedback each, split once into a training part and an exam part."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, bindparam, select, update

from lifelong.errors import ConflictError
from lifelong.store.errors import NotFoundError
from lifelong.store.tables import insert_new, task
from lifelong.store.values import same

__all__ = ["Task", "add", "get", "listed", "numbers", "retire"]

INSERT = insert_new(task, "project", "number")
ALL = select(task).where(task.c.project == bindparam("project")).order_by(task.c.number)
NUMBERS = select(task.c.number).where(task.c.project == bindparam("project")).order_by(task.c.number)
ONE = ALL.where(task.c.number == bindparam("number"))


class Task(Struct, frozen=True):
    """One row of `task`: number 1 is what version 1 learned; `manifest` holds ids, their hash and the cursor.

    `retired` says why the exam counts no more, who said so, and when; None where it counts.
    """

    project: str
    number: int
    name: str
    classes: Any
    manifest: Any
    train_blob: str
    exam_blob: str
    created: float
    retired: Any = None


def add(connection: Connection, row: Task) -> Task:
    """Store `row`; the same task with the same content again is the stored one.

    Raises: `ConflictError` where the number is taken by another task.
    """
    connection.execute(INSERT[connection.dialect.name], asdict(row))
    stored = get(connection, row.project, row.number)
    if not same(_content(stored), _content(row)):
        raise ConflictError(
            f"project {row.project!r} has another task {row.number}, {stored.name!r}; take the next number"
        )
    return stored


def get(connection: Connection, project: str, number: int) -> Task:
    """Task `number` of `project`. Raises: `NotFoundError`."""
    row = connection.execute(ONE, {"project": project, "number": number}).one_or_none()
    if row is None:
        raise NotFoundError(f"project {project!r} has no task {number}; it has {len(listed(connection, project))}")
    return Task(*row)


def retire(connection: Connection, project: str, number: int, retired: Any) -> Task:
    """Say why the exam of task `number` counts no more; None lets it count again. Raises: `NotFoundError`."""
    values = {"retired": retired}
    connection.execute(update(task).where(task.c.project == project, task.c.number == number).values(values))
    return get(connection, project, number)


def listed(connection: Connection, project: str) -> list[Task]:
    """Every task of `project`, by number."""
    return [Task(*row) for row in connection.execute(ALL, {"project": project})]


def numbers(connection: Connection, project: str) -> tuple[int, ...]:
    """The numbers of the tasks of `project`, in their order; cheap, as no manifest is read."""
    return tuple(connection.scalars(NUMBERS, {"project": project}))


def _content(row: Task) -> dict[str, Any]:
    return asdict(row) | {"created": None, "retired": None}
