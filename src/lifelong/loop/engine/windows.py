"""What triggers find in the windows of a champion's answers and labels, each of which is looked at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lifelong.errors import DataError, StorageError
from lifelong.loop.drift import Calibrated, calibrate, features
from lifelong.loop.engine.base import Engine, learned
from lifelong.loop.firing import drifted, fallen
from lifelong.loop.job import confidences
from lifelong.loop.lot import unpack
from lifelong.loop.project import Project
from lifelong.loop.triggers import AccuracyFall, ConfidenceDrift, InputDrift, Windowed, leaves
from lifelong.store import aliases, feedback, predictions, tasks, updates, versions

__all__ = ["Windows"]

#: a window is looked for among so many times its size: a champion must give one in twenty of all answers
WITHIN = 20

logger = logging.getLogger(__name__)


class Windows:
    """The windows of one `champion`: of what came since it became that, and since the `last` update was asked for.

    A window is full when as many answers (labels) as the trigger wants came since the one before: no two overlap, and
    the stated rate of false alarms is that of a window. What was found holds until the next window is full, so that
    `all` can join it with triggers that fire at other times. Windows are kept in memory: after a restart the first one
    may overlap the last one before.
    """

    def __init__(self, engine: Engine, champion: aliases.Alias, last: updates.Update | None) -> None:
        self.champion, self.last = champion, None if last is None else last.id
        self._engine = engine
        self._version, moves = engine.read(
            lambda connection: (
                versions.get(connection, champion.version),
                aliases.moves(connection, champion.project),
            )
        )
        self._began = max(moves[-1].at, 0.0 if last is None else last.created)
        self._ends: dict[Windowed, float] = {}  # `at` of the last answer that was looked at, `seq` of the last label
        self._found: dict[Windowed, dict[str, Any] | None] = {}
        self._references: dict[Windowed, Calibrated | None] = {}

    @property
    def made(self) -> float:
        """When the champion was made."""
        return self._version.created

    def look(self, project: Project) -> Mapping[Windowed, dict[str, Any] | None]:
        """What each trigger found in its last window, for `Facts.found`; windows that became full are looked at."""
        now = self._engine.clock()
        if self._began > now + updates.SKEW:  # the clock was set back
            self._began = now
        for trigger in leaves(project.triggers):
            if isinstance(trigger, AccuracyFall):
                self._look_at_labels(trigger)
            elif isinstance(trigger, (InputDrift, ConfidenceDrift)):
                self._look_at_answers(trigger, project, now)
        return self._found

    def _look_at_labels(self, trigger: AccuracyFall) -> None:
        champion, after = self.champion, int(self._ends.get(trigger, 0))
        rows = self._engine.read(
            lambda connection: feedback.newest_judged(
                connection,
                champion.project,
                champion.version,
                limit=trigger.window,
                within=WITHIN * trigger.window,
                after=after,
            )
        )
        rows = [row for row in rows if row.received > self._began]  # a version may be the champion twice
        if len(rows) < trigger.window:
            return
        accuracy = float(np.mean(list(self._version.exam_row["accuracy"].values())))
        self._found[trigger] = fallen(trigger, [row.output == row.label for row in reversed(rows)], accuracy)
        self._ends[trigger] = rows[0].seq

    def _look_at_answers(self, trigger: InputDrift | ConfidenceDrift, project: Project, now: float) -> None:
        champion, until = self.champion, now + updates.SKEW
        after = self._ends.get(trigger, self._began)
        if after > until:  # the clock was set back
            after = self._ends[trigger] = now
        rows = self._engine.read(
            lambda connection: predictions.newest(
                connection,
                champion.project,
                champion.version,
                count=trigger.window,
                within=WITHIN * trigger.window,
                after=after,
                until=until,
            )
        )
        if not rows:
            return
        self._ends[trigger] = rows[0].at
        reference = self._reference(trigger, project)
        if reference is None:
            return
        if isinstance(trigger, InputDrift):
            values = features(np.array([row.x for row in reversed(rows)]), project.seed)
        else:
            values = np.array([row.confidence for row in reversed(rows)])
        self._found[trigger] = drifted(trigger, values, reference)

    def _reference(self, trigger: InputDrift | ConfidenceDrift, project: Project) -> Calibrated | None:
        """What windows are compared with; None, with a line in the log, where there is too little or it is damaged."""
        if trigger in self._references:
            return self._references[trigger]
        found = None
        try:
            found = calibrate(self._before(trigger, project), trigger.window, trigger.false_alarm, project.seed)
        except StorageError as error:
            logger.warning("project %r: no %s is looked for: %s", project.name, trigger.kind, error)
            return None  # the blob may be restored before the next window is full
        except DataError as error:
            logger.warning("project %r: no %s can be looked for: %s", project.name, trigger.kind, error)
        self._references[trigger] = found
        return found

    def _before(self, trigger: InputDrift | ConfidenceDrift, project: Project) -> Sequence[object]:
        """Of each task inputs that the champion learned from, as features; or its confidences at the exam."""
        if isinstance(trigger, ConfidenceDrift):
            return confidences(self._engine.blobs.get(self._version.exam_row["answers"]))
        names = self._engine.read(
            lambda connection: [
                tasks.get(connection, project.name, number).train_blob
                for number in learned(connection, self._version.id)
            ]
        )
        return [features(unpack(self._engine.blobs.get(name))[0], project.seed) for name in names]
