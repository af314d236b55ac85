"""A page of the audit as JSON."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from lifelong.loop.engine import Engine
from lifelong.loop.engine.base import project_of
from lifelong.store import audit
from lifelong.store.database import Connection

__all__ = ["trail"]


def trail(
    engine: Engine, project: str | None, after: int, limit: int, verify: bool, known: str | None = None
) -> dict[str, Any]:
    """The entries after `after`, of one project or of everything; with `verify` the breaks of the chain, and its head.

    Arguments: `known`: an earlier head, which must still be in the chain.
    Raises: `NotFoundError` for the project.
    """

    def page(connection: Connection) -> dict[str, Any]:
        if project is not None:
            project_of(connection, project)
        rows = audit.listed(connection, project=project, after=after, limit=limit)
        found: dict[str, Any] = {"entries": [asdict(row) for row in rows]}
        if verify or known is not None:
            breaks = [asdict(row) for row in audit.verify(connection, known)]
            found |= {"breaks": breaks, "head": audit.head(connection)}
        return found

    return engine.read(page)
