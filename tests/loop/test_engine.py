"""The loop over a store, without a server: version 1, feedback, updates, the gate, going back; crashes between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lifelong.errors import ConflictError, DataError, StorageError
from lifelong.loop import exam, learning
from lifelong.loop.engine import Engine, asking, deciding, lots, status, work
from lifelong.loop.engine.begin import begin
from lifelong.loop.engine.intake import Given, Intake
from lifelong.loop.engine.worker import Worker
from lifelong.loop.gate import Gate
from lifelong.loop.job import Job, pack_answers
from lifelong.loop.lot import ExamSettings, unpack
from lifelong.loop.project import LearnerSettings, MethodChoice, Project, from_json, to_json
from lifelong.loop.quarantine import Rules
from lifelong.loop.schema import InputSchema
from lifelong.loop.triggers import Amount, InputDrift
from lifelong.store import aliases, audit, feedback, firings, ingest, predictions, projects, tasks, updates, versions
from lifelong.store.blobs import FolderBlobs
from lifelong.store.errors import NotFoundError
from lifelong.streams.sources import digits
from lifelong.streams.transforms import rotate
from lifelong.training import Training
from lifelong.types import Task

from ..places import Place, Places

PROJECT = Project(
    "digits",
    InputSchema((1, 8, 8), 0, 1),
    tuple("0123456789"),
    learner=LearnerSettings("mlp:64", training=Training(epochs=20, lr=0.1)),
    method=MethodChoice("er", {"capacity": 500, "replay_batch": 64}),
    gate=Gate(max_forgetting=0.1),
    triggers=(Amount(220),),
    exam=ExamSettings(0.3, minimum=40),
)


def upright() -> Task:
    source = digits()
    return Task.of(1, train=(source.train_x[:700], source.train_y[:700]), test=(source.test_x, source.test_y))


def turned(start: int = 700, count: int = 240) -> list[tuple[Any, int]]:
    source = digits()
    part = slice(start, start + count)
    return list(zip(rotate(source.train_x[part], 90).tolist(), source.train_y[part].tolist(), strict=True))


@dataclass
class Clock:
    """Time goes on a little whenever somebody looks."""

    now: float = 1000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture(scope="session")
def begun(places: Places, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place in which version 1 has learned upright digits."""
    with places.new(tmp_path_factory.mktemp("begun") / "home") as place:
        with place.open() as store:
            begin(Engine(store, FolderBlobs(place.home / "blobs"), Clock()), PROJECT, [upright()], actor="ann")
        yield place


@pytest.fixture
def place(places: Places, begun: Place, tmp_path: Path) -> Iterator[Place]:
    with places.copy(begun, tmp_path / "home") as made:
        yield made


@pytest.fixture
def home(place: Place) -> Path:
    return place.home


@pytest.fixture
def engine(place: Place) -> Iterator[Engine]:
    with place.open() as store:
        yield Engine(store, FolderBlobs(place.home / "blobs"), Clock())


def feed(engine: Engine, rows: list[tuple[Any, int]], name: str = "lot") -> list[str]:
    given = [Given(key=f"{name} {place}", label=label, x=x, source="ann") for place, (x, label) in enumerate(rows)]
    receipts = Intake(engine).take("digits", given).result(timeout=30)
    assert all(isinstance(each, ingest.Receipt) for each in receipts), receipts[:1]
    return [each.state for each in receipts if isinstance(each, ingest.Receipt)]


def champion(engine: Engine) -> aliases.Alias:
    found = engine.read(lambda connection: aliases.get(connection, "digits"))
    assert found is not None
    return found


def counted(engine: Engine) -> dict[str, int]:
    counts = engine.read(lambda connection: feedback.counts(connection, "digits"))
    return {state: count for state, count in counts.items() if count}


def reconfigure(engine: Engine, **changes: Any) -> None:
    config = json.loads(to_json(replace(PROJECT, **changes)))
    engine.write(lambda connection: projects.configure(connection, "digits", config))


def done(engine: Engine, job: Job) -> updates.Update:
    """What the training process does, here."""
    blobs = engine.blobs
    project = from_json(json.dumps(job.project))
    method = None if job.method is None else MethodChoice(**job.method)
    made: list[Task] = []
    for part in job.exams:
        (x, y), (exam_x, exam_y) = unpack(blobs.get(part.train)), unpack(blobs.get(part.exam))
        train, test = (torch.tensor(x), torch.tensor(y)), (torch.tensor(exam_x), torch.tensor(exam_y))
        made.append(replace(Task.of(part.number, train=train, test=test, name=part.name), classes=tuple(part.classes)))
    new = next(task for task in made if task.number == job.task)
    candidate = learning.update(blobs.get(job.champion), project, new, method)
    answers = exam.answers(candidate.learner, made)
    before = exam.answers(learning.opened(blobs.get(job.champion)), made)
    packed = pack_answers(candidate.learner, made, answers, before)
    latency = {"median": 0.1, "p99": 0.2, "count": 10}
    return work.complete(
        engine, job.update, job.owner, job.attempt, candidate=candidate.data, answers=packed, latency=latency
    )


def through(engine: Engine, **asked: Any) -> updates.Update:
    asking.ask(engine, "digits", actor="ann", **asked)
    job = work.claim(engine, "w1")
    assert job is not None
    done(engine, job)
    return deciding.decide(engine, job.update)


def test_finetune_is_rejected_er_is_promoted_and_rollback_goes_back(engine: Engine) -> None:
    first = champion(engine)
    assert feed(engine, turned()) == ["accepted"] * 240
    rejected = through(engine, method={"name": "finetune"})
    assert rejected.state == "rejected"
    assert rejected.decision["reasons"][0].startswith("task 1 (task 1): accuracy 0.9")
    upright_facts, turned_facts = rejected.decision["evidence"]
    assert upright_facts["difference"] < -0.1
    assert turned_facts["low"] > 0.3
    assert champion(engine) == first
    assert counted(engine) == {"used": 240}
    promoted = through(engine, task=2)
    assert promoted.state == "promoted", promoted.decision["reasons"]
    assert champion(engine).version == promoted.candidate
    assert champion(engine).revision == 2
    assert promoted.task == rejected.task == 2, "the same lot"
    made = engine.read(lambda connection: versions.listed(connection, "digits"))
    assert [row.number for row in made] == [1, 2, 3]
    assert made[2].parent == made[1].parent == first.version
    assert made[2].exam_row["accuracy"].keys() == {"1", "2"}
    told = status.status(engine, "digits")
    assert [row["state"] for row in told["decisions"]] == ["promoted", "rejected"]
    matrix = told["life"]["matrix"]
    assert matrix[1][0] < matrix[0][0] - 0.1, "finetune forgot the upright digits"
    assert matrix[2][0] > matrix[0][0] - 0.1
    assert matrix[2][1] > 0.6
    back = deciding.rollback(engine, "digits", actor="bob", reason="looks odd")
    assert (back.version, back.revision) == (first.version, 3)
    with pytest.raises(ConflictError, match="was made from none"):
        deciding.rollback(engine, "digits", actor="bob", reason="again")
    with pytest.raises(ConflictError, match="expected revision 1"):
        deciding.promote(engine, "digits", "3", actor="bob", reason="", revision=1)
    assert deciding.promote(engine, "digits", "3", actor="bob", reason="it was fine").version == promoted.candidate
    entries = engine.read(lambda connection: audit.listed(connection, project="digits"))
    assert [(entry.actor, entry.action) for entry in entries] == [
        ("ann", "create"), ("ann", "promote"), ("ann", "update"), ("gate", "reject"), ("ann", "update"),
        ("gate", "promote"), ("bob", "rollback"), ("bob", "promote"),
    ]  # fmt: skip
    assert engine.read(audit.verify) == []


def test_what_was_forgotten_since_a_task_was_learned_is_measured_too(engine: Engine) -> None:
    reconfigure(engine, gate=Gate(max_forgetting=0.1, max_total_forgetting=0.1))
    feed(engine, turned(), "two")
    assert through(engine).state == "promoted"
    feed(engine, [(x, (y + 1) % 10) for x, y in turned(1000)], "three")  # turned digits are called something else now
    last = through(engine)
    rows = engine.read(lambda connection: versions.listed(connection, "digits"))
    now, then = (rows[place].exam_row["accuracy"] for place in (2, 0))
    since = {facts["task"]: facts["since_learned"] for facts in last.decision["evidence"]}
    assert since == {1: pytest.approx(now["1"] - then["1"]), 2: None, 3: None}, "the champion itself learned task 2"


def test_every_stage_twice_is_once_and_a_crash_between_resumes(place: Place, engine: Engine) -> None:
    """After each stage the engine is thrown away, and another one on the same rows goes on."""
    clock = Clock()
    feed(engine, turned())
    asked = asking.ask(engine, "digits", actor="ann", key="k")
    assert asking.ask(engine, "digits", actor="ann", key="k") == asked
    with pytest.raises(ConflictError, match="is queued"):
        asking.ask(engine, "digits", actor="ann", key="other")
    lost = work.claim(engine, "w1")
    assert lost is not None
    task = engine.read(lambda connection: tasks.get(connection, "digits", 2))
    assert work.claim(engine, "w2") is None, "it has a lease"
    engine.store.close()
    clock.now += work.LEASE + 1
    with place.open() as store:
        engine = Engine(store, engine.blobs, clock)
        (back,) = work.expire(engine)
        assert (back.state, back.attempt) == ("queued", 2)
        job = work.claim(engine, "w2")
        assert job is not None
        assert engine.read(lambda connection: tasks.get(connection, "digits", 2)) == task, "the lot is cut once"
        with pytest.raises(ConflictError, match="attempt 1 of w1"):
            work.beat(engine, lost.update, "w1", 1, {})
        assert work.beat(engine, job.update, "w2", 2, {"step": 3}).progress == {"step": 3}
        examined = done(engine, job)
        assert examined.state == "examined"
        assert done(engine, job) == examined
        with pytest.raises(ConflictError):
            done(engine, lost)
        assert len(engine.read(lambda connection: versions.listed(connection, "digits"))) == 2
    with place.open() as store:
        engine = Engine(store, engine.blobs, clock)
        (decided,) = deciding.finish(engine, "digits")
        assert decided.state == "promoted"
        assert deciding.decide(engine, decided.id) == decided
        assert deciding.finish(engine, "digits") == []
        assert champion(engine).revision == 2


def test_after_three_workers_that_vanished_the_update_fails_and_its_lot_can_be_learned_again(engine: Engine) -> None:
    feed(engine, turned())
    asked = asking.ask(engine, "digits", actor="ann")
    for _ in range(3):
        assert work.claim(engine, "w") is not None
        (back,) = work.release(engine, "w", died=False)
        assert (back.state, back.attempt) == ("queued", 1), "it was put back in order"
    for _ in range(3):
        assert work.claim(engine, "w") is not None
        work.release(engine, "w", died=True)
    failed = engine.read(lambda connection: updates.get(connection, asked.id))
    assert failed.state == "failed"
    assert asking.ask(engine, "digits", actor="ann", task=2).task == 2


def test_a_person_may_be_asked(engine: Engine) -> None:
    reconfigure(engine, approval="ask")
    feed(engine, turned())
    first = champion(engine)
    waiting = through(engine)
    assert waiting.state == "waiting"
    assert champion(engine) == first
    with pytest.raises(ConflictError, match="is waiting"):
        asking.ask(engine, "digits", actor="ann", task=2)
    rejected = deciding.reject(engine, "digits", "2", actor="bob", reason="not today")
    assert (rejected.state, rejected.decision["by"], rejected.decision["person"]) == ("rejected", "bob", "not today")
    assert deciding.reject(engine, "digits", "2", actor="bob", reason="not today") == rejected
    again = through(engine, task=2)
    assert (again.state, again.candidate) == ("waiting", rejected.candidate), "the same bits are the same version"
    assert deciding.promote(engine, "digits", "2", actor="bob", reason="good").revision == 2
    assert engine.read(lambda connection: updates.get(connection, again.id)).state == "promoted"


def test_a_champion_that_changed_meanwhile_is_not_overwritten(engine: Engine) -> None:
    feed(engine, turned())
    asking.ask(engine, "digits", actor="ann")
    job = work.claim(engine, "w")
    assert job is not None
    done(engine, job)
    deciding.promote(engine, "digits", "2", actor="bob", reason="I cannot wait")
    moved = champion(engine)
    decided = deciding.decide(engine, job.update)
    assert decided.state == "rejected"
    assert "the champion changed" in decided.decision["reasons"][0]
    assert champion(engine) == moved


def test_cancelled_work_is_refused(engine: Engine) -> None:
    feed(engine, turned())
    asked = asking.ask(engine, "digits", actor="ann")
    job = work.claim(engine, "w")
    assert job is not None
    with pytest.raises(NotFoundError):
        deciding.cancel(engine, "other", asked.id, actor="ann", reason="")
    assert deciding.cancel(engine, "digits", asked.id, actor="ann", reason="no").state == "cancelled"
    with pytest.raises(ConflictError, match="stop this work"):
        work.beat(engine, job.update, job.owner, job.attempt, {})


def test_too_little_feedback_takes_nothing(engine: Engine) -> None:
    feed(engine, turned(count=50))
    with pytest.raises(DataError, match="exam"):
        asking.ask(engine, "digits", actor="ann")
    assert counted(engine) == {"accepted": 50}
    assert asking.Watch(engine).look("digits") is None
    with pytest.raises(NotFoundError, match="no update of 'digits' has learned task 7"):
        asking.ask(engine, "digits", actor="ann", task=7)


def test_triggers_fire_once_with_their_evidence(engine: Engine) -> None:
    watch = asking.Watch(engine)
    feed(engine, turned(count=219))
    assert watch.look("digits") is None
    feed(engine, turned(start=919, count=1), "one more")
    queued = watch.look("digits")
    assert queued is not None
    assert queued.trigger == {"kind": "amount", "waiting": 220, "n": 220}
    assert watch.look("digits") is None, "one update at a time"
    (firing,) = engine.read(lambda connection: firings.listed(connection, "digits"))
    assert (firing.kind, firing.update_id) == ("amount", queued.id)


def test_drifting_inputs_fire(engine: Engine) -> None:
    reconfigure(engine, triggers=(InputDrift(50),))
    version, source = champion(engine).version, digits()

    def asked(inputs: list[Any], name: str) -> None:
        rows = [
            predictions.Prediction(f"{name}{place}", "digits", version, "champion", x, 0, 0.9, engine.clock())
            for place, x in enumerate(inputs)
        ]
        engine.write(lambda connection: predictions.add_many(connection, rows))

    feed(engine, turned(count=200))
    watch = asking.Watch(engine)
    asked(source.test_x[:50].tolist(), "upright")
    assert watch.look("digits") is None
    asked(rotate(source.test_x[:50], 90).tolist(), "turned")
    queued = watch.look("digits")
    assert queued is not None
    assert queued.trigger["kind"] == "input-drift"


def test_bad_feedback_is_refused_and_odd_feedback_waits(engine: Engine) -> None:
    intake = Intake(engine)
    x = turned(count=1)[0][0]
    for wrong, message in (
        (Given(key="a", label=10, x=x), "index in 0 … 9"),
        (Given(key="a", label="seven", x=x), "unknown class"),
        (Given(key="a", label=1), "neither"),
        (Given(key="a", label=1, x=[[1.0]]), "shape"),
        (Given(key="a", label=1, x=[[[float("nan")] * 8] * 8]), "finite"),
    ):
        with pytest.raises(DataError, match=message):
            intake.add("digits", wrong).result(timeout=30)
    assert counted(engine) == {}
    blank = intake.add("digits", Given(key="blank", label=1, x=[[[1.0] * 8] * 8])).result(timeout=30)
    assert blank.state == "quarantined"
    pending = intake.add("digits", Given(key="early", label=1, prediction_id="p1")).result(timeout=30)
    assert pending.state == "pending"
    again = intake.add("digits", Given(key="early", label=1, prediction_id="p1")).result(timeout=30)
    assert again == ingest.Receipt(pending.id, "pending", duplicate=True)
    with pytest.raises(NotFoundError):
        intake.add("nothing", Given(key="a", label=1, x=x)).result(timeout=30)


def test_a_source_that_sends_too_much_waits(engine: Engine) -> None:
    reconfigure(engine, rules=Rules(rate=5))
    assert feed(engine, turned(count=8)) == ["accepted"] * 5 + ["quarantined"] * 3


def test_a_sender_with_a_new_source_for_each_label_waits(engine: Engine) -> None:
    reconfigure(engine, rules=Rules(sender_rate=5, seconds=60, outlier=0))
    now = [1000.0]
    intake = Intake(replace(engine, clock=lambda: now[0]))

    def sent(name: str, actor: str, count: int = 40) -> list[str]:
        given = [
            Given(key=f"{name} {place}", label=label, x=x, source=f"{name} {place}", actor=actor)
            for place, (x, label) in enumerate(turned(count=count))
        ]
        return [
            receipt.state for receipt in intake.take("digits", given).result() if isinstance(receipt, ingest.Receipt)
        ]

    assert sent("one", "eve") == ["accepted"] * 5 + ["quarantined"] * 35
    held = engine.read(lambda connection: feedback.listed(connection, "digits", state="quarantined"))
    assert held[0].reason == "eve sent 5 examples within 60 s, allowed are 5"
    assert sent("two", "ann", 4) == ["accepted"] * 4, "another sender is not held for it"
    now[0] += 61
    assert sent("three", "eve", 5) == ["accepted"] * 5
    remembered = sum(len(recent) for recent in intake._recent.values())
    assert remembered == 6, "the sender and its five sources; who was silent for a minute is forgotten"


def test_a_source_that_flips_labels_is_found_before_the_lot_is_taken(engine: Engine) -> None:
    version = champion(engine).version
    rows = [
        predictions.Prediction(f"p{place}", "digits", version, "champion", x, label, 0.9, 1.0)
        for place, (x, label) in enumerate(turned())
    ]
    engine.write(lambda connection: predictions.add_many(connection, rows))
    intake = Intake(engine)
    given = [
        Given(
            key=row.id,
            label=(row.output + 1) % 10 if place % 4 == 0 else row.output,
            prediction_id=row.id,
            source="eve" if place % 4 == 0 else "ann",
        )
        for place, row in enumerate(rows)
    ]
    intake.take("digits", given).result(timeout=30)
    assert counted(engine) == {"accepted": 240}
    project = engine.project("digits")
    assert engine.write(lambda connection: lots.screen(connection, project)) == 60
    assert counted(engine) == {"accepted": 180, "quarantined": 60}


def test_an_update_that_cannot_be_learned_says_why(engine: Engine, home: Path) -> None:
    feed(engine, turned())
    asked = asking.ask(engine, "digits", actor="ann", method={"name": "er", "settings": {"capacity": 1}})
    blob = engine.read(lambda connection: versions.listed(connection, "digits"))[0].blob
    path = home / "blobs" / blob
    path.write_bytes(b"damaged")
    worker = Worker(engine, home / "work", lambda name: None, alone=True)
    worker.look()
    assert worker.learn(), "it is claimed, and fails before it is learned"
    row = engine.read(lambda connection: updates.get(connection, asked.id))
    assert row.state == "failed"
    assert "is damaged" in row.decision["reason"]


def test_a_claim_while_the_storage_does_not_answer_is_tried_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(engine, turned())
    asked = asking.ask(engine, "digits", actor="ann")

    def full(*_: object) -> str:
        raise StorageError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(FolderBlobs, "put", full)
        assert work.claim(engine, "w1") is None
    row = engine.read(lambda connection: updates.get(connection, asked.id))
    assert (row.state, row.attempt, row.lease_owner) == ("training", 1, "w1")
    job = work.claim(engine, "w1")
    assert job is not None
    assert (job.update, job.task) == (asked.id, 2)


def test_where_servers_share_a_store_labels_that_missed_their_prediction_are_joined_and_judged(
    engine: Engine, home: Path
) -> None:
    version, rows = champion(engine).version, turned(count=2)
    given = [Given(key=f"k{place}", label=1, prediction_id=f"p{place}") for place in range(2)]
    Intake(engine).take("digits", given).result()
    asked = [
        predictions.Prediction(f"p{place}", "digits", version, "champion", x, place, 0.9, 1.0)
        for place, (x, _) in enumerate(rows)
    ]
    engine.write(lambda connection: predictions.add_many(connection, asked))  # by another server, at the same moment
    assert counted(engine) == {"pending": 2}

    def judge(row: feedback.Feedback, answer: predictions.Prediction) -> str | None:
        return None if row.label == answer.output else "the answer was another"

    for alone, counts in ((True, {"pending": 2}), (False, {"accepted": 1, "quarantined": 1})):
        Worker(engine, home / "work", lambda name: None, alone=alone, judge=judge).look()
        assert counted(engine) == counts


def test_inputs_that_sources_label_differently_wait_for_a_person(engine: Engine) -> None:
    intake, x = Intake(engine), [each[0] for each in turned(count=3)]
    given = [
        Given(key=f"{source}{place}", label=label, x=x[place], source=source)
        for source, place, label in (("ann", 0, 1), ("bob", 0, 2), ("ann", 1, 3), ("bob", 1, 3), ("ann", 2, 4))
    ]
    intake.take("digits", [*given, Given(key="again", label=5, x=x[2], source="ann")]).result(timeout=30)
    project = engine.project("digits")
    assert engine.write(lambda connection: lots.screen(connection, project)) == 2
    held = engine.read(lambda connection: feedback.listed(connection, "digits", state="quarantined"))
    assert {(row.key, row.reason) for row in held} == {
        (key, "one and the same input was labelled 1 by ann, 2 by bob") for key in ("ann0", "bob0")
    }
