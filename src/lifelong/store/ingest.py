"""Taking feedback in: idempotent by key, joined to its prediction where that is stored, pending where not yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Raw, Struct
from sqlalchemy import Connection, bindparam, select

from lifelong.errors import ConflictError, DataError, LifelongError
from lifelong.store.backend import RacedError
from lifelong.store.errors import NotFoundError
from lifelong.store.failpoints import reach
from lifelong.store.feedback import feedback_id, lock_threads, settle
from lifelong.store.tables import feedback, insert_many, insert_new, prediction
from lifelong.store.values import chunks, decode, encode, same

__all__ = ["NewFeedback", "Receipt", "add", "add_many"]

LONGEST = 200

INSERT = insert_new(feedback, "id")
STORED = select(
    feedback.c.id,
    feedback.c.state,
    feedback.c.prediction,
    feedback.c.x,
    feedback.c.label,
    feedback.c.supersedes,
).where(feedback.c.id.in_(bindparam("ids", expanding=True)))
NAMED = select(feedback.c.id, feedback.c.project, feedback.c.thread).where(
    feedback.c.id.in_(bindparam("ids", expanding=True))
)
PREDICTED = select(prediction.c.id, prediction.c.project).where(prediction.c.id.in_(bindparam("ids", expanding=True)))


class NewFeedback(Struct, frozen=True, kw_only=True):
    """One label as it came in, for a stored `prediction` or with its own `x`, a value or its JSON (`msgspec.Raw`).

    `doubt` says why a person should look first: the row goes to quarantine. `supersedes` names the feedback that this
    one corrects; a later row for the same prediction needs no such name.
    """

    project: str
    key: str
    label: Any
    received: float
    prediction: str | None = None
    x: Any = None
    source: str = ""
    doubt: str | None = None
    supersedes: str | None = None

    def content(self) -> tuple[Any, ...]:
        """What may not differ when the same key is sent again."""
        x = decode(encode(self.x)) if isinstance(self.x, Raw) else self.x
        return self.prediction, x, self.label, self.supersedes


class Receipt(Struct, frozen=True):
    """What the sender is told: the id, the state, and whether the row was there already."""

    id: str
    state: str
    duplicate: bool


def add(connection: Connection, row: NewFeedback) -> Receipt:
    """Store one row; like `add_many`, but raises what is wrong with it."""
    (outcome,) = add_many(connection, [row])
    if isinstance(outcome, Receipt):
        return outcome
    raise outcome


def add_many(connection: Connection, rows: Sequence[NewFeedback]) -> list[Receipt | LifelongError]:
    """Store rows, in order; a result for each: its receipt, or what is wrong with it (then it is not stored).

    The same key with the same content again is a duplicate and changes nothing; with other content it is a
    `ConflictError`. A row with neither prediction nor x, without label, or with a bad name is a `DataError`; one that
    supersedes feedback, or names a prediction, which the project has not, is a `NotFoundError`.

    Raises: `StorageError` (from the store) where the project is unknown or the database fails; then none is stored.
    """
    faults = [_fault(row) for row in rows]
    ids = [feedback_id(row.project, row.key) if fault is None else "" for row, fault in zip(rows, faults, strict=True)]
    known: dict[str, tuple[str, Callable[[], tuple[Any, ...]]]] = {
        row.id: (row.state, lambda row=row: tuple(row[2:]))
        for row in _among(connection, STORED, [each for each in ids if each])
    }
    fresh = [row for row, row_id in zip(rows, ids, strict=True) if row_id and row_id not in known]
    named = {row.id: row for row in _among(connection, NAMED, [row.supersedes for row in fresh if row.supersedes])}
    predicted = [row.prediction for row in fresh if row.prediction is not None]
    lock_threads(connection, predicted + [row.thread for row in named.values()])
    owners = {row.id: row.project for row in _among(connection, PREDICTED, predicted)}
    outcomes: list[Receipt | LifelongError] = []
    inserts: list[dict[str, Any]] = []
    for row, row_id, fault in zip(rows, ids, faults, strict=True):
        if row_id in known:
            state, content = known[row_id]
            outcomes.append(_again(row, row_id, state, content()))
            continue
        values = fault or _placed(row, row_id, named, owners)
        if isinstance(values, LifelongError):
            outcomes.append(values)
            continue
        inserts.append(values)
        known[row_id] = values["state"], row.content
        outcomes.append(Receipt(row_id, values["state"], duplicate=False))
    if inserts:
        if insert_many(connection, INSERT, inserts) != len(inserts):
            raise RacedError
        settle(connection, [values["thread"] for values in inserts if values["thread"] != values["id"]])
        reach("feedback before commit")
    return outcomes


def _among(connection: Connection, statement: Any, ids: Sequence[str]) -> list[Any]:
    return [row for some in chunks(ids) for row in connection.execute(statement, {"ids": some})]


def _fault(row: NewFeedback) -> DataError | None:
    for text in (row.project, row.key, row.prediction, row.supersedes):
        if text is not None and not (0 < len(text) <= LONGEST and text.isprintable()):
            name = next(name for name in ("project", "key", "prediction", "supersedes") if getattr(row, name) is text)
            return DataError(f"{name} should be 1 to {LONGEST} printable characters, got {len(text)}: {text[:20]!r}")
    if len(row.source) > LONGEST or not row.source.isprintable():
        return DataError(f"source should be up to {LONGEST} printable characters, got {row.source[:20]!r}")
    if row.label is None:
        return DataError(f"feedback {row.key!r} has no label; send what the answer should have been")
    if row.prediction is None and row.x is None:
        return DataError(f"feedback {row.key!r} should name a prediction or bring x; it does neither")
    return None


def _again(row: NewFeedback, row_id: str, state: str, content: tuple[Any, ...]) -> Receipt | ConflictError:
    if same(content, row.content()):
        return Receipt(row_id, state, duplicate=True)
    return ConflictError(
        f"feedback {row.key!r} is stored with other content; correct it under a new key that supersedes {row_id!r}"
    )


def _placed(
    row: NewFeedback,
    row_id: str,
    named: Mapping[str, Any],
    owners: Mapping[str, str],
) -> dict[str, Any] | LifelongError:
    """The columns of a new row as the driver takes them: its thread, and the state that it begins in."""
    try:
        x, label = None if row.x is None else encode(row.x), encode(row.label)
    except DataError as error:
        return DataError(f"feedback {row.key!r}: {error}")
    thread = row.prediction or row_id
    if row.supersedes is not None:
        earlier = named.get(row.supersedes)
        if earlier is None or earlier.project != row.project:
            return NotFoundError(f"feedback {row.key!r} supersedes {row.supersedes!r}, which is not stored here")
        if row.prediction not in {None, earlier.thread}:
            return DataError(f"feedback {row.key!r} supersedes {row.supersedes!r}, which is for another prediction")
        thread = earlier.thread
    if row.prediction is not None and owners.get(row.prediction, row.project) != row.project:
        return NotFoundError(f"project {row.project!r} has no prediction {row.prediction!r}")
    if row.prediction is not None and row.prediction not in owners:
        state = "pending"
    else:
        state = "accepted" if row.doubt is None else "quarantined"
    return {
        "id": row_id,
        "project": row.project,
        "key": row.key,
        "thread": thread,
        "prediction": row.prediction,
        "x": x,
        "label": label,
        "source": row.source,
        "received": row.received,
        "state": state,
        "reason": row.doubt,
        "supersedes": row.supersedes,
        "task": None,
    }
