"""Traffic: which versions answer beside the champion, one for some of the keys and one that nobody hears."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import BigInteger, Connection, Text, bindparam, case, cast, func, select, type_coerce, update

from lifelong.store import failures
from lifelong.store.errors import RevisionError
from lifelong.store.tables import feedback, insert_new, prediction, traffic

__all__ = ["Answered", "Traffic", "answered", "get", "put"]

INSERT = insert_new(traffic, "project")
ONE = select(traffic).where(traffic.c.project == bindparam("project"))
SWAP = (
    update(traffic)
    .where(traffic.c.project == bindparam("in_project"), traffic.c.revision == bindparam("expected"))
    .values(
        canary=bindparam("to_canary"),
        percent=bindparam("to_percent"),
        shadow=bindparam("to_shadow"),
        since=bindparam("now"),
        revision=traffic.c.revision + 1,
    )
)
ASKED = (
    select(prediction.c.version, prediction.c.variant, func.count())
    .where(prediction.c.project == bindparam("project"), prediction.c.at >= bindparam("since"))
    .group_by(prediction.c.version, prediction.c.variant)
)
_right = case((cast(type_coerce(feedback.c.label, Text), BigInteger) == prediction.c.output, 1), else_=0)
LABELLED = (
    select(prediction.c.version, prediction.c.variant, func.count(), func.sum(_right))
    .join_from(feedback, prediction, feedback.c.prediction == prediction.c.id)
    .where(
        prediction.c.project == bindparam("project"),
        prediction.c.at >= bindparam("since"),
        feedback.c.project == bindparam("project"),
        feedback.c.state.in_(["accepted", "used"]),
    )
    .group_by(prediction.c.version, prediction.c.variant)
)


class Traffic(Struct, frozen=True):
    """One row of `traffic`: `canary` answers for `percent` of the keys, `shadow` unheard, `since` then.

    `revision` counts the changes; 0 where there was none yet.
    """

    project: str
    canary: str | None = None
    percent: float = 0.0
    shadow: str | None = None
    since: float = 0.0
    revision: int = 0


class Answered(Struct, frozen=True):
    """What a version did as `variant`: inputs, those it failed on, answers that were labelled, and the right ones."""

    version: str
    variant: str
    requests: int = 0
    failed: int = 0
    labelled: int = 0
    right: int = 0


def get(connection: Connection, project: str) -> Traffic:
    """The traffic of a project; all of it goes to the champion where nothing is stored."""
    row = connection.execute(ONE, {"project": project}).one_or_none()
    return Traffic(project) if row is None else Traffic(*row)


def put(connection: Connection, wanted: Traffic) -> Traffic:
    """Store `wanted` if what is stored is at `wanted.revision`, and return it at the next one.

    Raises: `RevisionError` where it is at another revision; `StorageError` (from the store) for an unknown version.
    """
    if wanted.revision == 0:
        done = connection.execute(INSERT[connection.dialect.name], {**asdict(wanted), "revision": 1}).rowcount
    else:
        values = {
            "in_project": wanted.project,
            "expected": wanted.revision,
            "to_canary": wanted.canary,
            "to_percent": wanted.percent,
            "to_shadow": wanted.shadow,
            "now": wanted.since,
        }
        done = connection.execute(SWAP, values).rowcount
    now = get(connection, wanted.project)
    if not done:
        raise RevisionError(
            f"the traffic of {wanted.project!r} is at revision {now.revision}, expected revision {wanted.revision}; "
            "look at it again, then decide"
        )
    return now


def answered(connection: Connection, row: Traffic) -> list[Answered]:
    """What each version did as each variant since the traffic is as `row` says.

    Answers are counted by their time, which is that of the same clock as `row.since`; failures by the revision.
    """
    values = {"project": row.project, "since": row.since}
    given = {(each[0], each[1]): each[2] for each in connection.execute(ASKED, values)}
    labelled = {(each[0], each[1]): (each[2], int(each[3])) for each in connection.execute(LABELLED, values)}
    failed = failures.counted(connection, row.project, row.revision)
    return [
        Answered(*key, given.get(key, 0) + failed.get(key, 0), failed.get(key, 0), *labelled.get(key, (0, 0)))
        for key in sorted({*given, *failed})
    ]
