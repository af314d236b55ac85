"""The engine: a store, blobs and a clock; and the step from a pure event to a stored row."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TypeVar

from lifelong.loop.project import Project, from_json
from lifelong.loop.update import Beat, Claim, Event, Update, after
from lifelong.store import projects, tasks, updates, versions
from lifelong.store.blobs import Blobs
from lifelong.store.database import Connection, Store
from lifelong.store.errors import NotFoundError

__all__ = ["ACTIVE", "Engine", "active", "apply", "learned", "learners", "project_of", "version_of"]

T = TypeVar("T")

#: an update in one of these states is not done with; a project has one such update at most
ACTIVE = ("queued", "training", "examined", "waiting")


@dataclass(frozen=True, eq=False)
class Engine:
    """Where the loop of all projects is kept. `clock` gives seconds since the epoch and never goes back."""

    store: Store
    blobs: Blobs
    clock: Callable[[], float] = time.time

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` and wait until it is durable."""
        return self.store.write(work).result()

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one committed state."""
        return self.store.read(work)

    def project(self, name: str) -> Project:
        """The project of that name. Raises: `NotFoundError`."""
        return self.read(lambda connection: project_of(connection, name))


def project_of(connection: Connection, name: str) -> Project:
    """The stored project of that name. Raises: `NotFoundError`."""
    return _parsed(json.dumps(projects.get(connection, name).config), name)


@lru_cache(maxsize=256)
def _parsed(text: str, name: str) -> Project:
    return from_json(text, f"project {name!r}")  # it builds a learner to check the settings, so not at every request


def apply(connection: Connection, update_id: str, event: Event, now: float) -> updates.Update:
    """The stored update after `event`; nothing is written where it was applied before.

    Raises: `NotFoundError`, and `ConflictError` where the event does not fit, see `loop.update`.
    """
    row = updates.get(connection, update_id)
    before = Update(**{each.name: getattr(row, each.name) for each in fields(Update)})
    then = after(before, event, now)
    if then is before:
        return row
    if isinstance(event, Claim):
        return updates.lease_to(connection, row.id, event.owner, now=now, lease=event.lease)
    if isinstance(event, Beat):
        progress = dict(event.progress)
        return updates.heartbeat(connection, row.id, event.owner, now=now, lease=event.lease, progress=progress)
    return updates.change(
        connection,
        row.id,
        expected=before.state,
        owner=before.lease_owner,
        to=then.state,
        now=then.updated,
        candidate=then.candidate,
        evidence=then.evidence,
        decision=then.decision,
    )


def active(connection: Connection, project: str) -> updates.Update | None:
    """The update of `project` that is not done with, if there is one."""
    return next(iter(updates.in_states(connection, project, ACTIVE)), None)


def learned(connection: Connection, version_id: str) -> list[int]:
    """The tasks that a version and those before it in its line have learned; these are its exams."""
    return sorted(learners(connection, version_id))


def learners(connection: Connection, version_id: str) -> dict[int, versions.Version]:
    """By task, the version in the line of this one that learned it."""
    line = versions.lineage(connection, version_id)
    first = [row.number for row in tasks.listed(connection, line[0].project) if row.number <= line[0].task]
    return dict.fromkeys(first, line[0]) | {row.task: row for row in line}


def version_of(connection: Connection, project: str, text: str) -> versions.Version:
    """The version of `project` that `text` names by its id, the beginning of it (6 digits or more), or its number.

    Raises: `NotFoundError`, which tells how many there are.
    """
    rows = versions.listed(connection, project)
    found = [row for row in rows if text in (row.id, str(row.number)) or (len(text) >= 6 and row.id.startswith(text))]
    if len(found) != 1:
        raise NotFoundError(f"project {project!r} has no version {text!r}; it has the numbers 1 … {len(rows)}")
    return found[0]
