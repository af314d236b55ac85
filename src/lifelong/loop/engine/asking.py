"""An update is asked for: by a trigger that fires, or by a person. Its lot is taken in the same transaction."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from lifelong.errors import ConflictError, DataError, LifelongError
from lifelong.loop.drift import Calibrated, features
from lifelong.loop.engine import lots
from lifelong.loop.engine.base import Engine, active, learned, project_of
from lifelong.loop.firing import Facts, Firing, fired, warm_up
from lifelong.loop.job import confidences
from lifelong.loop.lot import unpack
from lifelong.loop.project import MethodChoice, Project
from lifelong.loop.triggers import AccuracyFall, AllOf, AnyOf, ByHand, ConfidenceDrift, InputDrift, Trigger
from lifelong.store import aliases, audit, feedback, firings, predictions, tasks, updates, versions
from lifelong.store import lots as store_lots
from lifelong.store.backend import serialise
from lifelong.store.database import Connection
from lifelong.store.errors import NotFoundError

__all__ = ["Watch", "ask"]


def ask(
    engine: Engine,
    name: str,
    *,
    actor: str,
    method: Mapping[str, Any] | None = None,
    task: int | None = None,
    key: str | None = None,
) -> updates.Update:
    """Queue an update because `actor` wants one; the same `key` again is the same update.

    Arguments: `method` for this update alone, {"name": …, "settings": {…}}; `task`: learn the lot of that task again,
        whose update was rejected, cancelled, failed or rolled back, instead of a new one; under a new number where the
        champion has learned later tasks meanwhile, as tasks are learned in order.
    Raises: `NotFoundError`; `ConflictError` where an update is under way, or the champion has learned that task;
        `DataError` where too little feedback waits; `SettingError` for a method that there is not.
    """
    project = engine.project(name)
    if method is not None:
        project.new_learner(MethodChoice(str(method.get("name")), dict(method.get("settings") or {})))
    firing = Firing(ByHand.kind, {"asked_by": actor})
    return _asked(engine, project, firing, actor, key, method, task)


class Watch:
    """Asks the triggers of every project, and keeps what they are compared with."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._references: dict[str, tuple[str, Mapping[Trigger, Calibrated]]] = {}  # project → champion, references

    def look(self, name: str) -> updates.Update | None:
        """Queue an update of project `name` where one of its triggers fires and enough feedback waits for a lot."""
        engine = self._engine
        project = engine.project(name)
        champion, busy, waiting = engine.read(
            lambda connection: (
                aliases.get(connection, name),
                active(connection, name),
                feedback.count(connection, name, "accepted"),
            )
        )
        if champion is None or busy is not None or waiting < project.exam.minimum:
            return None
        facts = self._facts(project, champion.version, waiting)
        for trigger in project.triggers:
            firing = fired(trigger, facts)
            if firing is not None and not isinstance(trigger, ByHand):
                with suppress(DataError, ConflictError):  # too little is left for an exam, or somebody was faster
                    return _asked(engine, project, firing, "trigger")
        return None

    def _facts(self, project: Project, champion: str, waiting: int) -> Facts:
        kinds = list(_leaves(project.triggers))
        window = max((kind.window for kind in kinds if hasattr(kind, "window")), default=0)
        version, last, judged, asked = self._engine.read(
            lambda connection: (
                versions.get(connection, champion),
                updates.listed(connection, project.name, limit=1),
                feedback.judged(connection, project.name, limit=100_000) if _any(kinds, AccuracyFall) else [],
                predictions.listed(connection, project.name, limit=window)
                if _any(kinds, InputDrift, ConfidenceDrift)
                else [],
            )
        )
        mine = [each.output == each.label for each in judged if each.version == champion]
        asked = [each for each in reversed(asked) if each.variant == "champion"]
        began = last[0].updated if last else version.created
        return Facts(
            waiting=waiting,
            seconds=self._engine.clock() - began,
            outcomes=mine,
            accuracy=float(np.mean(list(version.exam_row["accuracy"].values()))),
            inputs=features(np.array([each.x for each in asked]), project.seed) if asked else (),
            confidences=[each.confidence for each in asked if each.version == champion],
            references=self._reference(project, version) if window else {},
        )

    def _reference(self, project: Project, version: versions.Version) -> Mapping[Trigger, Calibrated]:
        known = self._references.get(project.name)
        if known is None or known[0] != version.id:
            rows = self._engine.read(
                lambda connection: [
                    tasks.get(connection, project.name, number) for number in learned(connection, version.id)
                ]
            )
            inputs = np.concatenate([unpack(self._engine.blobs.get(row.train_blob))[0] for row in rows])
            sure = confidences(self._engine.blobs.get(version.exam_row["answers"]))
            found: dict[Trigger, Calibrated] = {}
            with suppress(DataError):  # fewer than two windows: such a trigger cannot fire yet
                found = warm_up(project.triggers, features(inputs, project.seed), sure, project.seed)
            known = self._references[project.name] = (version.id, found)
        return known[1]


def _asked(
    engine: Engine,
    project: Project,
    firing: Firing,
    actor: str,
    key: str | None = None,
    method: Mapping[str, Any] | None = None,
    task: int | None = None,
) -> updates.Update:
    """Screen what waits and take the lot in one transaction, so that nothing comes between; see `ask`.

    What was found odd goes to quarantine even where the rest is too little for a lot.
    """

    def work(connection: Connection) -> updates.Update | LifelongError:
        if task is None:
            lots.screen(connection, project)
        try:
            with connection.begin_nested():
                return _enqueue(connection, project, firing, actor, key or uuid.uuid4().hex, engine, method, task)
        except (DataError, ConflictError) as error:
            return error

    done = engine.write(work)
    if isinstance(done, LifelongError):
        raise done
    return done


def _enqueue(
    connection: Connection,
    project: Project,
    firing: Firing,
    actor: str,
    key: str,
    engine: Engine,
    method: Mapping[str, Any] | None = None,
    task: int | None = None,
) -> updates.Update:
    name, now = project.name, engine.clock()
    serialise(connection, f"updates of {name}")
    project_of(connection, name)
    before = updates.asked(connection, name, key)
    if before is not None:
        return before
    busy, champion = active(connection, name), aliases.get(connection, name)
    if busy is not None:
        raise ConflictError(
            f"update {busy.id} of {name!r} is {busy.state}; let a server learn it, decide about it, or cancel it"
        )
    if champion is None:
        raise ConflictError(f"project {name!r} has no champion that could learn; make one with lifelong loop init")
    used = [row.number for row in tasks.listed(connection, name)] + [updates.highest_task(connection, name)]
    number = max(used) + 1
    if task is None:
        lots.take(connection, project, number)
    else:
        number = _again(connection, name, champion.version, task, number)
    trigger = {"kind": firing.kind, **firing.evidence}
    row = updates.enqueue(connection, name, key, trigger=trigger, base_version=champion.version, now=now, method=method)
    row = updates.change(connection, row.id, expected="queued", owner=None, to="queued", now=now, task=number)
    firings.add(connection, firings.Firing(f"t-{key}", name, firing.kind, firing.evidence, now, row.id))
    detail = {"update": row.id, "task": number, "trigger": trigger, "method": method}
    audit.append(connection, at=now, project=name, actor=actor, action="update", detail=detail)
    return row


def _again(connection: Connection, name: str, champion: str, task: int, fresh: int) -> int:
    """The number under which the lot of `task` is learned once more: `fresh` where later tasks were learned since."""
    if not updates.of_task(connection, name, task):
        raise NotFoundError(f"no update of {name!r} has learned task {task}; see the list of updates")
    done = learned(connection, champion)
    if task in done:
        raise ConflictError(f"the champion has learned task {task} already; name one whose update was not promoted")
    if task > max(done):
        return task
    if store_lots.move(connection, name, task, fresh) == 0:
        raise ConflictError(f"the lot of task {task} was asked for again under a later number; see the list of updates")
    return fresh


def _leaves(triggers: tuple[Trigger, ...]) -> Iterator[Any]:
    for trigger in triggers:
        if isinstance(trigger, (AnyOf, AllOf)):
            yield from _leaves(trigger.triggers)
        else:
            yield trigger


def _any(kinds: list[Any], *wanted: type) -> bool:
    return any(isinstance(kind, wanted) for kind in kinds)
