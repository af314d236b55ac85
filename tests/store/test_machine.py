"""Feedback and the champion against a model in plain Python: whatever order things happen in, both agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lifelong.errors import ConflictError
from lifelong.store import aliases, audit, feedback, ingest, lots, projects, review, tables, versions
from lifelong.store.ingest import NewFeedback, Receipt
from lifelong.store.predictions import Prediction
from lifelong.store.sqlite import sqlite_engine

KEYS = st.sampled_from([f"k{number}" for number in range(12)])
PREDICTIONS = st.sampled_from(["p0", "p1", "p2"])


@dataclass
class Row:
    """What the model knows of a row."""

    content: tuple[Any, ...]
    thread: str
    source: str
    state: str
    doubt: bool
    task: int | None = None
    reviewed: bool = False

    @property
    def label(self) -> object:
        return self.content[1]

    def speaks_for(self, earlier: Row) -> bool:
        """Whether this row, which came later in the thread and was accepted, supersedes `earlier`."""
        said_on_purpose = self.content[2] is not None or self.reviewed
        return said_on_purpose or self.source == earlier.source or self.label == earlier.label


class Life(RuleBasedStateMachine):
    """One project in a database in memory, beside dictionaries and lists."""

    @initialize()
    def begin(self) -> None:
        self.engine = sqlite_engine(None, begin="BEGIN", connections=1)
        self.connection = self.engine.connect()
        tables.metadata.create_all(self.connection)
        projects.add(self.connection, projects.Project("digits", {}, 1.0))
        self.rows: dict[str, Row] = {}  # by key, in the order in which they came
        self.predictions: set[str] = set()
        self.lots: dict[int, list[str]] = {}
        self.versions = [
            versions.add(
                self.connection,
                versions.NewVersion(project="digits", parent=None, blob=blob, settings={}, task=1, exam_row=[]),
                now=1.0,
            ).id
            for blob in "abc"
        ]
        self.champions: list[str] = []

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.connection.close()
            self.engine.dispose()

    def settle(self, thread: str) -> None:
        """The rule of threads, said once more and differently: walk from the first to the latest."""
        rows = [row for row in self.rows.values() if row.thread == thread]
        standing = [row.state in {"accepted", "used"} for row in rows]
        for place, row in enumerate(rows):
            later = (each for each, stood in zip(rows[place + 1 :], standing[place + 1 :], strict=True) if stood)
            if row.state in {"pending", "quarantined", "accepted"} and any(each.speaks_for(row) for each in later):
                row.state = "superseded"

    def take_in(self, rows: list[NewFeedback]) -> list[str]:
        """What is to be answered to each."""
        answers: list[str] = []
        touched: set[str] = set()
        for row in rows:
            content = (row.prediction, row.label, row.supersedes)
            if (known := self.rows.get(row.key)) is not None:
                answers.append("duplicate" if known.content == content else "conflict")
                continue
            thread = row.prediction or feedback.feedback_id("digits", row.key)
            if row.supersedes is not None:
                thread = next(
                    each.thread
                    for key, each in self.rows.items()
                    if feedback.feedback_id("digits", key) == row.supersedes
                )
            waits = row.prediction is not None and row.prediction not in self.predictions
            state = "pending" if waits else "quarantined" if row.doubt else "accepted"
            self.rows[row.key] = Row(content, thread, row.source, state, row.doubt is not None, None, bool(row.doubt))
            touched.add(thread)
            answers.append(state)
        for thread in touched:
            self.settle(thread)
        return answers

    def send(self, rows: list[NewFeedback]) -> None:
        outcomes = ingest.add_many(self.connection, rows)
        found = [
            "conflict" if not isinstance(each, Receipt) else "duplicate" if each.duplicate else each.state
            for each in outcomes
        ]
        assert found == self.take_in(rows)

    @rule(
        key=KEYS,
        label=st.integers(0, 2),
        prediction=st.none() | PREDICTIONS,
        source=st.sampled_from(["ann", "bob"]),
        doubt=st.none() | st.just("odd"),
    )
    def label_one(self, key: str, label: int, prediction: str | None, source: str, doubt: str | None) -> None:
        x = [0.5] if prediction is None else None
        row = NewFeedback(
            project="digits", key=key, label=label, received=1, prediction=prediction, x=x, source=source, doubt=doubt
        )
        self.send([row])

    @rule(
        said=st.lists(st.tuples(KEYS, st.integers(0, 2), st.sampled_from(["ann", "bob"])), max_size=4),
        prediction=PREDICTIONS,
    )
    def label_many(self, said: list[tuple[str, int, str]], prediction: str) -> None:
        self.send(
            [
                NewFeedback(project="digits", key=key, label=label, received=1, prediction=prediction, source=source)
                for key, label, source in said
            ]
        )

    @rule(key=KEYS, which=st.integers(0, 20))
    def correct(self, key: str, which: int) -> None:
        if not self.rows or key in self.rows:
            return
        corrected = list(self.rows)[which % len(self.rows)]
        name = feedback.feedback_id("digits", corrected)
        prediction = self.rows[corrected].content[0]
        row = NewFeedback(project="digits", key=key, label=3, received=1, prediction=prediction, x=[1], supersedes=name)
        self.send([row])

    @rule(prediction=PREDICTIONS)
    def predict(self, prediction: str) -> None:
        review.log(self.connection, [Prediction(prediction, "digits", "v", "champion", [1], 1, 0.5, 1.0)])
        if prediction not in self.predictions:
            self.predictions.add(prediction)
            for row in self.rows.values():
                if row.thread == prediction and row.state == "pending":
                    row.state = "quarantined" if row.doubt else "accepted"
            self.settle(prediction)

    @rule(key=KEYS, act=st.sampled_from(["accept", "refuse", "quarantine"]))
    def decide(self, key: str, act: str) -> None:
        if key not in self.rows:
            return
        row, name = self.rows[key], feedback.feedback_id("digits", key)
        before, to = {
            "accept": ("quarantined", "accepted"),
            "refuse": ("quarantined", "refused"),
            "quarantine": ("accepted", "quarantined"),
        }[act]
        try:
            if act == "accept":
                review.accept(self.connection, name)
            elif act == "refuse":
                review.refuse(self.connection, name, "no")
            else:
                review.quarantine(self.connection, name, "odd")
        except ConflictError:
            assert row.state not in {before, to}
            return
        assert row.state in {before, to}
        row.reviewed = row.reviewed or (act == "quarantine" and row.state == before)  # once accepted, by a person
        row.state = to
        if act == "accept":
            self.settle(row.thread)

    @rule(limit=st.none() | st.integers(1, 3), again=st.booleans())
    def take(self, limit: int | None, again: bool) -> None:
        task = len(self.lots) if again and self.lots else len(self.lots) + 1
        lot = [row.id for row in lots.take(self.connection, "digits", task, limit=limit)]
        if task in self.lots:
            assert lot == self.lots[task]
            return
        chosen = [key for key, row in self.rows.items() if row.state == "accepted"][:limit]
        for key in chosen:
            self.rows[key] = replace(self.rows[key], state="used", task=task)
        assert lot == [feedback.feedback_id("digits", key) for key in chosen]
        if lot:
            self.lots[task] = lot

    @rule(which=st.integers(0, 2), behind=st.integers(-1, 1))
    def promote(self, which: int, behind: int) -> None:
        expected = len(self.champions) - behind
        try:
            aliases.move(
                self.connection, "digits", expected_revision=expected, version=self.versions[which], actor="a",
                reason="r", now=1.0,
            )  # fmt: skip
        except ConflictError as error:
            told = str(error)
        else:
            told = ""
            self.champions.append(self.versions[which])
        assert bool(told) == (behind != 0)
        assert not told or not self.champions or f"at revision {len(self.champions)}" in told

    @invariant()
    def both_agree(self) -> None:
        if not hasattr(self, "engine"):
            return
        stored = feedback.listed(self.connection, "digits")
        assert [(row.key, row.state, row.task, row.thread) for row in stored] == [
            (key, row.state, row.task, row.thread) for key, row in self.rows.items()
        ]
        standing = [row for row in stored if row.state == "accepted"]
        for said in ("source", "label"):
            assert len({(row.thread, getattr(row, said)) for row in standing}) == len(standing), said
        champion = aliases.get(self.connection, "digits")
        assert (champion.version if champion else None) == (self.champions[-1] if self.champions else None)
        assert [move.version for move in aliases.moves(self.connection, "digits")] == self.champions
        assert audit.verify(self.connection) == []


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
