"""The watch over triggers: windows that do not overlap, the champion's rows alone, firings that come to nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace as with_changes
from sqlalchemy import Connection, event

from lifelong.errors import SettingError
from lifelong.loop.engine import Engine, asking, deciding
from lifelong.loop.engine.begin import begin
from lifelong.loop.engine.intake import Given, Intake
from lifelong.loop.engine.worker import Worker
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import Gate, LearnerSettings, Project, to_json
from lifelong.loop.quarantine import Rules
from lifelong.loop.schema import InputSchema
from lifelong.loop.triggers import AccuracyFall, AllOf, Amount, ConfidenceDrift, InputDrift, Trigger
from lifelong.store import aliases, feedback, firings, ingest, predictions, projects, review, tasks, updates, versions
from lifelong.store.blobs import FolderBlobs
from lifelong.store.database import open_store
from lifelong.training import Training
from lifelong.types import Task

PAINT = Project(
    "paint",
    InputSchema((3,), 0, 1),
    ("red", "green", "blue"),
    learner=LearnerSettings("linear", training=Training(epochs=5, lr=0.5)),
    gate=Gate(max_forgetting=0.1),
    exam=ExamSettings(0.3, minimum=40),
    rules=Rules(rate=0, outlier=0, suspicion=0),
)
FAR = [0.99, 0.98, 0.97]


def colours(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed))
    return x, x.argmax(1)


@dataclass
class Life:
    """A project `paint` (more, where named) whose users ask and label; time goes on by a millisecond a look."""

    engine: Engine
    home: Path
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    @property
    def champion(self) -> str:
        found = self.engine.read(lambda connection: aliases.get(connection, "paint"))
        assert found is not None
        return found.version

    def triggers(self, *triggers: Trigger, **changes: Any) -> asking.Watch:
        config = json.loads(to_json(replace(PAINT, triggers=triggers, **changes)))
        self.engine.write(lambda connection: projects.configure(connection, "paint", config))
        return asking.Watch(self.engine)

    def ask(self, xs: Sequence[Any], variant: str = "champion", version: str | None = None) -> list[str]:
        rows = [
            predictions.Prediction(
                f"p{next(self.numbers)}", "paint", version or self.champion, variant, x, 0, 0.9, self.engine.clock()
            )
            for x in xs
        ]
        self.engine.write(lambda connection: review.log(connection, rows))
        return [row.id for row in rows]

    def judge(self, right: Sequence[bool], **asked: Any) -> None:
        """Ask and label the answers, so that the champion was right or wrong."""
        ids = self.ask(colours(len(right), next(self.numbers))[0].tolist(), **asked)
        rows = [
            ingest.NewFeedback(
                project="paint", key=each, label=int(not good), received=self.engine.clock(), prediction=each
            )
            for each, good in zip(ids, right, strict=True)
        ]
        self.engine.write(lambda connection: ingest.add_many(connection, rows))

    def judged_before(self, count: int) -> None:
        """So many right answers, whose labels are in an earlier lot."""
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
        values = f"'o' || i, 'paint', '{self.champion}', 'champion', '[0.9,0.1,0.1]', 0, 0.9, {self.engine.clock()}"
        answers = f"INSERT INTO prediction (id, project, version, variant, x, output, confidence, at) {numbers}"
        values_of_labels = f"'f' || i, 'paint', 'o' || i, 'f' || i, 'o' || i, '0', '', {self.engine.clock()}, 'used', 1"
        columns = "id, project, key, thread, prediction, label, source, received, state, task"
        labels = f"INSERT INTO feedback ({columns}) {numbers}"

        def work(connection: Connection) -> None:
            connection.exec_driver_sql(f"{answers} SELECT {values} FROM n")
            connection.exec_driver_sql(f"{labels} SELECT {values_of_labels} FROM n")

        self.engine.write(work)

    def feed(self, count: int, name: str = "paint") -> None:
        """Labelled examples, which judge no answer."""
        x, y = colours(count, 3)
        rows = [
            ingest.NewFeedback(
                project=name, key=f"k{next(self.numbers)}", label=int(label), received=self.engine.clock(), x=each
            )
            for each, label in zip(x.tolist(), y.tolist(), strict=True)
        ]
        self.engine.write(lambda connection: ingest.add_many(connection, rows))

    def fired(self) -> list[firings.Firing]:
        return self.engine.read(lambda connection: firings.listed(connection, "paint", limit=1000))

    def cancel(self, row: updates.Update) -> None:
        deciding.cancel(self.engine, "paint", row.id, actor="ann", reason="on with it")

    def damage(self, name: str = "paint") -> Callable[[], object]:
        """Damage what task 1 of a project was learned from; returns what mends it."""
        row = self.engine.read(lambda connection: tasks.get(connection, name, 1))
        path = self.home / "blobs" / row.train_blob
        whole = path.read_bytes()
        path.write_bytes(b"damaged")
        return lambda: path.write_bytes(whole)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture(params=["sqlite", "postgres"])
def life(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path, None if request.param == "sqlite" else request.getfixturevalue("database")) as life:
        yield life


@contextmanager
def living(home: Path, database: str | None) -> Iterator[Life]:
    """A life that has begun."""
    with open_store(home, database) as store:
        engine = Engine(store, FolderBlobs(home / "blobs"), Clock())
        begin(engine, PAINT, [first_task()], actor="ann")
        yield Life(engine, home)


def first_task() -> Task:
    return Task.of(1, train=colours(600, 0), test=colours(200, 1))


def test_a_fall_of_accuracy_is_seen_after_very_many_labels(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = life.triggers(AccuracyFall(window=20))
    life.judged_before(100_000)
    assert watch.look("paint") is None
    life.judge([False] * 200)
    read, judged = list[Any](), feedback.Judged
    monkeypatch.setattr(feedback, "Judged", lambda *row: read.append(row) or judged(*row))
    queued = watch.look("paint")
    assert queued is not None
    assert queued.trigger["kind"] == "accuracy-fall"
    assert queued.trigger["right"] == 0
    assert len(read) == 20, "no more than the window is read"


def test_other_variants_and_versions_fill_no_window(life: Life) -> None:
    watch = life.triggers(InputDrift(50), AccuracyFall(50))
    life.feed(200)
    for variant, version in (("shadow", None), ("canary", "v2"), ("champion", "v2")):
        life.ask([FAR] * 60, variant=variant, version=version)
        life.judge([False] * 60, variant=variant, version=version)
    assert watch.look("paint") is None
    assert not life.fired()


def test_drift_is_seen_while_a_canary_and_a_shadow_answer_too(life: Life) -> None:
    watch = life.triggers(InputDrift(50))
    life.feed(200)
    for _ in range(50):
        life.ask([FAR])
        for variant in ("shadow", "canary"):
            life.ask([FAR], variant=variant, version="v2")
    queued = watch.look("paint")
    assert queued is not None
    assert queued.trigger["kind"] == "input-drift"


def test_windows_fire_for_nothing_as_rarely_as_stated(tmp_path: Path) -> None:
    window, windows, alarm = 20, 120, 0.1
    generator, alarms = np.random.default_rng(0), 0
    with living(tmp_path, None) as life:
        watch = life.triggers(InputDrift(window, alarm))
        life.feed(150)
        for _ in range(4 * windows):  # four looks in each window, as a watch looks about every second
            life.ask(generator.random((window // 4, 3)).tolist())
            row = watch.look("paint")
            if row is not None:
                alarms += 1
                life.cancel(row)
                life.feed(150)
    assert 0.03 <= alarms / windows <= 0.17, f"{alarms} of {windows} windows"


def test_labels_are_looked_at_once_per_window(life: Life) -> None:
    watch = life.triggers(AccuracyFall(window=20, confidence=0.99))
    life.feed(150)
    life.judge([True] * 20)
    assert watch.look("paint") is None
    for _ in range(19):
        life.judge([False])
        assert watch.look("paint") is None, "this window is not full"
    life.judge([False])
    queued = watch.look("paint")
    assert queued is not None
    assert (queued.trigger["right"], queued.trigger["of"]) == (0, 20)
    life.cancel(queued)
    life.feed(150)
    assert watch.look("paint") is None, "these labels have had their update"
    assert asking.Watch(life.engine).look("paint") is None, "after a restart, too"
    life.judge([False] * 20)
    assert watch.look("paint") is not None


@pytest.mark.parametrize("kind", [InputDrift, ConfidenceDrift])
def test_drift_is_told_also_where_no_label_waits(life: Life, kind: type[InputDrift | ConfidenceDrift]) -> None:
    watch = life.triggers(kind(20))
    life.ask([FAR] * 20)
    assert watch.look("paint") is None
    (firing,) = life.fired()
    assert (firing.kind, firing.update_id) == (kind.kind, None)
    assert "a lot of 0 examples" in firing.evidence["refused"]
    life.ask([FAR] * 20)
    life.engine.clock.now += asking.AGAIN  # pyrefly: ignore
    assert watch.look("paint") is None
    assert len(life.fired()) == 1, "it is known"
    life.feed(150)
    queued = watch.look("paint")
    assert queued is not None, "enough wait now"
    life.ask([FAR] * 20)
    assert watch.look("paint") is None
    assert len(life.fired()) == 3, "also while an update is under way"
    assert life.fired()[0].evidence["refused"] == f"update {queued.id} is queued"
    for _ in range(3):
        life.ask([FAR] * 20)
        assert watch.look("paint") is None
    assert len(life.fired()) == 3, "once a minute at most"


def test_what_a_window_showed_holds_until_the_next_one_is_full(life: Life) -> None:
    watch = life.triggers(AllOf((Amount(300), InputDrift(20))))
    life.feed(150)
    life.ask([FAR] * 20)
    assert watch.look("paint") is None, "too few wait"
    life.ask([FAR] * 5)
    life.feed(150)
    queued = watch.look("paint")
    assert queued is not None
    assert [each["kind"] for each in queued.trigger["of"]] == ["amount", "input-drift"]
    life.cancel(queued)
    life.ask([FAR] * 20)
    life.feed(150)
    assert watch.look("paint") is None, "too few wait"
    life.ask(colours(20, 9)[0].tolist())
    assert watch.look("paint") is None
    life.feed(150)
    assert watch.look("paint") is None, "the later window showed no drift"


def test_a_new_champion_begins_with_an_empty_window(life: Life) -> None:
    watch, engine = life.triggers(InputDrift(20), AccuracyFall(20)), life.engine
    life.feed(150)
    life.ask([FAR] * 19)
    life.judge([False] * 19)
    assert watch.look("paint") is None
    one = engine.read(lambda connection: versions.listed(connection, "paint"))[0]
    other = with_changes(one.content(), parent=one.id)
    engine.write(lambda connection: versions.add(connection, other, engine.clock()))
    for number in "21":
        deciding.promote(engine, "paint", number, actor="ann", reason="a change and back")
    life.judge([False])
    assert watch.look("paint") is None, "what came before it was champion again is not counted"
    assert asking.Watch(engine).look("paint") is None
    life.judge([False] * 19)
    assert watch.look("paint") is not None


def test_a_clock_that_was_set_back_stops_no_trigger(life: Life) -> None:
    watch = life.triggers(InputDrift(20), AccuracyFall(20))
    life.feed(150)
    assert watch.look("paint") is None
    life.engine.clock.now -= 500  # pyrefly: ignore
    assert watch.look("paint") is None
    life.ask([FAR] * 20)
    queued = watch.look("paint")
    assert queued is not None
    life.cancel(queued)
    life.feed(150)
    life.engine.clock.now -= 100  # pyrefly: ignore
    assert watch.look("paint") is None
    life.judge([False] * 20)
    assert watch.look("paint") is not None


def test_a_trigger_that_fires_in_vain_says_so_and_waits(life: Life) -> None:
    watch = life.triggers(Amount(50))
    life.feed(60)
    assert watch.look("paint") is None
    (firing,) = life.fired()
    assert (firing.kind, firing.update_id, firing.evidence["waiting"]) == ("amount", None, 60)
    assert "expected 40 or more; wait for about 134 examples" in firing.evidence["refused"]
    writes: list[Any] = []
    event.listen(life.engine.store._backend.writing, "before_cursor_execute", lambda *sent: writes.append(sent[2]))
    for _ in range(5):
        assert watch.look("paint") is None
    life.feed(10)
    del writes[:]
    assert watch.look("paint") is None, "still far too few"
    assert not writes, "nothing is tried"
    life.engine.clock.now += asking.AGAIN  # pyrefly: ignore
    assert watch.look("paint") is None
    assert writes, "a minute later it is"
    assert [each.evidence["waiting"] for each in life.fired()] == [70, 60]
    life.engine.clock.now += asking.AGAIN  # pyrefly: ignore
    assert watch.look("paint") is None
    assert len(life.fired()) == 2, "what is known already is not told again"
    life.feed(90)
    queued = watch.look("paint")
    assert queued is not None, "enough wait: no need for a minute to go by"
    assert life.fired()[0].update_id == queued.id


def test_triggers_that_fire_before_enough_wait_are_refused_where_a_project_is_made(life: Life) -> None:
    early = replace(PAINT, name="early", triggers=(AllOf((Amount(100), InputDrift())),))
    with pytest.raises(SettingError, match=r"needs lots of about 134, but the trigger Amount\(n=100\) fires before"):
        begin(life.engine, early, [first_task()], actor="ann")
    never = replace(PAINT, name="never", exam=ExamSettings(0.01, minimum=60))
    with pytest.raises(SettingError, match="needs lots of about 6000, and a lot has 5000 examples at most"):
        begin(life.engine, never, [first_task()], actor="ann")
    begin(life.engine, replace(early, triggers=(Amount(134),)), [first_task()], actor="ann")


def test_a_damaged_blob_stops_drift_alone_until_it_is_mended(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    watch, mend = life.triggers(InputDrift(20), Amount(200)), life.damage()
    life.feed(150)
    life.ask([FAR] * 20)
    with caplog.at_level(logging.WARNING, "lifelong"):
        assert watch.look("paint") is None
        assert watch.look("paint") is None
    assert [record.getMessage()[:51] for record in caplog.records] == [
        "project 'paint': no input-drift is looked for: blob"
    ]
    life.feed(50)
    queued = watch.look("paint")
    assert queued is not None
    assert queued.trigger["kind"] == "amount"
    life.cancel(queued)
    mend()
    life.feed(150)
    life.ask([FAR] * 20)
    queued = watch.look("paint")
    assert queued is not None
    assert queued.trigger["kind"] == "input-drift"


def test_a_project_in_trouble_leaves_the_others_alone(life: Life, caplog: pytest.LogCaptureFixture) -> None:
    engine = life.engine
    begin(engine, replace(PAINT, name="a-first", triggers=(Amount(134),)), [first_task()], actor="ann")
    life.triggers(Amount(134))
    life.feed(200, "a-first")
    good = engine.read(lambda connection: projects.get(connection, "a-first")).config
    bad = {**good, "exam": {"minimum": "many"}}
    engine.write(lambda connection: projects.configure(connection, "a-first", bad))
    worker = Worker(engine, life.home / "work", lambda name: None, alone=True, learns=False)
    worker.look()
    life.feed(200)
    worker.look()
    assert len(engine.read(lambda connection: updates.listed(connection, "paint"))) == 1
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert told == ["project 'a-first': ask_triggers failed, and is tried again"], "once"
    engine.write(lambda connection: projects.configure(connection, "a-first", good))
    worker.look()
    assert len(engine.read(lambda connection: updates.listed(connection, "a-first"))) == 1


def test_feedback_is_taken_where_known_inputs_are_damaged(
    life: Life, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    life.triggers(Amount(200), rules=Rules(outlier=0.5))
    odd = [{"key": str(number), "label": 1, "x": [1.0, 1.0, 1.0]} for number in range(3)]
    mend, intake = life.damage(), Intake(life.engine)
    assert intake.add("paint", Given(**odd[0])).result().state == "accepted"
    (warned,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warned.startswith("project 'paint': feedback is taken without a look for outliers: blob")
    mend()
    now = [0.0]
    monkeypatch.setattr("lifelong.loop.engine.intake.time.monotonic", lambda: now[0] + 10**6)
    assert intake.add("paint", Given(**odd[1])).result().state == "quarantined"
    reads = reading(monkeypatch)
    for _ in range(3):
        now[0] += 2
        intake.prepare("paint")
    assert not reads, "tasks that are known are not read again"
    assert Intake(life.engine).add("paint", Given(**odd[2])).result().state == "quarantined"
    assert reads


def reading(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The projects whose tasks are read from now on."""
    found, listed = list[str](), tasks.listed
    monkeypatch.setattr(tasks, "listed", lambda connection, name: found.append(name) or listed(connection, name))
    return found
