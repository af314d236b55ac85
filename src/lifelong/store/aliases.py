"""Aliases: a name such as `champion` that one version has, moved by compare-and-swap and never without a trace."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, bindparam, func, insert, select, update

from lifelong.store import audit, versions
from lifelong.store.errors import NotFoundError, RevisionError
from lifelong.store.tables import alias, history, insert_new

__all__ = ["CHAMPION", "Alias", "Move", "expect", "get", "move", "moves", "past"]

CHAMPION = "champion"

INSERT = insert_new(alias, "project", "name")
ONE = select(alias).where(alias.c.project == bindparam("project"), alias.c.name == bindparam("name"))
SWAP = (
    update(alias)
    .where(
        alias.c.project == bindparam("in_project"),
        alias.c.name == bindparam("called"),
        alias.c.revision == bindparam("expected"),
    )
    .values(version=bindparam("to"), revision=alias.c.revision + 1)
)
MOVES = (
    select(history)
    .where(history.c.project == bindparam("project"), history.c.name == bindparam("name"))
    .order_by(history.c.revision)
)
LAST = func.max(history.c.revision)
PAST = (
    select(history.c.version)
    .where(
        history.c.project == bindparam("project"),
        history.c.name == bindparam("name"),
        history.c.version != bindparam("present"),
    )
    .group_by(history.c.version)
    .order_by(LAST.desc())
    .limit(bindparam("limit"))
)


class Alias(Struct, frozen=True):
    """One row of `alias`; `revision` counts its moves from 1."""

    project: str
    name: str
    version: str
    revision: int


class Move(Struct, frozen=True):
    """One row of `history`: who moved the alias from `previous` to `version`, and why."""

    project: str
    name: str
    revision: int
    version: str
    previous: str | None
    actor: str
    reason: str
    at: float


def get(connection: Connection, project: str, name: str = CHAMPION) -> Alias | None:
    """The alias, or None where it was never given."""
    row = connection.execute(ONE, {"project": project, "name": name}).one_or_none()
    return None if row is None else Alias(*row)


def moves(connection: Connection, project: str, name: str = CHAMPION) -> list[Move]:
    """Every move of the alias, the first first."""
    return [Move(*row) for row in connection.execute(MOVES, {"project": project, "name": name})]


def past(connection: Connection, project: str, limit: int, name: str = CHAMPION) -> list[str]:
    """The versions that had the alias before the one that has it now, each once, the latest first."""
    present = get(connection, project, name)
    if present is None:
        return []
    values = {"project": project, "name": name, "present": present.version, "limit": limit}
    return list(connection.scalars(PAST, values))


def expect(present: Alias, revision: int | None) -> None:
    """`RevisionError` where the alias is not at `revision`; None expects nothing."""
    if revision is not None and present.revision != revision:
        raise _elsewhere(present.project, present.name, present, revision)


def _elsewhere(project: str, name: str, present: Alias | None, expected: int) -> RevisionError:
    at = "not given yet" if present is None else f"at revision {present.revision} (version {present.version[:12]})"
    return RevisionError(f"{name} of {project!r} is {at}, expected revision {expected}; look at it again, then decide")


def move(
    connection: Connection,
    project: str,
    *,
    expected_revision: int,
    version: str,
    actor: str,
    reason: str,
    now: float,
    action: str = "promote",
    name: str = CHAMPION,
) -> Alias:
    """Give the alias to `version` if it is still at `expected_revision` (0: not given yet), with history and audit.

    Raises: `RevisionError` where it is at another revision, which the message names; `NotFoundError` where the project
        has no such version.
    """
    if versions.get(connection, version).project != project:
        raise NotFoundError(f"version {version[:12]} is not one of project {project!r}")
    before = get(connection, project, name)
    done = 0
    if before is None and expected_revision == 0:
        values = {"project": project, "name": name, "version": version, "revision": 1}
        done = connection.execute(INSERT[connection.dialect.name], values).rowcount
    elif before is not None and before.revision == expected_revision:
        where = {"in_project": project, "called": name, "expected": expected_revision}
        done = connection.execute(SWAP, where | {"to": version}).rowcount
    after = get(connection, project, name)
    if not done or after is None:
        raise _elsewhere(project, name, after, expected_revision)
    previous = None if before is None else before.version
    trace = Move(project, name, after.revision, version, previous, actor, reason, now)
    connection.execute(insert(history), asdict(trace))
    detail = {"alias": name, "revision": after.revision, "version": version, "previous": previous, "reason": reason}
    audit.append(connection, at=now, project=project, actor=actor, action=action, detail=detail)
    return after
