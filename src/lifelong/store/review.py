"""What happens to feedback after it came in: joined to its prediction, accepted, refused, put in quarantine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, bindparam, select, update

from lifelong.errors import ConflictError
from lifelong.store import predictions
from lifelong.store.among import rows_among
from lifelong.store.feedback import CHANGES, Feedback, get, lock_threads, settle
from lifelong.store.predictions import Prediction
from lifelong.store.tables import feedback, prediction

__all__ = ["Judge", "accept", "join", "log", "quarantine", "refuse"]

# why a person should look at this label for this prediction first, or None
Judge: TypeAlias = Callable[[Feedback, Prediction], str | None]

JOINED = (
    select(feedback, prediction)
    .join_from(
        feedback,
        prediction,
        (feedback.c.prediction == prediction.c.id) & (feedback.c.project == prediction.c.project),
    )
    .where(feedback.c.state == "pending")
    .order_by(feedback.c.seq)
)
JOINED_TO = JOINED.where(feedback.c.thread != feedback.c.id)  # as the index of threads has it
JOINED_IN_PROJECT = JOINED.where(feedback.c.project == bindparam("in_project"))
CHANGE = {
    (before, to): update(feedback)
    .where(feedback.c.id == bindparam("row"), feedback.c.state == before)
    .values(state=to, reason=bindparam("why"))
    for before, after in CHANGES.items()
    for to in after
}


def log(connection: Connection, rows: Sequence[Prediction], judge: Judge | None = None) -> None:
    """Store predictions and join the feedback that waited for them."""
    predictions.add_many(connection, rows)
    names = [row.id for row in rows]
    _join(rows_among(connection, JOINED_TO, feedback.c.thread, names), connection, judge)


def join(connection: Connection, project: str, judge: Judge | None = None) -> int:
    """Join all pending feedback of `project` whose prediction is stored now, and return how many rows were joined.

    `log` does so for the predictions that it stores. But where several servers share a PostgreSQL, a label and its
    prediction can be stored at the same moment and miss each other, so call this now and then.
    """
    return _join(connection.execute(JOINED_IN_PROJECT, {"in_project": project}).all(), connection, judge)


def accept(connection: Connection, row_id: str) -> Feedback:
    """Let a row out of quarantine; it supersedes what is older in its thread, and is superseded by what is later.

    Raises: `NotFoundError`; `ConflictError` where it is in another state (accepted already: no error).
    """
    return _review(connection, row_id, "quarantined", "accepted", None)


def refuse(connection: Connection, row_id: str, reason: str) -> Feedback:
    """Keep a row that is in quarantine out of every lot, for good. Raises: like `accept`."""
    return _review(connection, row_id, "quarantined", "refused", reason)


def quarantine(connection: Connection, row_id: str, reason: str) -> Feedback:
    """Take an accepted row out until a person looks at it; what it superseded stays so. Raises: like `accept`."""
    return _review(connection, row_id, "accepted", "quarantined", reason)


def _review(connection: Connection, row_id: str, before: str, to: str, reason: str | None) -> Feedback:
    row = get(connection, row_id)
    lock_threads(connection, [row.thread])
    done = connection.execute(CHANGE[before, to], {"row": row_id, "why": row.reason if reason is None else reason})
    if to == "accepted":
        settle(connection, [row.thread])
    row = get(connection, row_id)
    if not done.rowcount and row.state != to:
        raise ConflictError(f"feedback {row_id!r} is {row.state}; only what is {before} can become {to}")
    return row


def _join(found: Sequence[Any], connection: Connection, judge: Judge | None) -> int:
    if not found:
        return 0
    width = len(feedback.c)
    pairs = [(Feedback(*row[:width]), Prediction(*row[width:])) for row in found]
    threads = [row.thread for row, _ in pairs]
    lock_threads(connection, threads)
    for row, answer in pairs:
        reason = row.reason or (judge(row, answer) if judge is not None else None)
        connection.execute(
            CHANGE["pending", "accepted" if reason is None else "quarantined"], {"row": row.id, "why": reason}
        )
    settle(connection, threads)
    return len(pairs)
