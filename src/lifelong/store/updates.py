"""Updates: jobs that workers claim by a lease. Which change of state is legal is the loop's; here each is a swap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy import update as change_rows

from lifelong.errors import ConflictError
from lifelong.store.errors import NotFoundError
from lifelong.store.tables import insert_new, update
from lifelong.store.values import digest

__all__ = [
    "Update",
    "asked",
    "cancel",
    "change",
    "enqueue",
    "expire",
    "get",
    "heartbeat",
    "held",
    "highest_task",
    "in_states",
    "lease_to",
    "listed",
    "of_task",
    "oldest_queued",
]

ANYBODY = "*"
#: seconds by which the clocks of two servers may differ without anybody taking it for a clock that was set back
SKEW = 5.0
INSERT = insert_new(update, "id")
ONE = select(update).where(update.c.id == bindparam("id"))
PAGE = (
    select(update)
    .where(update.c.project == bindparam("project"))
    .order_by(update.c.created.desc(), update.c.id)
    .limit(bindparam("limit"))
)
QUEUED = (
    select(update)
    .where(update.c.state == "queued")
    .order_by(update.c.created, update.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
HELD = (
    select(update)
    .where(update.c.state == "training", update.c.lease_owner == bindparam("owner"))
    .order_by(update.c.created, update.c.id)
    .limit(1)
    .with_for_update()
)
IN_STATES = (
    select(update)
    .where(update.c.project == bindparam("project"), update.c.state.in_(bindparam("states", expanding=True)))
    .order_by(update.c.created.desc(), update.c.id)
)
ASKED = select(update).where(update.c.project == bindparam("project"), update.c.trigger_id == bindparam("trigger_id"))
OF_TASK = select(update).where(update.c.project == bindparam("project"), update.c.task == bindparam("task"))
HIGHEST = select(func.coalesce(func.max(update.c.task), 0)).where(update.c.project == bindparam("project"))
FROM_THE_FUTURE = (
    change_rows(update)
    .where(update.c.state == "training", update.c.updated > bindparam("at") + SKEW)
    .values(lease_until=update.c.lease_until - update.c.updated + bindparam("at"), updated=bindparam("at"))
)
EXPIRED = (
    select(update)
    .where(update.c.state == "training", update.c.lease_until < bindparam("now"))
    .order_by(update.c.created, update.c.id)
    .with_for_update(skip_locked=True)
)


class Update(Struct, frozen=True):
    """One row of `update`; `attempt` counts the trials from 1, `lease_until` is when its worker is given up."""

    id: str
    project: str
    trigger_id: str
    state: str
    trigger: Any
    method: Any
    base_version: str | None
    task: int | None
    lease_owner: str | None
    lease_until: float | None
    attempt: int
    candidate: str | None
    progress: Any
    evidence: Any
    decision: Any
    created: float
    updated: float


def enqueue(
    connection: Connection,
    project: str,
    trigger_id: str,
    *,
    trigger: Any,
    base_version: str | None,
    now: float,
    method: Any = None,
) -> Update:
    """Queue an update; the same `trigger_id` again is the update that it made before, in whatever state."""
    row_id = "u-" + digest([project, trigger_id])[:32]
    values = dict.fromkeys(Update.__struct_fields__) | {
        "id": row_id,
        "project": project,
        "trigger_id": trigger_id,
        "state": "queued",
        "trigger": trigger,
        "method": method,
        "base_version": base_version,
        "attempt": 1,
        "created": now,
        "updated": now,
    }
    connection.execute(INSERT[connection.dialect.name], values)
    return get(connection, row_id)


def get(connection: Connection, row_id: str) -> Update:
    """The update `row_id`. Raises: `NotFoundError`."""
    row = connection.execute(ONE, {"id": row_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"no update {row_id!r} is stored; see the list of updates")
    return Update(*row)


def listed(connection: Connection, project: str, *, limit: int = 100) -> list[Update]:
    """The latest updates, newest first."""
    return [Update(*row) for row in connection.execute(PAGE, {"project": project, "limit": limit})]


def in_states(connection: Connection, project: str, states: Sequence[str]) -> list[Update]:
    """Every update in one of these states, newest first; unlike `listed` it overlooks none, however old."""
    return [Update(*row) for row in connection.execute(IN_STATES, {"project": project, "states": list(states)})]


def asked(connection: Connection, project: str, trigger_id: str) -> Update | None:
    """The update that was queued with this `trigger_id`."""
    row = connection.execute(ASKED, {"project": project, "trigger_id": trigger_id}).one_or_none()
    return None if row is None else Update(*row)


def of_task(connection: Connection, project: str, task: int) -> list[Update]:
    """Every update that was to learn this task."""
    found = connection.execute(OF_TASK, {"project": project, "task": task})
    return [Update(*row) for row in found]


def highest_task(connection: Connection, project: str) -> int:
    """The highest number of a task that any update was given; 0 where none was."""
    return int(connection.execute(HIGHEST, {"project": project}).scalar_one())


def held(connection: Connection, owner: str) -> Update | None:
    """The update that `owner` has the lease of. `owner` names one worker process and is never used again."""
    row = connection.execute(HELD, {"owner": owner}).one_or_none()
    return None if row is None else Update(*row)


def oldest_queued(connection: Connection) -> Update | None:
    """The update that waits the longest; of several transactions that ask at once each gets another one, or None."""
    row = connection.execute(QUEUED).one_or_none()
    return None if row is None else Update(*row)


def lease_to(connection: Connection, row_id: str, owner: str, *, now: float, lease: float) -> Update:
    """Give a queued update to `owner` for `lease` seconds. Raises: `NotFoundError`; `ConflictError` where it is not."""
    leased = {"state": "training", "lease_owner": owner, "lease_until": now + lease, "progress": None, "updated": now}
    return _swap(connection, row_id, {"queued"}, None, leased)


def heartbeat(
    connection: Connection,
    row_id: str,
    owner: str,
    *,
    now: float,
    lease: float,
    progress: Any = None,
) -> Update:
    """Extend `owner`'s lease, and note its progress. Raises: `ConflictError` where it has the lease no more."""
    noted: dict[str, Any] = {} if progress is None else {"progress": progress}
    return _swap(connection, row_id, {"training"}, owner, {"lease_until": now + lease, "updated": now} | noted)


def change(
    connection: Connection,
    row_id: str,
    *,
    expected: str,
    owner: str | None,
    to: str,
    now: float,
    task: int | None = None,
    candidate: str | None = None,
    evidence: Any = None,
    decision: Any = None,
) -> Update:
    """Bring the update from state `expected`, leased by `owner` (None: by nobody), to state `to`; the lease ends.

    What is None stays as it is. Raises: `NotFoundError`; `ConflictError` where state or owner are others, which the
    message names.
    """
    given = {"task": task, "candidate": candidate, "evidence": evidence, "decision": decision}
    noted = {name: value for name, value in given.items() if value is not None}
    ended = {"state": to, "lease_owner": None, "lease_until": None, "updated": now}
    return _swap(connection, row_id, {expected}, owner, ended | noted)


def cancel(connection: Connection, row_id: str, *, now: float, decision: Any) -> Update:
    """Cancel an update that is queued or training; its worker learns of it at the next heartbeat.

    Raises: `NotFoundError`; `ConflictError` where it is past that.
    """
    ended = {"state": "cancelled", "lease_owner": None, "lease_until": None, "updated": now, "decision": decision}
    return _swap(connection, row_id, {"queued", "training"}, ANYBODY, ended)


def expire(connection: Connection, *, now: float, most_attempts: int) -> list[Update]:
    """Take leases that ran out before `now` away: back to the queue, or failed after `most_attempts`.

    A lease that was given later than `now` was given before the clock was set back. It would last for as long as that
    was, so it begins anew: a worker that lives keeps it, and one that is dead loses it after its usual time.
    """
    connection.execute(FROM_THE_FUTURE, {"at": now})
    changed: list[Update] = []
    for row in connection.execute(EXPIRED, {"now": now}).all():
        before = Update(*row)
        ended: dict[str, Any] = {"state": "queued", "attempt": before.attempt + 1}
        if before.attempt >= most_attempts:
            reason = f"{before.attempt} workers took it and none finished; the last was {before.lease_owner}"
            if isinstance(before.progress, dict) and "why" in before.progress:
                reason += f": {before.progress['why']}"
            ended = {"state": "failed", "decision": {"reason": reason}}
        ended |= {"lease_owner": None, "lease_until": None, "updated": now}
        changed.append(_swap(connection, before.id, {"training"}, before.lease_owner, ended))
    return changed


def _swap(connection: Connection, row_id: str, states: set[str], owner: str | None, values: dict[str, Any]) -> Update:
    where = [update.c.id == row_id, update.c.state.in_(sorted(states))]
    if owner != ANYBODY:
        where.append(update.c.lease_owner.is_not_distinct_from(owner))
    done = connection.execute(change_rows(update).where(*where).values(values)).rowcount
    row = get(connection, row_id)
    if not done:
        wanted = f"{' or '.join(sorted(states))}, leased by {owner or 'nobody'}"
        found = f"{row.state}, leased by {row.lease_owner or 'nobody'}"
        raise ConflictError(f"update {row_id!r} is {found}; expected {wanted}; look at it again, then decide")
    return row
