"""An update is asked for: by a trigger that fires, or by a person. Its lot is taken in the same transaction."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifelong.errors import ConflictError, DataError, LifelongError, require
from lifelong.loop.engine import lots
from lifelong.loop.engine.base import Engine, active, learned, project_of
from lifelong.loop.engine.exams import known_lots
from lifelong.loop.engine.judged import attempts_at
from lifelong.loop.engine.windows import Windows
from lifelong.loop.firing import Facts, Firing, fired
from lifelong.loop.project import MethodChoice, Project
from lifelong.loop.triggers import ByHand
from lifelong.store import aliases, audit, feedback, firings, tasks, updates
from lifelong.store import lots as store_lots
from lifelong.store.backend import serialise
from lifelong.store.database import Connection
from lifelong.store.errors import NotFoundError

__all__ = ["Watch", "ask"]

#: seconds until a trigger that fired in vain is asked again, however little came since
AGAIN = 60.0


def ask(
    engine: Engine,
    name: str,
    *,
    actor: str,
    method: Mapping[str, Any] | None = None,
    task: int | None = None,
    merge: Sequence[int] = (),
    retrain: bool = False,
    key: str | None = None,
) -> updates.Update:
    """Queue an update because `actor` wants one; the same `key` again is the same update.

    Arguments: `method` for this update alone, {"name": …, "settings": {…}}; `task`: learn the lot of that task again,
        whose update was rejected, cancelled, failed or rolled back, instead of a new one; under a new number where the
        champion has learned later tasks meanwhile, as tasks are learned in order. `merge`: further tasks whose lots
        join it, under a new number; the merged lot has had as many attempts as the one that had most. `retrain`: a new
        learner learns every
        stored lot together, instead of the champion the new one.
    Raises: `NotFoundError`; `ConflictError` where an update is under way, or the champion has learned that task;
        `DataError` where too little feedback waits; `SettingError` for a method that there is not, and for `merge`
        without `task`.
    """
    require(task is not None or not merge, "merge names lots that join the lot of task; name that, too")
    project = engine.project(name)
    if method is not None:
        project.new_learner(MethodChoice(str(method.get("name")), dict(method.get("settings") or {})))
    if retrain:
        method = {**(method or project.method.complete), "retrain": True}
    firing = Firing(ByHand.kind, {"asked_by": actor})
    again = () if task is None else tuple(dict.fromkeys((task, *merge)))
    return _asked(engine, project, firing, actor, key, method, again)


class Watch:
    """Asks the triggers of every project, and keeps what they found and which of them could not be followed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._windows: dict[str, Windows] = {}
        self._refused: dict[str, _Refused] = {}
        self._told: dict[str, tuple[tuple[str, int] | None, float]] = {}  # what was told last, and when

    def look(self, name: str) -> updates.Update | None:
        """Queue an update of project `name` where one of its triggers fires and enough feedback waits for a lot.

        A trigger that fires where too little waits, or a window that shows something while an update is under way, is
        stored as a firing without an update, with the reason.
        """
        engine, now = self._engine, self._engine.clock()
        project = engine.project(name)
        champion, busy, last, waiting = engine.read(
            lambda connection: (
                aliases.get(connection, name),
                active(connection, name),
                next(iter(updates.listed(connection, name, limit=1)), None),
                feedback.count(connection, name, "accepted"),
            )
        )
        if champion is None:
            return None
        windows = self._windows.get(name)
        if windows is None or (windows.champion, windows.last) != (champion, last.id if last else None):
            windows = self._windows[name] = Windows(engine, champion, last)
        began = last.updated if last else windows.made
        facts = Facts(waiting=waiting, seconds=now - began, found=windows.look(project))
        found = (fired(trigger, facts) for trigger in project.triggers if not isinstance(trigger, ByHand))
        firing = next((each for each in found if each is not None), None)
        if firing is None:
            self._told[name] = None, self._told.get(name, (None, -math.inf))[1]
            return None
        refused = self._refused.get(name)
        if busy is None and (refused is None or not refused.holds(waiting, now)):
            return self._follow(project, firing, waiting)
        if any(facts.found.values()):  # drift is to be known; that enough waits for the next lot is not news
            why = f"update {busy.id} is {busy.state}" if busy is not None else "too little waits for a lot"
            self._tell(name, firing, waiting, why)
        return None

    def _follow(self, project: Project, firing: Firing, waiting: int) -> updates.Update | None:
        """Queue the update that `firing` asks for, or store why that cannot be."""
        engine, name = self._engine, project.name
        try:
            row = _asked(engine, project, firing, "trigger")
        except ConflictError:  # somebody was faster
            return None
        except DataError as error:
            enough = max(project.exam.smallest_lot, math.ceil(1.1 * waiting))
            self._refused[name] = _Refused(enough, engine.clock())
            self._tell(name, firing, waiting, str(error))
            return None
        self._refused.pop(name, None)
        self._told.pop(name, None)
        return row

    def _tell(self, name: str, firing: Firing, waiting: int, why: str) -> None:
        """Store a firing that cannot be followed: once a minute at most, where more waits or it had ceased."""
        engine, now, known = self._engine, self._engine.clock(), (firing.kind, waiting)
        before, at = self._told.get(name, (None, -math.inf))
        if known == before or now - at < AGAIN:
            return
        self._told[name] = known, now
        told = firings.Firing(f"t-{uuid.uuid4().hex}", name, firing.kind, {**firing.evidence, "refused": why}, now)
        engine.write(lambda connection: firings.add(connection, told))


@dataclass(frozen=True)
class _Refused:
    """A trigger fired when too few were waiting for a lot: no use in trying before `enough` wait."""

    enough: int
    at: float

    def holds(self, waiting: int, now: float) -> bool:
        return waiting < self.enough and self.at <= now < self.at + AGAIN


def _asked(
    engine: Engine,
    project: Project,
    firing: Firing,
    actor: str,
    key: str | None = None,
    method: Mapping[str, Any] | None = None,
    again: Sequence[int] = (),
) -> updates.Update:
    """Screen what waits and take the lot in one transaction, so that nothing comes between; see `ask`.

    What was found odd goes to quarantine even where the rest is too little for a lot.
    """

    def work(connection: Connection) -> updates.Update | LifelongError:
        if not again:
            lots.screen(connection, project)
        try:
            with connection.begin_nested():
                return _enqueue(connection, project, firing, actor, key or uuid.uuid4().hex, engine, method, again)
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
    again: Sequence[int] = (),
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
    number = 1 + max([*tasks.numbers(connection, name), updates.highest_task(connection, name)])
    trigger = {"kind": firing.kind, **firing.evidence}
    if not again:
        lots.take(connection, project, number)
    else:
        trigger |= {"again": again[0], "attempt": 1 + max(attempts_at(connection, name, task) for task in again)}
        trigger |= {"merged": list(again[1:])} if len(again) > 1 else {}
        number = _again(connection, name, champion.version, again, number)
    row = updates.enqueue(connection, name, key, trigger=trigger, base_version=champion.version, now=now, method=method)
    row = updates.change(connection, row.id, expected="queued", owner=None, to="queued", now=now, task=number)
    firings.add(connection, firings.Firing(f"t-{key}", name, firing.kind, firing.evidence, now, row.id))
    detail = {"update": row.id, "task": number, "trigger": trigger, "method": method}
    audit.append(connection, at=now, project=name, actor=actor, action="update", detail=detail)
    return row


def _again(connection: Connection, name: str, champion: str, again: Sequence[int], fresh: int) -> int:
    """The number under which the lots of the tasks `again` are learned once more, together.

    It is `fresh` where they are several, or later tasks were learned since.
    """
    done, known = learned(connection, champion), known_lots(connection, name, champion)
    for task in again:
        if not updates.of_task(connection, name, task):
            raise NotFoundError(f"no update of {name!r} has learned task {task}; see the list of updates")
        if task in done:
            raise ConflictError(f"the champion has learned task {task} already; name one whose update was not promoted")
        if task in known:
            raise ConflictError(f"the lot of task {task} is known: the next updates learn it beside their own lots")
    if len(again) == 1 and again[0] > max(done):
        return again[0]
    for task in again:
        if store_lots.move(connection, name, task, fresh) == 0:
            raise ConflictError(
                f"the lot of task {task} was asked for again under a later number; see the list of updates"
            )
    return fresh
