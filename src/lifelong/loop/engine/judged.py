"""What earlier updates tell: attempts at a lot, disagreement, the power of the gate, whether a life stalls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from lifelong.loop.engine.base import project_of
from lifelong.loop.engine.exams import examined_tasks
from lifelong.loop.gate import Disagreement, Gate
from lifelong.loop.power import power_later
from lifelong.store import tasks, updates
from lifelong.store.database import Connection

__all__ = ["attempt_of", "attempts_at", "disagreement_seen", "gate_of", "stalled"]

#: so many judged updates tell how far candidates differ from champions
RECENT = 10
#: so many failed updates in a row are a stall
STALL = 3


def attempt_of(row: updates.Update) -> int:
    """How often a candidate for the lot of this update has been judged, this update included."""
    return int((row.trigger or {}).get("attempt", 1))


def attempts_at(connection: Connection, project: str, task: int) -> int:
    """How often candidates for the lot of `task` were judged; under whatever numbers."""
    judged = [row for row in updates.of_task(connection, project, task) if (row.decision or {}).get("evidence")]
    return max((attempt_of(row) for row in judged), default=0)


def disagreement_seen(connection: Connection, project: str, before: float) -> Disagreement | None:
    """On which fraction of answers to old exams the last candidates differed that were asked for earlier.

    None where none was judged. Rejected candidates count: what a gate expects should not be what it lets pass.
    """
    rows = updates.listed(connection, project, limit=5 * RECENT)
    facts = [
        [each for each in row.decision["evidence"] if not each["is_new"]]
        for row in rows
        if row.created < before
        and (row.decision or {}).get("classes") is not None  # earlier versions of lifelong stored other evidence
    ][:RECENT]
    examples = sum(each["n"] for some in facts for each in some)
    if not examples:
        return None
    every = [each for some in facts for each in some]
    return Disagreement(
        sum(each["gained"] + each["lost"] for each in every) / examples,
        sum(each["n"] * each["differing_since"] for each in every) / examples,
    )


def gate_of(connection: Connection, name: str) -> dict[str, Any]:
    """The probability that a candidate as good as the champion passes, now and later, and the disagreement seen.

    Raises: `NotFoundError`.
    """
    project, seen = project_of(connection, name), disagreement_seen(connection, name, math.inf)
    numbers = examined_tasks(connection, name)
    learned = [row for row in tasks.listed(connection, name) if row.number in numbers]
    used = 1 - project.selection
    exams = tuple(round(used * _exam_size(row)) for row in learned)
    rate = None if seen is None else Disagreement(*(round(max(0.01, each), 2) for each in seen))
    later = _power_later(project.gate, exams, round(used * project.exam.minimum), len(project.classes), rate)
    return {
        "power": {str(count): round(value, 3) for count, value in later.items()},
        "disagreement": {"assumed": project.gate.disagreement, "seen": None if seen is None else seen._asdict()},
    }


@lru_cache(maxsize=64)
def _power_later(
    gate: Gate, exams: tuple[int, ...], lot: int, classes: int, rate: Disagreement | None
) -> dict[int, float]:
    return power_later(gate, exams, lot, classes, rate)


def _exam_size(row: tasks.Task) -> int:
    exam = row.manifest["exam"]
    return exam if isinstance(exam, int) else len(exam)


def stalled(rows: Sequence[updates.Update]) -> dict[str, Any] | None:
    """Why the life of a project stalls, where its last three updates failed or were rejected, and what would help.

    Arguments: `rows` are updates, newest first; cancelled ones and those under way say nothing.
    """
    ended = [row for row in rows if row.state in ("promoted", "known", "rejected", "failed")][:STALL]
    if len(ended) < STALL or any(row.state in ("promoted", "known") for row in ended):
        return None
    kinds = [
        "failure" if row.state == "failed" else kind
        for row in ended
        for kind in ((row.decision or {}).get("failed") or ["other"])
    ]
    most = max(sorted(set(kinds)), key=kinds.count)
    return {
        "updates": [row.id for row in ended],
        "since": ended[-1].created,
        "why": WHY[most],
        "help": HELP[most],
    }


WHY = {
    "gain": "the candidates were shown to be better nowhere",
    "forgetting": "the candidates were not shown to keep what the champion knows, also after repairs",
    "latency": "the candidates answer too slowly",
    "backdoor": "the candidates learned a pattern that makes them say one class, whatever else is in the input",
    "failure": "the updates could not be learned",
    "other": "the candidates could not be judged, or a person rejected them",
}
HELP = {
    "gain": "merge the lots that were rejected (lifelong loop update --task A --task B), look at their labels, or take "
    "a larger model or a longer training",
    "forgetting": "give the method more memory (method.settings.capacity), let lots be larger, or raise the margins of "
    "the gate",
    "latency": "take a smaller model, or raise gate.max_latency_ms",
    "backdoor": "refuse the labels that have the pattern, and look at the keys that sent them",
    "failure": "read the reasons of the updates, and mend what they name",
    "other": "read the reasons of the decisions",
}
