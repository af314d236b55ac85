"""A person's word about a label in quarantine."""

from __future__ import annotations

from lifelong.loop.engine.base import Engine
from lifelong.store import audit, feedback
from lifelong.store import review as stored
from lifelong.store.database import Connection
from lifelong.store.errors import NotFoundError

__all__ = ["review"]


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
