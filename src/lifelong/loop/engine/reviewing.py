"""A person's word about a label in quarantine, or about many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lifelong.errors import ConflictError
from lifelong.loop.engine.base import Engine
from lifelong.store import audit, feedback
from lifelong.store import review as stored
from lifelong.store.database import Connection
from lifelong.store.errors import NotFoundError

__all__ = ["quarantined", "review", "review_many"]

PAGE = 1000


def review(
    engine: Engine, project: str, feedback_id: str, *, actor: str, reason: str, accept: bool
) -> feedback.Feedback:
    """Let a label out of quarantine, or keep it out for good; done twice, it is done once.

    Raises: `NotFoundError`; `ConflictError` where it is in a state that knows no such way.
    """

    def work(connection: Connection) -> feedback.Feedback:
        before = feedback.get(connection, feedback_id)
        if before.project != project:
            raise NotFoundError(f"no feedback {feedback_id!r} is stored in project {project!r}; see its quarantine")
        row = stored.accept(connection, feedback_id) if accept else stored.refuse(connection, feedback_id, reason)
        if row.state != before.state:
            detail = {"feedback": feedback_id, "reason": reason}
            action = "accept" if accept else "refuse"
            audit.append(connection, at=engine.clock(), project=project, actor=actor, action=action, detail=detail)
        return row

    return engine.write(work)


def review_many(
    engine: Engine, project: str, feedback_ids: Sequence[str], *, actor: str, reason: str, accept: bool
) -> list[dict[str, Any]]:
    """`review` for each; what became of it as `id` and `state`, or `id` and `error`: one that fails stops no other.

    Raises: `NotFoundError` where there is no such project.
    """
    engine.project(project)
    found: list[dict[str, Any]] = []
    for each in feedback_ids:
        try:
            row = review(engine, project, each, actor=actor, reason=reason, accept=accept)
            found.append({"id": each, "state": row.state})
        except (ConflictError, NotFoundError) as error:
            found.append({"id": each, "error": str(error)})
    return found


def quarantined(engine: Engine, project: str, source: str | None = None) -> list[str]:
    """The ids of all labels in quarantine, or of those of one `source`, the first first."""

    def work(connection: Connection) -> list[str]:
        found: list[str] = []
        after = 0
        while page := feedback.listed(connection, project, state="quarantined", after=after, limit=PAGE):
            found += [row.id for row in page if source in (None, row.source)]
            after = page[-1].seq
        return found

    return engine.read(work)
