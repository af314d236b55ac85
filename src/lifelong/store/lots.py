"""Lots: accepted feedback taken for a task, as labelled examples."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, bindparam, func, select, update

from lifelong.store.feedback import sources
from lifelong.store.tables import Json, feedback, prediction
from lifelong.store.values import chunks

__all__ = ["Example", "move", "take", "taken", "waiting"]


class Example(Struct, frozen=True):
    """A labelled example of a lot.

    `x` is the feedback's own, or that of the prediction which it labels, whose output is `answer`; `reviewed`: a person
    has let it out of quarantine.
    """

    seq: int
    id: str
    prediction: str | None
    x: Any
    label: Any
    source: str
    answer: int | None
    reviewed: bool


EXAMPLES = (
    select(
        feedback.c.seq,
        feedback.c.id,
        feedback.c.prediction,
        func.coalesce(feedback.c.x, prediction.c.x, type_=Json),
        feedback.c.label,
        feedback.c.source,
        prediction.c.output,
        feedback.c.reason.is_not(None),
    )
    .join_from(feedback, prediction, feedback.c.prediction == prediction.c.id, isouter=True)
    .where(feedback.c.project == bindparam("project"))
    .order_by(feedback.c.seq)
)
ACCEPTED = (
    select(feedback.c.seq)
    .where(
        feedback.c.project == bindparam("project"),
        feedback.c.state == "accepted",
        feedback.c.seq > bindparam("after"),
    )
    .order_by(feedback.c.seq)
)
TAKEN = EXAMPLES.where(feedback.c.state == "used", feedback.c.task == bindparam("task"))
WAITING = EXAMPLES.where(feedback.c.state == "accepted").limit(bindparam("limit"))
MARK = (
    update(feedback)
    .where(feedback.c.seq.in_(bindparam("seqs", expanding=True)), feedback.c.state.in_(sources("used")))
    .values(state="used", task=bindparam("number"))
)
MOVE = (
    update(feedback)
    .where(
        feedback.c.project == bindparam("in_project"),
        feedback.c.state == "used",
        feedback.c.task == bindparam("from_task"),
    )
    .values(task=bindparam("to_task"))
)


def take(connection: Connection, project: str, task: int, *, after: int = 0, limit: int | None = None) -> list[Example]:
    """Mark accepted rows as used by `task` and return them; asked again for the same task, the same rows.

    Rows are chosen by state and not by a cursor alone, because a row can be accepted long after later ones were
    (out of quarantine, or joined to a late prediction): leave `after` at 0, or those are never taken. The highest
    `seq` of the lot is the cursor that its manifest records. A correction that comes for a used row is a new row.
    """
    if before := taken(connection, project, task):
        return before
    accepted = ACCEPTED.limit(limit).with_for_update(skip_locked=True)
    seqs = list(connection.scalars(accepted, {"project": project, "after": after}))
    for some in chunks(seqs):
        connection.execute(MARK, {"seqs": some, "number": task})
    return taken(connection, project, task)


def move(connection: Connection, project: str, task: int, to: int) -> int:
    """Give the lot of `task`, of which no champion learned, to the task `to`; how many rows that were."""
    values = {"in_project": project, "from_task": task, "to_task": to}
    return connection.execute(MOVE, values).rowcount


def waiting(connection: Connection, project: str, *, limit: int) -> list[Example]:
    """What is accepted and in no lot yet, in the order in which it came."""
    return [Example(*row) for row in connection.execute(WAITING, {"project": project, "limit": limit})]


def taken(connection: Connection, project: str, task: int) -> list[Example]:
    """The lot of `task`, in the order in which it came."""
    return [Example(*row) for row in connection.execute(TAKEN, {"project": project, "task": task})]
