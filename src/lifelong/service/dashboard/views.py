"""From rows to the plain values that the templates of home and of a version show; pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lifelong.loop.engine.judged import stalled
from lifelong.loop.gate import Gate
from lifelong.loop.life import Life
from lifelong.loop.triggers import Amount
from lifelong.methods import METHODS
from lifelong.service.dashboard.curves import curve, interval
from lifelong.service.dashboard.facts import Facts
from lifelong.service.dashboard.heat import heat
from lifelong.store.updates import Update
from lifelong.store.versions import Version

__all__ = ["decision", "home_view", "running", "version_view"]

DECISIONS = 6
#: what fits a page: so many versions, the newest; so many tasks, the first and the newest
VERSIONS, FIRST_TASKS, LAST_TASKS = 60, 10, 30


def home_view(facts: Facts) -> dict[str, Any]:
    """What the home page of a project shows."""
    life, present = facts.life, facts.present
    numbers = {row.id: row.number for row in facts.versions}
    shown = facts.versions[-VERSIONS:]
    tasks = [*life.tasks] if len(life.tasks) <= FIRST_TASKS + LAST_TASKS else [
        *life.tasks[:FIRST_TASKS], *life.tasks[-LAST_TASKS:]
    ]  # fmt: skip
    return {
        "champion": present,
        "parent": None if present is None else facts.version(present.parent),
        "revision": 0 if facts.champion is None else facts.champion.revision,
        "since": facts.moves[-1].at if facts.moves else None,
        "move": facts.moves[-1] if facts.moves else None,
        "accuracy": _mean(present),
        "method": facts.project.method.name,
        "counts": facts.counts,
        "labels_learned": facts.labels_learned,
        "needed": min((each.n for each in facts.project.triggers if isinstance(each, Amount)), default=None),
        "gate": facts.gate,
        "stalled": stalled(facts.updates),
        "running": None if facts.active is None else running(facts.active),
        "tasks": [{"number": task, "name": facts.task_name(task)} for task in tasks],
        "heat": heat(facts, shown, tasks),
        "left_out": _left_out(len(facts.versions), len(shown), len(life.tasks), len(tasks)),
        "curves": _curves(facts, life, shown, tasks),
        "decisions": [decision(facts, row) for row in facts.updates if row.decision is not None][:DECISIONS],
        "moves": [
            {"move": move, "to": numbers.get(move.version), "from": numbers.get(move.previous or "")}
            for move in reversed(facts.moves[-8:])
        ],
        "methods": sorted(METHODS),
        "stamp": facts.stamp,
    }


def version_view(facts: Facts, version: Version, made: Update | None) -> dict[str, Any]:
    """What the page of a version shows, beside the champion; `made` is the update that it comes from."""
    present, standing = facts.present, facts.standing(version, made)
    task = next((row for row in facts.tasks if row.number == version.task), None)
    manifest = dict(task.manifest) if task is not None else {}
    sizes = {name: _size(manifest.get(name)) for name in ("train", "exam", "spare")}
    return {
        "version": version,
        "standing": standing,
        "parent": facts.version(version.parent),
        "children": [row.number for row in facts.versions if row.parent == version.id],
        "champion": present,
        "revision": 0 if facts.champion is None else facts.champion.revision,
        "update": made,
        "task": task,
        "sizes": {name: size for name, size in sizes.items() if size},
        "digest": manifest.get("sha256"),
        "method": _settings(version.settings.get("method")),
        "learner": _settings(version.settings.get("learner")),
        "latency": ((made.evidence or {}).get("latency") if made is not None else None),
        "exams": _exams(facts, version),
        "decision": None if made is None or made.decision is None else decision(facts, made),
        "moves": [move for move in reversed(facts.moves) if move.version == version.id],
        "action": _action(standing, version, present),
        "stamp": facts.stamp,
    }


def running(row: Update) -> dict[str, Any]:
    """An update that is not done with: its state, how far it is (0 … 1, or None), and that in words."""
    progress = row.progress or {}
    stage, share = str(progress.get("stage", "")), None
    words = {"queued": "waits for a worker", "waiting": "waits for a person", "examined": "the gate looks at its exams"}
    told = words.get(row.state, "starting")
    if row.state == "training" and stage == "learning":
        step, steps = progress.get("step", 0), progress.get("steps")
        share = step / steps if steps else 0.0
        told = f"learns, step {step:,} of {steps:,}" if steps else "begins to learn"
        told += f", loss {progress['loss']}" if "loss" in progress else ""
    elif row.state == "training" and stage == "exams":
        share, told = 1.0, f"sits {progress.get('of', '')} exams".replace("  ", " ")
    return {"row": row, "share": share, "told": told, "why": _why(row), "method": (row.method or {}).get("name")}


def decision(facts: Facts, row: Update) -> dict[str, Any]:
    """What was decided about an update, why, and with what evidence."""
    said = dict(row.decision or {})
    made = facts.version(row.candidate)
    gate = {"min_gain": facts.project.gate.min_gain, "max_forgetting": facts.project.gate.max_forgetting}
    gate |= {name: value for name, value in (said.get("gate") or {}).items() if name in gate}
    free = row.state in ("rejected", "failed", "cancelled") and facts.active is None and row.task is not None
    latest = next((each for each in facts.updates if each.task == row.task), None)
    reasons = said.get("reasons") or ([said["reason"]] if said.get("reason") else [])
    return {
        "row": row,
        "number": None if made is None else made.number,
        "by": said.get("by"),
        "person": said.get("person"),
        "again": free and latest is row and facts.present is not None and (row.task or 0) > facts.present.task,
        "reasons": [str(each) for each in reasons],
        "why": _why(row),
        "method": (row.method or {}).get("name"),
        "evidence": [_evidence(each, gate) for each in said.get("evidence") or []],
        "classes": said.get("classes") or [],
        "steps": [_step(each) for each in said.get("steps") or []],
        "retired": said.get("retired") or [],
        "confidence": 100 * float((said.get("gate") or {}).get("confidence", Gate().confidence)),
    }


def _curves(facts: Facts, life: Life, shown: Sequence[Version], tasks: Sequence[int]) -> list[dict[str, Any]]:
    """A drawing for the exam of each task, all on one scale."""
    present = facts.present
    line = set() if present is None else {row.number for row in life.line(present.id).versions}
    low = 0.5 if life.matrix_VT.size and np.nanmin(life.matrix_VT) >= 0.5 else 0.0
    found = []
    for task in tasks:
        name = facts.task_name(task)
        points = [point for point in life.curve(task) if point[0] >= shown[0].number]
        champion = 0 if present is None else present.number
        drawn = curve(f"task {task} ({name})", points, line, champion, shown[-1].number, low, shown[0].number)
        now = None if present is None else present.exam_row["accuracy"].get(str(task))
        found.append({"number": task, "name": name, "svg": drawn, "now": now})
    return found


def _evidence(given: dict[str, Any], gate: dict[str, float]) -> dict[str, Any]:
    asked = given.get("asked", gate["min_gain"] if given["is_new"] else -gate["max_forgetting"])
    label = f"task {given['task']} ({given['name']})"
    middle = given["difference"] if given.get("since_learned") is None else given["since_learned"]
    drawn = interval(label, given["low"], middle, given["high"], asked)
    return {"holds": given["low"] >= asked, **given, "asked": asked, "svg": drawn}


def _step(step: dict[str, Any]) -> str:
    """A step of a repair in words."""
    name = str(step["step"]) + (f" {step['alpha']:g}" if "alpha" in step else "")
    if "why_not" in step:
        return f"{name}: {step['why_not']}"
    safe = "looks safe" if step["excess"] <= 0 else f"the worst fall is {100 * step['excess']:.1f} points too large"
    return f"{name}: gains {100 * step['gain']:.1f} points on the new task, {safe}"


def _exams(facts: Facts, version: Version) -> list[dict[str, Any]]:
    """Every exam that the version or the champion sat, side by side."""
    mine = version.exam_row["accuracy"]
    theirs: dict[str, float] = {} if facts.present is None else facts.present.exam_row["accuracy"]
    rows = []
    for task in sorted({*map(int, mine), *map(int, theirs)}):
        one, other = mine.get(str(task)), theirs.get(str(task))
        gap = None if one is None or other is None else one - other
        rows.append({"task": task, "name": facts.task_name(task), "mine": one, "theirs": other, "difference": gap})
    return rows


def _action(standing: str, version: Version, champion: Version | None) -> str | None:
    """What can be done with a version: it was champion before, or it never was; None for the champion itself."""
    if champion is None or version.id == champion.id:
        return None
    return "rollback" if standing == "former champion" else "promote"


def _why(row: Update) -> str:
    """The trigger of an update in words."""
    told = dict(row.trigger or {})
    kind = str(told.pop("kind", "unknown"))
    if "asked_by" in told:
        return f"asked for by {told['asked_by']}"
    facts = ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                      for name, value in told.items() if isinstance(value, (int, float, str)))  # fmt: skip
    return f"trigger {kind}" + (f" ({facts})" if facts else "")


def _settings(given: Any) -> dict[str, Any]:
    """Settings as one flat table: what is nested gets names with dots."""
    flat: dict[str, Any] = {}
    for name, value in (given or {}).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": inside for inner, inside in _settings(value).items()}
        else:
            flat[str(name)] = value
    return flat


def _left_out(versions: int, shown: int, tasks: int, named: int) -> str:
    """What a long life has that is not on the page.

    >>> _left_out(3, 3, 2, 2), _left_out(200, 60, 100, 40)
    ('', 'Shown are the newest 60 of 200 versions, the first 10 and the newest 30 of 100 tasks.')
    """
    parts = [f"the newest {shown} of {versions} versions"] if shown < versions else []
    parts += [f"the first {FIRST_TASKS} and the newest {LAST_TASKS} of {tasks} tasks"] if named < tasks else []
    return f"Shown are {', '.join(parts)}." if parts else ""


def _mean(version: Version | None) -> float | None:
    if version is None:
        return None
    values = [float(value) for value in version.exam_row["accuracy"].values()]
    return sum(values) / len(values) if values else None


def _size(given: Any) -> int | None:
    return len(given) if isinstance(given, list) else given if isinstance(given, int) else None
