"""The word of the gate, the word of a person, and going back: each moves the alias by compare-and-swap, or nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from lifelong.errors import ConflictError, LifelongError, StorageError
from lifelong.loop.engine import traffic
from lifelong.loop.engine.base import Engine, apply, project_of, version_of
from lifelong.loop.engine.exams import exams_of, retire
from lifelong.loop.engine.judged import attempt_of, disagreement_seen
from lifelong.loop.gate import Decision, ExamAnswers, Latency
from lifelong.loop.gate import decide as ask_gate
from lifelong.loop.job import answers_of
from lifelong.loop.learning import opened
from lifelong.loop.lot import unpack, verdict_part
from lifelong.loop.plain import plain
from lifelong.loop.project import Project
from lifelong.loop.update import Cancelled, Decided
from lifelong.store import aliases, audit, updates, versions
from lifelong.store.backend import serialise
from lifelong.store.database import Connection
from lifelong.store.errors import DamagedError, NotFoundError
from lifelong.store.failpoints import reach

__all__ = ["Loaded", "cancel", "decide", "examined", "finish", "nothing_loaded", "promote", "reject", "rollback"]

logger = logging.getLogger(__name__)

#: whether a version is in memory and can answer at once: (project, id of the version)
Loaded: TypeAlias = Callable[[str, str], bool]


def nothing_loaded(project: str, version: str) -> bool:
    """Nobody serves."""
    return False


def decide(engine: Engine, update_id: str) -> updates.Update:
    """What the gate says of an examined update: promoted, rejected, or left to a person; twice is once.

    Raises: `StorageError` where the evidence cannot be read now: the update stays examined, see `finish`.
    """
    row = engine.read(lambda connection: updates.get(connection, update_id))
    if row.state != "examined":
        return row
    project = engine.project(row.project)
    try:
        decision = _judged(engine, project, row)
    except LifelongError as error:  # evidence that is damaged speaks for nothing
        if isinstance(error, StorageError) and not isinstance(error, DamagedError):
            raise
        decision = Decision("rejected", (f"the exams cannot be judged: {error}",))
    said = {"by": "gate", "outcome": decision.outcome, "promote": decision.promote, "reasons": list(decision.reasons)}
    said |= {"gate": plain(project.gate), "evidence": plain(decision.evidence), "classes": plain(decision.classes)}
    steps = [step for step in row.evidence.get("steps", ()) if "found" not in step]
    said |= {"failed": list(decision.failed), "attempt": attempt_of(row), "steps": steps, "backdoors": _found(row)}
    said |= {"retired": list(decision.retired), "extends": decision.extends}
    done = engine.write(lambda connection: _settle(connection, engine.clock(), project, update_id, said))
    reach("decided")
    return done


def examined(engine: Engine, update_id: str) -> updates.Update:
    """`decide` at once, or leave it to `finish` where the storage does not answer: what was handed in is stored."""
    try:
        return decide(engine, update_id)
    except StorageError as error:
        logger.warning("update %s is judged as soon as the storage answers: %s", update_id, error)
        return engine.read(lambda connection: updates.get(connection, update_id))


def finish(engine: Engine, project: str) -> list[updates.Update]:
    """Decide what was examined, and left by a crash or by storage that did not answer."""
    rows = engine.read(lambda connection: updates.in_states(connection, project, ["examined"]))
    return [decide(engine, row.id) for row in rows]


def promote(
    engine: Engine,
    project: str,
    version: str,
    *,
    actor: str,
    reason: str,
    revision: int | None = None,
    loaded: Loaded = nothing_loaded,
) -> aliases.Alias:
    """Make a version the champion because a person says so, whether it waits for that or not.

    A version that is `loaded` may become the champion while the blobs are away; one whose blob is damaged never.

    Raises: `NotFoundError`; `ConflictError` where the alias is not at `revision`, or the version is damaged;
        `StorageError` where the version cannot be read now.
    """
    return _move(engine, project, version, actor, reason, revision, "promote", loaded)


def rollback(
    engine: Engine,
    project: str,
    version: str | None = None,
    *,
    actor: str,
    reason: str,
    revision: int | None = None,
    loaded: Loaded = nothing_loaded,
) -> aliases.Alias:
    """Go back to a version; None is the one that the champion was made from. `loaded`: see `promote`.

    Raises: like `promote`; `ConflictError` where the champion was made from none.
    """
    return _move(engine, project, version, actor, reason, revision, "rollback", loaded)


def reject(engine: Engine, project: str, version: str, *, actor: str, reason: str) -> updates.Update:
    """Say no to a candidate that waits for a person.

    Raises: `NotFoundError`; `ConflictError` where it does not wait.
    """

    def work(connection: Connection) -> updates.Update:
        now, found = engine.clock(), version_of(connection, project, version)
        row = _of_candidate(connection, project, found.id, ("waiting", "rejected"))
        if row is None:
            raise ConflictError(f"version {found.number} of {project!r} does not wait for a decision")
        if row.state == "rejected":
            return row
        done = apply(connection, row.id, Decided("rejected", _by(row, actor, reason)), now)
        detail = {"update": row.id, "version": found.id, "reason": reason}
        audit.append(connection, at=now, project=project, actor=actor, action="reject", detail=detail)
        traffic.cleared(connection, project, found.id, now=now, actor=actor, reason="it was rejected")
        return done

    return engine.write(work)


def cancel(engine: Engine, project: str, update_id: str, *, actor: str, reason: str) -> updates.Update:
    """Stop an update that is queued or training; its worker learns of it at its next beat."""

    def work(connection: Connection) -> updates.Update:
        now, before = engine.clock(), updates.get(connection, update_id)
        if before.project != project:
            raise NotFoundError(f"no update {update_id!r} is stored in project {project!r}; see the list of updates")
        done = apply(connection, update_id, Cancelled(reason), now)
        if before.state != done.state:
            detail = {"update": update_id, "reason": reason}
            audit.append(connection, at=now, project=project, actor=actor, action="cancel", detail=detail)
        return done

    return engine.write(work)


def _judged(engine: Engine, project: Project, row: updates.Update) -> Decision:
    asked, seen = engine.read(
        lambda connection: (exams_of(connection, row), disagreement_seen(connection, row.project, row.created))
    )
    given = answers_of(engine.blobs.get(row.evidence["answers"]))
    then = {blob: answers_of(engine.blobs.get(blob)) for blob in {each.answers for each in asked.learned.values()}}
    learned = {number: then[each.answers][each.who][number] for number, each in asked.learned.items()}
    exams = [
        ExamAnswers(
            each.number,
            each.name,
            unpack(engine.blobs.get(each.exam_blob))[1],
            given["champion"][each.number],
            given["candidate"][each.number],
            is_new=each.number == row.task,
            learned=learned.get(each.number),
            beside=each.number in asked.beside,
        )
        for each in asked.tasks
    ]
    return ask_gate(
        project.gate,
        [each.part(verdict_part(each.y, project.selection)) for each in exams],
        Latency(**row.evidence["latency"]),
        attempt=attempt_of(row),
        disagreement=seen,
        exhausted=any(step["step"] == "retrain" and "why_not" not in step for step in row.evidence.get("steps", ())),
        retire=project.exam.retire,
        classes=project.classes,
        backdoors=_found(row),
    )


def _found(row: updates.Update) -> list[dict[str, Any]]:
    """The patterns that the worker found in what the candidate learned."""
    return [each for step in row.evidence.get("steps", ()) for each in step.get("found", ())]


def _settle(
    connection: Connection, now: float, project: Project, update_id: str, said: dict[str, Any]
) -> updates.Update:
    serialise(connection, f"updates of {project.name}")  # of two servers that decide at once, the second sees it done
    row = updates.get(connection, update_id)
    champion = aliases.get(connection, row.project)
    if row.state != "examined" or champion is None or row.candidate is None:
        return row
    if said["promote"] and champion.version != row.base_version:
        why = "the champion changed while this version learned from the one before; ask for its task again"
        said = {**said, "promote": False, "outcome": "rejected", "reasons": [why, *said["reasons"]]}
    if not said["promote"]:
        known = said["outcome"] == "known"
        done = apply(connection, row.id, Decided("known" if known else "rejected", said), now)
        action = "known" if known else "reject"
    elif project.approval == "ask":
        done = apply(connection, row.id, Decided("waiting", said), now)
        action = "wait"
    else:
        done = apply(connection, row.id, Decided("promoted", said), now)
        aliases.move(
            connection,
            row.project,
            expected_revision=champion.revision,
            version=row.candidate,
            actor="gate",
            reason="; ".join(said["reasons"]),
            now=now,
        )
        traffic.cleared(connection, row.project, row.candidate, now=now, actor="gate", reason="it became the champion")
        _retired(connection, row, said, now)
        reach("decided before commit")
        return done  # the move is in the audit
    detail = {"update": row.id, "version": row.candidate, "reasons": said["reasons"]}
    audit.append(connection, at=now, project=row.project, actor="gate", action=action, detail=detail)
    return done


def _retired(connection: Connection, row: updates.Update, said: Mapping[str, Any], now: float) -> None:
    """Exams that a promoted full retrain contradicts count no more."""
    for number in said.get("retired") or ():
        reason = f"a full retrain contradicts it (update {row.id}): the world has changed"
        retire(connection, row.project, number, actor="gate", reason=reason, now=now)


def _move(
    engine: Engine,
    project: str,
    version: str | None,
    actor: str,
    reason: str,
    revision: int | None,
    action: str,
    loaded: Loaded,
) -> aliases.Alias:
    meant = engine.read(lambda connection: _meant(connection, project, version, revision))[1]
    _check_whole(engine, meant, loaded(project, meant.id))

    def work(connection: Connection) -> aliases.Alias:
        serialise(connection, f"updates of {project}")
        now = engine.clock()
        champion, found = _meant(connection, project, version, revision)
        if found.id != meant.id:
            raise ConflictError(f"the champion of {project!r} moved just now; look at it again, then decide")
        expected = champion.revision if revision is None else revision
        if found.id == champion.version and expected == champion.revision:
            return champion
        moved = aliases.move(
            connection,
            project,
            expected_revision=expected,
            version=found.id,
            actor=actor,
            reason=reason,
            now=now,
            action=action,
        )
        waits = _of_candidate(connection, project, found.id, ("waiting",))
        if waits is not None:
            _retired(connection, waits, waits.decision or {}, now)
            apply(connection, waits.id, Decided("promoted", _by(waits, actor, reason)), now)
        traffic.cleared(connection, project, found.id, now=now, actor=actor, reason="it became the champion")
        reach(f"{action} before commit")
        return moved

    moved = engine.write(work)
    reach(f"{action} after commit")
    return moved


def _check_whole(engine: Engine, version: versions.Version, in_memory: bool) -> None:
    """Raise `ConflictError` for a damaged version: it would answer from memory, and after a restart nobody would.

    A version `in_memory` may become the champion while the storage does not answer; of another, `StorageError`.
    """
    try:
        data = engine.blobs.get(version.blob)
        if not in_memory:
            opened(data)
    except DamagedError as error:
        raise ConflictError(f"version {version.number} of {version.project!r} cannot be loaded: {error}") from error
    except StorageError:
        if not in_memory:
            raise


def _meant(
    connection: Connection, project: str, version: str | None, revision: int | None
) -> tuple[aliases.Alias, versions.Version]:
    """The champion, and the version that is named; None is the one that the champion was made from.

    Raises: `RevisionError` before all else where the champion is not at `revision`: another's parent was meant.
    """
    project_of(connection, project)
    champion = aliases.get(connection, project)
    if champion is None:
        raise ConflictError(f"project {project!r} has no champion; make one with lifelong loop init")
    aliases.expect(champion, revision)
    if version is None:
        present = version_of(connection, project, champion.version)
        if present.parent is None:
            raise ConflictError(f"version {present.number} was made from none; name the version to go back to")
        version = present.parent
    return champion, version_of(connection, project, version)


def _of_candidate(connection: Connection, project: str, version: str, states: tuple[str, ...]) -> updates.Update | None:
    rows = updates.in_states(connection, project, states)
    return next((row for row in rows if row.candidate == version), None)


def _by(row: updates.Update, actor: str, reason: str) -> dict[str, Any]:
    """What the gate said, with what a person added."""
    return {**(row.decision or {}), "by": actor, "person": reason}
