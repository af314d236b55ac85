"""What there is to be seen of a project, as plain values."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from lifelong.loop.engine.base import Engine, active, project_of, version_of
from lifelong.loop.engine.judged import gate_of, stalled
from lifelong.loop.life import VersionRow, life
from lifelong.store import aliases, feedback, tasks, updates, versions
from lifelong.store.database import Connection

__all__ = ["evaluation", "lineage", "status", "version_json"]


def status(engine: Engine, name: str) -> dict[str, Any]:
    """The champion, the counts of feedback, the running update, the last decisions, and the matrix R over versions.

    Raises: `NotFoundError`.
    """
    project, champion, counts, busy, rows, made, learned, gate = engine.read(
        lambda connection: (
            project_of(connection, name),
            aliases.get(connection, name),
            feedback.counts(connection, name),
            active(connection, name),
            updates.listed(connection, name, limit=20),
            versions.listed(connection, name),
            tasks.listed(connection, name),
            gate_of(connection, name),
        )
    )
    numbers = {row.id: row.number for row in made}
    return {
        "project": name,
        "method": project.method.complete,
        "champion": None
        if champion is None
        else {"version": champion.version, "number": numbers[champion.version], "revision": champion.revision},
        "feedback": counts,
        "active": None if busy is None else asdict(busy),
        "decisions": [
            {
                "update": row.id,
                "state": row.state,
                "task": row.task,
                "version": numbers.get(row.candidate or ""),
                "reasons": (row.decision or {}).get("reasons") or [(row.decision or {}).get("reason")],
            }
            for row in rows[:5]
            if row.decision is not None
        ],
        "gate": gate,
        "stalled": stalled(rows),
        "tasks": [{"number": row.number, "name": row.name, "retired": row.retired} for row in learned],
        "life": life([_life_row(row) for row in made]).to_json(),
    }


def evaluation(engine: Engine, name: str, text: str) -> dict[str, Any]:
    """The exam row of a version, and what was decided about it. Raises: `NotFoundError`."""

    def page(connection: Connection) -> tuple[versions.Version, updates.Update | None]:
        row = version_of(connection, name, text)
        return row, None if row.update_id is None else updates.get(connection, row.update_id)

    version, found = engine.read(page)
    return {
        "version": version.id,
        "number": version.number,
        "accuracy": version.exam_row["accuracy"],
        "update": version.update_id,
        "state": None if found is None else found.state,
        "decision": None if found is None else found.decision,
    }


def lineage(engine: Engine, name: str, text: str) -> list[dict[str, Any]]:
    """A version and all it comes from, the first first; `learned` holds the manifest of each task that it added.

    A manifest names the feedback of which the task was made, how far the feedback had been read, and a hash of both
    parts. Raises: `NotFoundError`.
    """

    def page(connection: Connection) -> tuple[list[versions.Version], list[tasks.Task]]:
        found = version_of(connection, name, text)
        return versions.lineage(connection, found.id), tasks.listed(connection, name)

    line, known = engine.read(page)
    return [
        {
            **asdict(row),
            "learned": [
                {"number": task.number, "name": task.name, "manifest": task.manifest}
                for task in known
                if task.number == row.task or (row.parent is None and task.number < row.task)
            ],
        }
        for row in line
    ]


def version_json(row: versions.Version, champion: str | None) -> dict[str, Any]:
    """A version as plain values."""
    return {**asdict(row), "champion": row.id == champion}


def _life_row(row: versions.Version) -> VersionRow:
    accuracy = {int(number): float(value) for number, value in row.exam_row["accuracy"].items()}
    return VersionRow(row.number, row.id, row.parent, row.task, accuracy)
