"""Accepted feedback becomes a task: taken and marked in one transaction, then written as two blobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256

import numpy as np

from lifelong.loop.engine.base import Engine, project_of
from lifelong.loop.lot import Row, cut, pack
from lifelong.loop.project import Project
from lifelong.loop.quarantine import Claim, Tally, conflicts, suspects
from lifelong.loop.schema import Inputs
from lifelong.store import lots, review, tasks
from lifelong.store.database import Connection
from lifelong.store.errors import NotFoundError
from lifelong.store.failpoints import reach

__all__ = ["LARGEST_LOT", "digest", "prepare", "screen", "take"]

LARGEST_LOT = 5000


def take(connection: Connection, project: Project, number: int) -> None:
    """Mark what is accepted as the lot of task `number`. Raises: `DataError` where that is too little for an exam."""
    examples = lots.take(connection, project.name, number, limit=LARGEST_LOT)
    cut(_rows(project, examples)[0], project.exam, project.seed)


def screen(connection: Connection, project: Project) -> int:
    """Quarantine what suspect sources have sent, and inputs that sources labelled differently, before a lot is taken.

    What a person has let out of quarantine stays out, and speaks against no source. Returns how many rows go in.
    """
    rows = lots.waiting(connection, project.name, limit=LARGEST_LOT)
    reasons = _suspected(project, [row for row in rows if not row.reviewed])
    left = [row for row in rows if row.id not in reasons]
    claims = [Claim(digest(project.input.check(row.x)), row.source, project.output(row.label)) for row in left]
    found = conflicts(project.rules, claims)
    reasons |= {row.id: found[place].reason for place, row in enumerate(left) if place in found and not row.reviewed}
    for row_id, reason in reasons.items():
        review.quarantine(connection, row_id, reason)
    return len(reasons)


def _suspected(project: Project, rows: Sequence[lots.Example]) -> dict[str, str]:
    """By the id of the row, what is to be said of its source."""
    if project.rules.suspicion == 0:
        return {}
    tallies: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        if row.answer is not None:
            tallies[row.source].append(row.answer != project.output(row.label))
    found = suspects(project.rules, {name: Tally(len(each), sum(each)) for name, each in tallies.items()})
    return {row.id: found[row.source].reason for row in rows if row.source in found}


def prepare(engine: Engine, project_name: str, number: int) -> tasks.Task:
    """Task `number`, made of the rows that were taken for it where it is not stored yet; the same each time."""
    try:
        return engine.read(lambda connection: tasks.get(connection, project_name, number))
    except NotFoundError:
        pass
    project, examples = engine.read(
        lambda connection: (
            project_of(connection, project_name),
            lots.taken(connection, project_name, number),
        )
    )
    rows, inputs = _rows(project, examples)
    lot = cut(rows, project.exam, project.seed)
    labels = {row.id: row.label for row in rows}
    blobs = [engine.blobs.put(_packed(ids, inputs, labels)) for ids in (lot.train, lot.exam)]
    reach("lot stored")
    classes = range(len(project.classes)) if project.scenario == "domain" else sorted(set(labels.values()))
    task = tasks.Task(
        project_name, number, f"lot {number}", list(classes), lot.manifest, blobs[0], blobs[1], engine.clock()
    )
    return engine.write(lambda connection: tasks.add(connection, task))


def _rows(project: Project, examples: Sequence[lots.Example]) -> tuple[list[Row], dict[str, Inputs]]:
    inputs = {each.id: project.input.check(each.x) for each in examples}
    rows = [Row(each.id, project.output(each.label), each.seq, digest(inputs[each.id])) for each in examples]
    return rows, inputs


def digest(x: Inputs) -> str:
    """The name of an input: equal numbers, equal names."""
    return sha256(x.tobytes()).hexdigest()


def _packed(ids: Sequence[str], inputs: Mapping[str, Inputs], labels: Mapping[str, int]) -> bytes:
    return pack(np.stack([inputs[each] for each in ids]), [labels[each] for each in ids])
