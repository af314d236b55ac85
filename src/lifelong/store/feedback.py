"""Feedback as it is stored: its states, the changes between them, and how it is read.

    pending ──┬→ accepted ⇄ quarantined → refused        a row is never deleted
              └→ quarantined                             accepted → used | superseded

Rows that tell of one thing (one prediction, or one example and its corrections) share a `thread`. An accepted row
supersedes what is older in its thread and not used yet: rows of the same source, rows with the same label, and all of
them where it names one that it corrects, or where a person let it out of quarantine. What another source said
otherwise stands beside it, for somebody to decide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Select, Text, bindparam, func, select, type_coerce, union_all, update

from lifelong.store.errors import NotFoundError
from lifelong.store.tables import feedback, prediction
from lifelong.store.values import chunks

__all__ = [
    "CHANGES",
    "Feedback",
    "Judged",
    "count",
    "counts",
    "feedback_id",
    "get",
    "judged",
    "listed",
    "lock_threads",
    "newest_judged",
    "settle",
    "sources",
]

CHANGES: Mapping[str, frozenset[str]] = {
    "pending": frozenset({"accepted", "quarantined", "superseded"}),
    "quarantined": frozenset({"accepted", "refused", "superseded"}),
    "accepted": frozenset({"quarantined", "superseded", "used"}),
    "refused": frozenset(),
    "superseded": frozenset(),
    "used": frozenset(),
}


def sources(state: str) -> list[str]:
    """The states from which a row may come to `state`.

    >>> sources("used"), sources("refused")
    (['accepted'], ['quarantined'])
    """
    return [before for before, after in CHANGES.items() if state in after]


class Feedback(Struct, frozen=True):
    """One row of `feedback`.

    `seq` grows with every row; `key` is the sender's own name for it, once per project; `prediction` or `x` says what
    was labelled; `reason` says why it is or was in quarantine, so an accepted row that has one was let out by a person;
    `task` is the task whose lot has it.
    """

    seq: int
    id: str
    project: str
    key: str
    thread: str
    prediction: str | None
    x: Any
    label: Any
    source: str
    received: float
    state: str
    reason: str | None
    supersedes: str | None
    task: int | None


class Judged(Struct, frozen=True):
    """A label beside the answer that it judges."""

    seq: int
    version: str
    variant: str
    output: int
    confidence: float
    label: Any
    received: float


ONE = select(feedback).where(feedback.c.id == bindparam("id"))
COUNTS = select(feedback.c.state, func.count()).where(feedback.c.project == bindparam("project"))
COUNT = COUNTS.with_only_columns(func.count()).where(feedback.c.state == bindparam("state"))
PAGE = (
    select(feedback)
    .where(feedback.c.project == bindparam("project"), feedback.c.seq > bindparam("after"))
    .order_by(feedback.c.seq)
    .limit(bindparam("limit"))
)
PAGE_OF_STATE = PAGE.where(feedback.c.state == bindparam("state"))
JUDGED = (
    select(
        feedback.c.seq,
        prediction.c.version,
        prediction.c.variant,
        prediction.c.output,
        prediction.c.confidence,
        feedback.c.label,
        feedback.c.received,
    )
    .join_from(feedback, prediction, feedback.c.prediction == prediction.c.id)
    .where(
        feedback.c.project == bindparam("project"),
        feedback.c.seq > bindparam("after"),
        feedback.c.state.in_(["accepted", "used"]),
    )
    .order_by(feedback.c.seq)
    .limit(bindparam("limit"))
)


def _newest(state: str) -> Select[Any]:
    """The newest rows of one state, in the order of its index: of both states together SQLite would sort all rows."""
    rows = (
        select(feedback.c.seq, feedback.c.prediction, feedback.c.label, feedback.c.received)
        .where(
            feedback.c.project == bindparam("project"),
            feedback.c.state == state,
            feedback.c.seq > bindparam("after"),
        )
        .order_by(feedback.c.seq.desc())
        .limit(bindparam("within"))
    )
    return select(rows.subquery())


_fresh = union_all(_newest("accepted"), _newest("used")).subquery()
_judging = (
    select(
        _fresh.c.seq,
        prediction.c.version,
        prediction.c.variant,
        prediction.c.output,
        prediction.c.confidence,
        _fresh.c.label,
        _fresh.c.received,
    )
    .join_from(_fresh, prediction, _fresh.c.prediction == prediction.c.id)
    .order_by(_fresh.c.seq.desc())
    .limit(bindparam("within"))  # else PostgreSQL would look for the version among all predictions first
    .subquery()
)
NEWEST_JUDGED = (
    select(_judging)
    .where(_judging.c.version == bindparam("version"), _judging.c.variant == "champion")
    .order_by(_judging.c.seq.desc())
    .limit(bindparam("limit"))
)
_later = feedback.alias("later")
_apart = feedback.c.thread != feedback.c.id  # as the index of threads has it: the first row is found by its id
SETTLE = (
    update(feedback)
    .where(
        feedback.c.thread.in_(bindparam("threads", expanding=True)) & _apart
        | feedback.c.id.in_(bindparam("threads", expanding=True)) & ~_apart,
        feedback.c.state.in_(sources("superseded")),
        select(_later.c.seq)
        .where(
            _later.c.thread == feedback.c.thread,
            _later.c.thread != _later.c.id,
            _later.c.project == feedback.c.project,
            _later.c.seq > feedback.c.seq,
            _later.c.state.in_(["accepted", "used"]),
            (_later.c.source == feedback.c.source)
            | (type_coerce(_later.c.label, Text) == type_coerce(feedback.c.label, Text))
            | _later.c.supersedes.is_not(None)
            | _later.c.reason.is_not(None),
        )
        .exists(),
    )
    .values(state="superseded")
)


def feedback_id(project: str, key: str) -> str:
    """The id of the feedback that `project` knows by `key`: the same each time it is sent.

    >>> feedback_id("digits", "a") == feedback_id("digits", "a") != feedback_id("digit", "sa")
    True
    """
    return "f-" + hashlib.sha256(f"{len(project)}:{project}{key}".encode()).hexdigest()[:32]


def get(connection: Connection, row_id: str) -> Feedback:
    """The row `id`. Raises: `NotFoundError`."""
    row = connection.execute(ONE, {"id": row_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"no feedback {row_id!r} is stored; take the id from the answer that acknowledged it")
    return Feedback(*row)


def listed(
    connection: Connection, project: str, *, state: str | None = None, after: int = 0, limit: int = 100
) -> list[Feedback]:
    """A page of rows with `seq` above `after`, of all states or one (`quarantined`: what waits for a person)."""
    values = {"project": project, "after": after, "limit": limit}
    page = (
        connection.execute(PAGE, values)
        if state is None
        else connection.execute(PAGE_OF_STATE, values | {"state": state})
    )
    return [Feedback(*row) for row in page]


def counts(connection: Connection, project: str) -> dict[str, int]:
    """How many rows there are in each state."""
    found = connection.execute(COUNTS.group_by(feedback.c.state), {"project": project}).all()
    return dict.fromkeys(CHANGES, 0) | {row[0]: row[1] for row in found}


def count(connection: Connection, project: str, state: str) -> int:
    """How many rows there are in one state; cheap where few are, as for `accepted` and `quarantined`."""
    return connection.execute(COUNT, {"project": project, "state": state}).scalar_one()


def judged(connection: Connection, project: str, *, after: int = 0, limit: int = 1000) -> list[Judged]:
    """Labels that stand beside the answers that they judge, with `seq` above `after`: what accuracy is counted from."""
    return [Judged(*row) for row in connection.execute(JUDGED, {"project": project, "after": after, "limit": limit})]


def newest_judged(
    connection: Connection, project: str, version: str, *, limit: int, within: int, after: int = 0
) -> list[Judged]:
    """The newest labels of what `version` answered as the champion, with `seq` above `after`, the newest first.

    They are looked for among the newest `within` labels of each state, so it is cheap however many are stored.
    """
    values = {"project": project, "version": version, "limit": limit, "within": within, "after": after}
    return [Judged(*row) for row in connection.execute(NEWEST_JUDGED, values)]


def lock_threads(connection: Connection, threads: Sequence[str]) -> None:
    """Make other servers wait with rows of these threads until this transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name == "sqlite":
        return
    for some in chunks(sorted(set(threads))):
        for table in (prediction, feedback):
            named = select(table.c.id).where(table.c.id.in_(some)).order_by(table.c.id)
            connection.execute(named.with_for_update(key_share=True))


def settle(connection: Connection, threads: Sequence[str]) -> None:
    """Of each thread, supersede what an accepted row that came later speaks for, see the module; their lock is held."""
    for some in chunks(sorted(set(threads))):
        connection.execute(SETTLE, {"threads": some})
