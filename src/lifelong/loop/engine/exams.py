"""Which exams a candidate sits, and against whose answers its falls are counted."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong.loop.engine.base import learners
from lifelong.loop.job import Learned
from lifelong.store import aliases, audit, tasks, updates, versions
from lifelong.store.database import Connection

__all__ = ["Exams", "examined_tasks", "exams_of", "known_lots", "retire"]


@dataclass(frozen=True)
class Exams:
    """The tasks that are examined, in their order: those of the champion's line, known lots, and the new one.

    `learned`: where the answers are of the version that learned a task, unless that is the champion itself. `beside`:
    known lots that no version has learned since, which the candidate learns beside the new one.
    """

    tasks: list[tasks.Task]
    learned: dict[int, Learned]
    beside: list[int]


def exams_of(connection: Connection, row: updates.Update) -> Exams:
    """The exams of the update `row`; the same from its claim to its decision, as one update is under way at a time."""
    assert row.task is not None
    assert row.base_version is not None
    makers, known = learners(connection, row.base_version), known_lots(connection, row.project, row.base_version)
    learned = {
        number: Learned(each.exam_row["answers"], "candidate")
        for number, each in makers.items()
        if each.id != row.base_version
    }
    learned |= {
        number: Learned(each.evidence["answers"], "champion")
        for number, each in known.items()
        if each.base_version != row.base_version
    }
    numbers = sorted({*makers, *known, row.task})
    rows = [tasks.get(connection, row.project, number) for number in numbers]
    counted = [each for each in rows if each.retired is None or each.number == row.task]
    beside = [number for number, each in known.items() if each.base_version == row.base_version]
    left = {each.number for each in counted}
    return Exams(
        counted,
        {number: each for number, each in learned.items() if number in left},
        [number for number in sorted(beside) if number in left],
    )


def known_lots(connection: Connection, project: str, version: str) -> dict[int, updates.Update]:
    """Task → the update that found it known, where the version or one before it in its line was the champion then.

    Lots that are kept aside are not among them.
    """
    line = {each.id for each in versions.lineage(connection, version)}
    rows = updates.in_states(connection, project, ["known"])
    return {
        row.task: row for row in rows if row.task is not None and row.base_version in line and row.decision["extends"]
    }


def examined_tasks(connection: Connection, project: str) -> set[int]:
    """The tasks whose exams the next candidate sits, the new one and retired ones aside."""
    champion = aliases.get(connection, project)
    if champion is None:
        return set()
    retired = {row.number for row in tasks.listed(connection, project) if row.retired is not None}
    known = known_lots(connection, project, champion.version)
    return {*learners(connection, champion.version), *known} - retired


def retire(
    connection: Connection, project: str, number: int, *, actor: str, reason: str, now: float, restore: bool = False
) -> tasks.Task:
    """Let the exam of task `number` count no more, or again, with an entry in the audit; twice is once.

    What was learned from the task stays learned. Raises: `NotFoundError`.
    """
    row = tasks.get(connection, project, number)
    if (row.retired is None) == restore:
        return row
    done = tasks.retire(connection, project, number, None if restore else {"at": now, "actor": actor, "reason": reason})
    action, detail = "restore exam" if restore else "retire exam", {"task": number, "reason": reason}
    audit.append(connection, at=now, project=project, actor=actor, action=action, detail=detail)
    return done
