"""Feedback as it comes in: checked against the project, judged, and stored; acknowledged means durable."""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec
import numpy as np

from lifelong.errors import DataError, LifelongError, StorageError
from lifelong.loop.engine.base import Engine, project_of
from lifelong.loop.engine.recent import Recent
from lifelong.loop.lot import unpack
from lifelong.loop.project import Project
from lifelong.loop.quarantine import Example, Known, Normal, judge
from lifelong.loop.schema import Inputs
from lifelong.store import feedback, ingest, predictions, tasks
from lifelong.store.database import Connection

__all__ = ["Given", "Intake"]

#: seconds until known inputs that could not be read are looked for again
AGAIN = 60.0

logger = logging.getLogger(__name__)


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """One label as a client sends it: for a prediction, or with its own input `x`. `key` is its name for it.

    `source` is who labelled, as the client says; `actor` who sent it, which the client cannot choose: its API key.
    `x` may be left as the JSON that came, a `msgspec.Raw`: many are read together, and stored as they are.
    """

    key: str
    label: Any
    prediction_id: str | None = None
    x: Any = None
    source: str = ""
    actor: str = ""
    supersedes: str | None = None


class Intake:
    """Judges and stores feedback; it remembers who sent how much lately, and what inputs are like."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._recent: dict[tuple[str, str], Recent] = defaultdict(Recent)  # project, and whether by actor or source
        self._projects: dict[str, tuple[float, Project, Normal | None]] = {}  # with the time until which it holds
        # project → its tasks, until when that holds, and what is usual for their inputs
        self._normal: dict[str, tuple[tuple[int, ...], float, Normal | None]] = {}

    def add(self, name: str, given: Given) -> Future[ingest.Receipt]:
        """Store one label; the future answers when it is durable.

        It raises: `NotFoundError` for the project; `DataError` for what could never be learned; `ConflictError` for a
        key that is taken.
        """
        judged = self._judged(name, [given])

        def work(connection: Connection) -> ingest.Receipt:
            (outcome,) = judged(connection)
            if isinstance(outcome, LifelongError):
                raise outcome
            return outcome

        return self._engine.store.write(work)

    def take(self, name: str, many: Sequence[Given]) -> Future[list[ingest.Receipt | LifelongError]]:
        """Store a few labels; the future answers when they are durable: for each its receipt, or what is wrong with it.

        They are judged in the store's thread, as every change of threads takes as long as judging and storing one.
        """
        return self._engine.store.write(self._judged(name, many))

    def add_many(self, name: str, many: Sequence[Given]) -> list[ingest.Receipt | LifelongError]:
        """Store many labels, judged in this thread, and return when they are durable: like `take`."""
        rows = [_prepared(row) for row in self.rows(name, many)]
        return self._engine.write(lambda connection: ingest.add_prepared(connection, rows))

    def ready(self, name: str) -> bool:
        """Whether labels of project `name` can be judged without a look at the store first."""
        known = self._projects.get(name)
        return known is not None and time.monotonic() <= known[0]

    def prepare(self, name: str) -> None:
        """Look at the project, which may take a while after a task was learned. Raises: `NotFoundError`."""
        self._known(name)

    def _judged(self, name: str, many: Sequence[Given]) -> Callable[[Connection], list[ingest.Receipt | LifelongError]]:
        rows: list[ingest.Prepared | LifelongError] = []

        def work(connection: Connection) -> list[ingest.Receipt | LifelongError]:
            if not rows:  # a work may run again, and what a source sent is counted
                rows.extend(map(_prepared, self.rows(name, many)))
            return ingest.add_prepared(connection, rows)

        return work

    def rows(self, name: str, many: Sequence[Given]) -> list[ingest.NewFeedback | LifelongError]:
        """What is to be stored for each label, or what is wrong with it. Raises: `NotFoundError` for the project."""
        now = self._engine.clock()
        project, normal = self._known(name)
        outputs = [_output(project, given) for given in many]
        inputs = _inputs(project, many)
        answers = self._answers(project, many)
        usual = _usual(normal, inputs)
        rows: list[ingest.NewFeedback | LifelongError] = []
        for place, (given, label) in enumerate(zip(many, outputs, strict=True)):
            x = inputs.get(place)
            if isinstance(label, DataError):
                rows.append(label)
                continue
            if isinstance(x, DataError):
                rows.append(x)
                continue
            answer = answers.get(given.prediction_id or "")
            recent, sent = self._sent(project, given, now)
            if recent == sent == 0 and answer is None and (x is None or place in usual):  # no rule doubts it
                rows.append(_row(project, given, label, x, None, now))
                continue
            seen = answer.x if x is None and answer is not None else x
            looked = None if seen is None or place in usual else normal
            known = Known(recent=recent, normal=looked, sent=sent, sender=given.actor)
            rows.append(_row(project, given, label, x, _doubt(project, given, label, seen, answer, known), now))
        return rows

    def judge(self, row: feedback.Feedback, answer: predictions.Prediction) -> str | None:
        """Why a label whose prediction came later should wait for a person, or None; for `review.log`."""
        project, normal = self._known(row.project)
        example = Example(answer.x, row.label, row.source, answer.output, answer.confidence)
        found = judge(project.rules, example, project.output(row.label), Known(normal=normal))
        return None if found is None else found.reason

    def _answers(self, project: Project, many: Sequence[Given]) -> dict[str, predictions.Prediction]:
        """The predictions that are labelled, as far as they are stored and a rule looks at them."""
        named = [given.prediction_id for given in many if given.prediction_id is not None]
        ids = [name for name in named if name.isprintable()]  # no database is asked for what it cannot hold
        if not ids or (project.rules.contradicts >= 1 and project.rules.outlier == 0):
            return {}
        return self._engine.read(lambda connection: predictions.among(connection, ids))

    def _sent(self, project: Project, given: Given, now: float) -> tuple[int, int]:
        """How much the source of a label, and who sent it, sent within the seconds of the rules; it is counted.

        Sources are named by clients: a sender with another source for each label is one sender.
        """
        rules, counts = project.rules, [0, 0]
        if rules.rate == rules.sender_rate == 0:
            return 0, 0
        kinds = (("sender", given.actor, rules.sender_rate), ("source", given.source, rules.rate))
        for place, (kind, name, most) in enumerate(kinds):
            if most > 0:
                recent = self._recent[project.name, kind]
                counts[place] = recent.count(name, now, most=most, seconds=rules.seconds)
                if counts[place] >= most:  # it waits already, and no other name that it brought is to be remembered
                    break
        return counts[1], counts[0]

    def _known(self, name: str) -> tuple[Project, Normal | None]:
        """The project, and what its inputs are usually like where a rule asks; a second old at most."""
        known = self._projects.get(name)
        if known is None or time.monotonic() > known[0]:
            known = self._projects[name] = (time.monotonic() + 1, *self._looked_up(name))
        return known[1], known[2]

    def _looked_up(self, name: str) -> tuple[Project, Normal | None]:
        project, numbers = self._engine.read(
            lambda connection: (project_of(connection, name), tasks.numbers(connection, name))
        )
        if project.rules.outlier == 0:
            return project, None
        known, now = self._normal.get(name), time.monotonic()
        if known is None or known[0] != numbers or now > known[1]:
            holds = math.inf
            try:
                normal = self._usual_inputs(project)
            except StorageError as error:  # a label is worth more than a doubt about it
                logger.warning("project %r: feedback is taken without a look for outliers: %s", name, error)
                normal, holds = None, now + AGAIN
            known = self._normal[name] = (numbers, holds, normal)
        return project, known[2]

    def _usual_inputs(self, project: Project) -> Normal | None:
        """What the inputs of all tasks are like, where there are enough. Raises: `StorageError`."""
        rows = self._engine.read(lambda connection: tasks.listed(connection, project.name))
        inputs = [unpack(self._engine.blobs.get(row.train_blob))[0] for row in rows]
        x = np.concatenate(inputs) if inputs else np.zeros((0, *project.input.shape), dtype=np.float32)
        return Normal.of(x, project.rules.outlier) if len(x) >= 20 else None


def _prepared(row: ingest.NewFeedback | LifelongError) -> ingest.Prepared | LifelongError:
    return ingest.prepare(row) if isinstance(row, ingest.NewFeedback) else row


def _output(project: Project, given: Given) -> int | DataError:
    """The output that is meant, or what is wrong with it."""
    if given.prediction_id is None and given.x is None:
        return DataError(f"feedback {given.key!r} should name a prediction_id or bring x; it does neither")
    try:
        return project.output(given.label)
    except DataError as error:
        return error


def _inputs(project: Project, many: Sequence[Given]) -> dict[int, Inputs | DataError]:
    """By place, the inputs that were sent, or what is wrong with them."""
    texts = [place for place, given in enumerate(many) if isinstance(given.x, msgspec.Raw)]
    found = dict(zip(texts, project.input.read_each([many[place].x for place in texts]), strict=True)) if texts else {}
    values = [place for place, given in enumerate(many) if given.x is not None and place not in found]
    return found | dict(zip(values, project.input.check_each([many[place].x for place in values]), strict=True))


def _usual(normal: Normal | None, inputs: Mapping[int, Inputs | DataError]) -> set[int]:
    """The places of inputs that are like known ones: most are, and need no closer look."""
    good = {place: x for place, x in inputs.items() if not isinstance(x, DataError)}
    if normal is None or not good:
        return set(good)
    fits = normal.usual(np.stack(list(good.values())))
    return {place for place, fit in zip(good, fits, strict=True) if fit}


def _doubt(
    project: Project, given: Given, label: int, seen: object, answer: predictions.Prediction | None, known: Known
) -> str | None:
    """Why a person should look first."""
    output, confidence = (None, None) if answer is None else (answer.output, answer.confidence)
    found = judge(project.rules, Example(seen, label, given.source, output, confidence), label, known)
    return None if found is None else found.reason


def _row(
    project: Project, given: Given, label: int, x: Inputs | None, doubt: str | None, now: float
) -> ingest.NewFeedback:
    return ingest.NewFeedback(
        project=project.name,
        key=given.key,
        label=label,
        received=now,
        prediction=given.prediction_id,
        x=given.x if x is None or isinstance(given.x, msgspec.Raw) else x.tolist(),
        source=given.source,
        doubt=doubt,
        supersedes=given.supersedes,
    )
