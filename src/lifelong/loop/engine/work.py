"""What a worker does: claim an update, tell how far it is, hand in the candidate with all answers to all exams."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from lifelong.errors import DataError, LifelongError, StorageError
from lifelong.loop.engine import lots
from lifelong.loop.engine.base import Engine, apply, project_of
from lifelong.loop.engine.exams import exams_of
from lifelong.loop.job import Job, Part, answers_of
from lifelong.loop.learning import opened
from lifelong.loop.lot import unpack
from lifelong.loop.plain import plain
from lifelong.loop.project import MethodChoice, Project, to_json
from lifelong.loop.update import Beat, Claim, Examined, Failed
from lifelong.store import projects, updates, versions
from lifelong.store.backend import serialise
from lifelong.store.database import Connection
from lifelong.store.errors import DamagedError
from lifelong.store.failpoints import reach

__all__ = [
    "ATTEMPTS",
    "LEASE",
    "beat",
    "claim",
    "complete",
    "expire",
    "fail",
    "release",
    "settings_of_version",
]

logger = logging.getLogger(__name__)

LEASE = 30.0
ATTEMPTS = 3


def claim(engine: Engine, owner: str, lease: float = LEASE) -> Job | None:
    """The oldest queued update, leased to `owner`; None where nothing is queued.

    Who has an update already is given that one again, as he did not hear the answer; its lease runs on, so that one who
    fails at it and asks again does not hold it for ever. An update whose task cannot be made (a damaged blob, say)
    becomes `failed`, and None is returned; where only the storage does not answer it is tried again, see `expire`.
    """

    def work(connection: Connection) -> updates.Update | None:
        row = updates.held(connection, owner) or updates.oldest_queued(connection)
        return None if row is None else apply(connection, row.id, Claim(owner, row.attempt, lease), engine.clock())

    row = engine.write(work)
    if row is None:
        return None
    reach("update claimed")
    try:
        assert row.task is not None
        assert row.base_version is not None
        lots.prepare(engine, row.project, row.task)
        return engine.read(lambda connection: _job(connection, row, owner))
    except LifelongError as error:
        if isinstance(error, StorageError) and not isinstance(error, DamagedError):
            logger.warning("update %s waits for the storage: %s", row.id, error)
        else:
            fail(engine, row.id, owner, row.attempt, str(error))
        return None


def beat(
    engine: Engine, update_id: str, owner: str, attempt: int, progress: Mapping[str, Any], lease: float = LEASE
) -> updates.Update:
    """The worker is alive and so far. Raises: `ConflictError` where it has the lease no more: then it should stop."""
    event = Beat(owner, attempt, lease, progress)
    return engine.write(lambda connection: apply(connection, update_id, event, engine.clock()))


def fail(engine: Engine, update_id: str, owner: str, attempt: int, reason: str) -> updates.Update:
    """It cannot be learned, and trying again would not help. Raises: `ConflictError` where the lease is lost."""
    event = Failed(owner, attempt, reason)
    return engine.write(lambda connection: apply(connection, update_id, event, engine.clock()))


def expire(engine: Engine, attempts: int = ATTEMPTS) -> list[updates.Update]:
    """Put updates whose worker is not heard of any more back into the queue; failed after so many attempts."""
    return engine.write(lambda connection: updates.expire(connection, now=engine.clock(), most_attempts=attempts))


def release(engine: Engine, owner: str, *, died: bool) -> list[updates.Update]:
    """Put back what workers whose name begins with `owner` were doing; where they `died`, it counts as an attempt."""

    def work(connection: Connection) -> list[updates.Update]:
        now = engine.clock()
        names = [each.name for each in projects.listed(connection)]
        rows = [row for name in names for row in updates.in_states(connection, name, ["training"])]
        held = [row for row in rows if (row.lease_owner or "").startswith(owner)]
        for row in held:
            holder = row.lease_owner or ""
            if died:
                updates.heartbeat(connection, row.id, holder, now=now, lease=-1.0)  # over, as of now
            else:
                updates.change(connection, row.id, expected="training", owner=holder, to="queued", now=now)
        updates.expire(connection, now=now, most_attempts=ATTEMPTS)
        return [updates.get(connection, row.id) for row in held]

    return engine.write(work)


def complete(
    engine: Engine,
    update_id: str,
    owner: str,
    attempt: int,
    *,
    candidate: bytes,
    answers: bytes,
    latency: Mapping[str, float],
    steps: Sequence[Mapping[str, Any]] = (),
) -> updates.Update:
    """Store the candidate as a version, and the update as `examined`; twice is once. `deciding.decide` comes next.

    Raises: `ConflictError` where the lease is lost; `DataError` for answers that do not fit the exams, and for bytes
        that are no learner.
    """
    row = engine.read(lambda connection: updates.get(connection, update_id))
    project, rows = engine.read(
        lambda connection: (project_of(connection, row.project), exams_of(connection, row).tasks)
    )
    try:
        given = answers_of(answers)
        opened(candidate)
    except StorageError as error:
        raise DataError(f"what was handed in for update {update_id} is damaged: {error}") from error
    accuracy: dict[str, float] = {}
    for each in rows:
        number, labels = each.number, unpack(engine.blobs.get(each.exam_blob))[1]
        for who in ("champion", "candidate"):
            if len(given[who].get(number, ())) != len(labels):
                raise DataError(f"expected {len(labels)} answers of the {who} to the exam of task {number}")
        accuracy[str(number)] = float((given["candidate"][number] == labels).mean())
    assert row.task is not None
    content = versions.NewVersion(
        project=row.project,
        parent=row.base_version,
        blob=engine.blobs.put(candidate),
        settings=settings_of_version(project, _choice(row.method) or project.method),
        task=row.task,
        exam_row={"accuracy": accuracy, "answers": engine.blobs.put(answers)},
    )
    reach("candidate stored")

    def work(connection: Connection) -> updates.Update:
        serialise(connection, f"updates of {row.project}")  # the same once more, by way of another server, waits
        now = engine.clock()
        version = versions.add(connection, content, now, row.id)
        evidence = {"row": accuracy, "answers": content.exam_row["answers"], "latency": dict(latency)}
        evidence |= {"steps": [dict(step) for step in steps]}
        return apply(connection, update_id, Examined(owner, attempt, version.id, evidence), now)

    done = engine.write(work)
    reach("examined")
    return done


def settings_of_version(project: Project, method: MethodChoice) -> dict[str, Any]:
    """What a version was made with."""
    return {"method": plain(method.complete), "learner": plain(project.learner), "seed": project.seed}


def _choice(method: Mapping[str, Any] | None) -> MethodChoice | None:
    return None if method is None else MethodChoice(str(method["name"]), dict(method.get("settings") or {}))


def _job(connection: Connection, row: updates.Update, owner: str) -> Job:
    assert row.task is not None
    assert row.base_version is not None
    project, exams = project_of(connection, row.project), exams_of(connection, row)
    parts = [Part(each.number, each.name, list(each.classes), each.train_blob, each.exam_blob) for each in exams.tasks]
    champion = versions.get(connection, row.base_version)
    config: dict[str, Any] = json.loads(to_json(project))
    return Job(
        row.id,
        owner,
        row.attempt,
        config,
        row.method,
        champion.blob,
        row.task,
        parts,
        exams.learned,
        exams.beside if project.scenario != "task" else [],
    )
