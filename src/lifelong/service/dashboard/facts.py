"""Everything that the pages about a project show, read as one committed state."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from lifelong.loop import Project
from lifelong.loop.engine import Engine
from lifelong.loop.engine.base import ACTIVE, project_of
from lifelong.loop.engine.judged import gate_of
from lifelong.loop.life import Life, VersionRow, life
from lifelong.store import aliases, feedback, projects, tasks, updates, versions
from lifelong.store.aliases import Alias, Move
from lifelong.store.database import Connection
from lifelong.store.tasks import Task
from lifelong.store.updates import Update
from lifelong.store.versions import Version

__all__ = ["Facts", "facts", "stamp"]

LATEST = 200


@dataclass(frozen=True, eq=False)
class Facts:
    """A project and its rows: versions by number, updates with the newest first, moves of the champion in order."""

    project: Project
    champion: Alias | None
    counts: dict[str, int]
    updates: list[Update]
    versions: list[Version]
    tasks: list[Task]
    moves: list[Move]
    gate: dict[str, Any]
    stamp: str

    @property
    def active(self) -> Update | None:
        """The update that is not done with."""
        return next((row for row in self.updates if row.state in ACTIVE), None)

    @property
    def present(self) -> Version | None:
        """The version that is the champion."""
        return None if self.champion is None else self.version(self.champion.version)

    @property
    def life(self) -> Life:
        """The matrix R over versions."""
        rows = [
            VersionRow(
                row.number,
                row.id,
                row.parent,
                row.task,
                {int(number): float(value) for number, value in row.exam_row["accuracy"].items()},
            )
            for row in self.versions
        ]
        return life(rows)

    @property
    def labels_learned(self) -> int:
        """How many labels the champion and those it comes from were made to learn, the exams' aside."""
        if self.champion is None:
            return 0
        line = {row.task for row in self.life.line(self.champion.version).versions}
        lots = [row.manifest["train"] for row in self.tasks if row.number in line]
        return sum(len(lot) for lot in lots if isinstance(lot, list))  # version 1 learned no labels of users

    def version(self, row_id: str | None) -> Version | None:
        """The version of that id."""
        return next((row for row in self.versions if row.id == row_id), None)

    def standing(self, version: Version, made: Update | None = None) -> str:
        """What became of a version: champion, former champion, or the state of the update that `made` it."""
        if self.champion is not None and version.id == self.champion.version:
            return "champion"
        if any(version.id == move.version for move in self.moves):
            return "former champion"
        made = made or next((row for row in self.updates if row.id == version.update_id), None)
        return "unused" if made is None else made.state

    def task_name(self, number: int) -> str:
        """The name of a task."""
        return next((row.name for row in self.tasks if row.number == number), f"task {number}")


def facts(engine: Engine, name: str) -> Facts:
    """What is stored of project `name`. Raises: `NotFoundError`."""

    def work(connection: Connection) -> Facts:
        return Facts(
            project_of(connection, name),
            aliases.get(connection, name),
            feedback.counts(connection, name),
            updates.listed(connection, name, limit=LATEST),
            versions.listed(connection, name),
            tasks.listed(connection, name),
            aliases.moves(connection, name),
            gate_of(connection, name),
            _stamp(connection, name),
        )

    return engine.read(work)


def stamp(engine: Engine, name: str) -> str:
    """A short text that is another one as soon as a page about project `name` would look different.

    Raises: `NotFoundError`.
    """

    def work(connection: Connection) -> str:
        projects.get(connection, name)
        return _stamp(connection, name)

    return engine.read(work)


def _stamp(connection: Connection, name: str) -> str:
    champion = aliases.get(connection, name)
    waiting = [feedback.count(connection, name, state) for state in ("pending", "accepted", "quarantined")]
    latest = [(row.id, row.state, row.updated, row.progress) for row in updates.listed(connection, name, limit=3)]
    seen = (None if champion is None else champion.revision, waiting, latest)
    return sha256(repr(seen).encode()).hexdigest()[:16]
