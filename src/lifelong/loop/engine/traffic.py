"""Who answers beside the champion: a person gives traffic to a canary or a shadow, and evidence takes it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict

from lifelong.errors import require
from lifelong.loop.canary import Counts, Verdict, verdict
from lifelong.loop.engine.base import Engine, project_of, version_of
from lifelong.loop.project import Project
from lifelong.store import aliases, audit, traffic
from lifelong.store.database import Connection
from lifelong.store.traffic import Answered, Traffic

__all__ = ["cleared", "look", "put", "seen"]


def put(
    engine: Engine,
    name: str,
    *,
    canary: str | None,
    percent: float | None,
    shadow: str | None,
    actor: str,
    reason: str,
    revision: int | None = None,
) -> Traffic:
    """Let version `canary` answer for `percent` of the keys (None: as the project says), and `shadow` answer unheard.

    Versions are named by id or number; None is nobody. `revision`: only where the traffic is still at it.

    Raises: `NotFoundError`; `SettingError` for a percentage out of range; `ConflictError` where it is at another one.
    """

    def work(connection: Connection) -> Traffic:
        project, before = project_of(connection, name), traffic.get(connection, name)
        share = project.canary.percent if percent is None else percent
        require(0 <= share <= 100, f"percent must be in 0 … 100, got {share}")
        champion = aliases.get(connection, name)
        named = [None if text is None else version_of(connection, name, text).id for text in (canary, shadow)]
        for text, found in zip((canary, shadow), named, strict=True):
            require(
                found is None or champion is None or found != champion.version,
                f"version {text} is the champion and answers already; name another",
            )
        wanted = Traffic(
            name, named[0], share, named[1], engine.clock(), before.revision if revision is None else revision
        )
        if _same(before, wanted) and wanted.revision == before.revision:
            return before
        return _stored(connection, wanted, actor, reason)

    return engine.write(work)


def seen(engine: Engine, name: str) -> dict[str, Any]:
    """The traffic, what each version answered since it is so, and what that says of the canary, as plain values."""
    project, row, done, champion = _read(engine, name)
    said = None if champion is None or row.canary is None else _verdict(project, row, done, champion)
    return {
        **asdict(row),
        "answered": [asdict(each) for each in done],
        "verdict": None if said is None else {"kind": said.kind, "reason": said.reason, "evidence": said.evidence},
    }


def look(engine: Engine, name: str) -> Traffic | None:
    """Take the canary back where it is shown to be worse; the traffic after that, or None where nothing was done."""
    if engine.read(lambda connection: traffic.get(connection, name)).canary is None:
        return None
    project, row, done, champion = _read(engine, name)
    if row.canary is None or champion is None:
        return None
    said = _verdict(project, row, done, champion)
    if said.kind != "back":
        return None

    def work(connection: Connection) -> Traffic:
        if traffic.get(connection, name).revision != row.revision:
            return row  # somebody changed it meanwhile
        wanted = Traffic(name, None, row.percent, row.shadow, engine.clock(), row.revision)
        return _stored(connection, wanted, "canary", said.reason, said.evidence)

    return engine.write(work)


def cleared(connection: Connection, name: str, version: str, *, now: float, actor: str, reason: str) -> None:
    """Let `version` be neither canary nor shadow any more: it is the champion, was rejected, or is damaged."""
    row = traffic.get(connection, name)
    canary, shadow = (None if each == version else each for each in (row.canary, row.shadow))
    if (canary, shadow) != (row.canary, row.shadow):
        _stored(connection, Traffic(name, canary, row.percent, shadow, now, row.revision), actor, reason)


def _read(engine: Engine, name: str) -> tuple[Project, Traffic, list[Answered], str | None]:
    def page(connection: Connection) -> tuple[Project, Traffic, list[Answered], str | None]:
        project, row, champion = project_of(connection, name), traffic.get(connection, name), None
        if (alias := aliases.get(connection, name)) is not None:
            champion = alias.version
        asked = row.canary is not None or row.shadow is not None
        return project, row, traffic.answered(connection, row) if asked else [], champion

    return engine.read(page)


def _verdict(project: Project, row: Traffic, done: Sequence[Answered], champion: str) -> Verdict:
    assert row.canary is not None
    both = []
    for version, variant in ((champion, "champion"), (row.canary, "canary")):
        mine = (each for each in done if (each.version, each.variant) == (version, variant))
        found = next(mine, Answered(version, variant))
        both.append(Counts(found.requests, found.failed, found.labelled, found.right))
    return verdict(project.canary, both[0], both[1])


def _stored(
    connection: Connection, wanted: Traffic, actor: str, reason: str, evidence: dict[str, Any] | None = None
) -> Traffic:
    now = traffic.put(connection, wanted)
    detail = {**asdict(now), "reason": reason, "evidence": evidence}
    audit.append(connection, at=now.since, project=now.project, actor=actor, action="traffic", detail=detail)
    return now


def _same(before: Traffic, wanted: Traffic) -> bool:
    return (before.canary, before.percent, before.shadow) == (wanted.canary, wanted.percent, wanted.shadow)
