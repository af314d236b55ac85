"""Taking feedback in: idempotent by key, joined to its prediction where that is stored, pending where not yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Raw, Struct
from sqlalchemy import Connection, select

from lifelong.errors import ConflictError, DataError, LifelongError
from lifelong.store.among import rows_among
from lifelong.store.backend import RacedError
from lifelong.store.errors import NotFoundError
from lifelong.store.failpoints import reach
from lifelong.store.feedback import feedback_id, lock_threads, settle
from lifelong.store.tables import feedback, insert_many, insert_new, prediction
from lifelong.store.values import decode, encode, same

__all__ = ["NewFeedback", "Prepared", "Receipt", "add", "add_many", "add_prepared", "prepare"]

LONGEST = 200

INSERT = insert_new(feedback, "id")
STORED = select(
    feedback.c.id,
    feedback.c.state,
    feedback.c.prediction,
    feedback.c.x,
    feedback.c.label,
    feedback.c.supersedes,
)
NAMED = select(feedback.c.id, feedback.c.project, feedback.c.thread)
PREDICTED = select(prediction.c.id, prediction.c.project)


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


class Prepared(Struct, frozen=True):
    """A row with what can be known of it without the store: its id, and x and label as JSON texts."""

    row: NewFeedback
    id: str
    x: str | None
    label: str


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


def prepare(row: NewFeedback) -> Prepared | DataError:
    """What any thread can do for `add_prepared`, which runs in the store's own; or what is wrong with the row."""
    fault = _fault(row)
    if fault is not None:
        return fault
    try:
        x, label = None if row.x is None else encode(row.x), encode(row.label)
    except DataError as error:
        return DataError(f"feedback {row.key!r}: {error}")
    return Prepared(row, feedback_id(row.project, row.key), x, label)


def add_many(connection: Connection, rows: Sequence[NewFeedback]) -> list[Receipt | LifelongError]:
    """Store rows, in order; a result for each: its receipt, or what is wrong with it (then it is not stored).

    The same key with the same content again is a duplicate and changes nothing; with other content it is a
    `ConflictError`. A row with neither prediction nor x, without label, or with a bad name is a `DataError`; one that
    supersedes feedback, or names a prediction, which the project has not, is a `NotFoundError`.

    Raises: `StorageError` (from the store) where the project is unknown or the database fails; then none is stored.
    """
    return add_prepared(connection, [prepare(row) for row in rows])


def add_prepared(connection: Connection, prepared: Sequence[Prepared | LifelongError]) -> list[Receipt | LifelongError]:
    """Like `add_many`; what is wrong already is passed on."""
    rows = [each for each in prepared if isinstance(each, Prepared)]
    known: dict[str, tuple[str, Callable[[], tuple[Any, ...]]]] = {
        row.id: (row.state, lambda row=row: tuple(row[2:]))
        for row in rows_among(connection, STORED, feedback.c.id, [r.id for r in rows])
    }
    fresh = [each.row for each in rows if each.id not in known]
    corrected = [row.supersedes for row in fresh if row.supersedes]
    named = {row.id: row for row in rows_among(connection, NAMED, feedback.c.id, corrected)}
    predicted = [row.prediction for row in fresh if row.prediction is not None]
    lock_threads(connection, predicted + [row.thread for row in named.values()])
    owners = {row.id: row.project for row in rows_among(connection, PREDICTED, prediction.c.id, predicted)}
    outcomes: list[Receipt | LifelongError] = []
    inserts: list[dict[str, Any]] = []
    for each in prepared:
        if not isinstance(each, Prepared):
            outcomes.append(each)
            continue
        if each.id in known:
            state, content = known[each.id]
            outcomes.append(_again(each, state, content()))
            continue
        values = _placed(each, named, owners)
        if isinstance(values, LifelongError):
            outcomes.append(values)
            continue
        inserts.append(values)
        known[each.id] = values["state"], each.row.content
        outcomes.append(Receipt(each.id, values["state"], duplicate=False))
    if inserts:
        if insert_many(connection, INSERT, inserts) != len(inserts):
            raise RacedError
        settle(connection, [values["thread"] for values in inserts if values["thread"] != values["id"]])
        reach("feedback before commit")
    return outcomes


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


def _again(each: Prepared, state: str, content: tuple[Any, ...]) -> Receipt | ConflictError:
    if same(content, each.row.content()):
        return Receipt(each.id, state, duplicate=True)
    return ConflictError(
        f"feedback {each.row.key!r} is stored with other content; "
        f"correct it under a new key that supersedes {each.id!r}"
    )


def _placed(each: Prepared, named: Mapping[str, Any], owners: Mapping[str, str]) -> dict[str, Any] | LifelongError:
    """The columns of a new row as the driver takes them: its thread, and the state that it begins in."""
    row = each.row
    thread = row.prediction or each.id
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
        "id": each.id,
        "project": row.project,
        "key": row.key,
        "thread": thread,
        "prediction": row.prediction,
        "x": each.x,
        "label": each.label,
        "source": row.source,
        "received": row.received,
        "state": state,
        "reason": row.doubt,
        "supersedes": row.supersedes,
        "task": None,
    }
