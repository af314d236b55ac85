"""The loop over a store, without a server: version 1, updates, the gate, triggers, going back; crashes between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as with_changes

from lifelong.errors import ConflictError, DataError, SettingError, StorageError
from lifelong.loop.engine import Engine, asking, deciding, status, work
from lifelong.loop.engine.exams import retire
from lifelong.loop.engine.worker import Worker
from lifelong.loop.gate import Gate
from lifelong.loop.triggers import InputDrift
from lifelong.store import aliases, audit, firings, predictions, tasks, updates, versions
from lifelong.store.blobs import FolderBlobs
from lifelong.store.errors import DamagedError, NotFoundError, RevisionError
from lifelong.streams.sources import digits
from lifelong.streams.transforms import rotate

from ..places import Place
from .turning import Clock, champion, counted, done, feed, reconfigure, through, turned


def test_finetune_is_rejected_er_is_promoted_and_rollback_goes_back(engine: Engine) -> None:
    first = champion(engine)
    assert feed(engine, turned()) == ["accepted"] * 240
    rejected = through(engine, method={"name": "finetune"})
    assert rejected.state == "rejected"
    assert rejected.decision["reasons"][0].startswith("1 old task(s) together: ")
    assert rejected.decision["failed"] == ["forgetting"]
    assert rejected.decision["attempt"] == 1
    upright_facts, turned_facts = rejected.decision["evidence"]
    assert upright_facts["difference"] < -0.1
    assert turned_facts["low"] > 0.3
    assert champion(engine) == first
    assert counted(engine) == {"used": 240}
    promoted = through(engine, task=2)
    assert promoted.state == "promoted", promoted.decision["reasons"]
    assert promoted.decision["attempt"] == 2, "the same lot again spends the same confidence"
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
    reconfigure(engine, gate=Gate(max_forgetting=0.1, max_task_forgetting=0.1))
    feed(engine, turned(), "two")
    assert through(engine).state == "promoted"
    feed(engine, [(x, (y + 1) % 10) for x, y in turned(1000)], "three")  # turned digits are called something else now
    last = through(engine)
    rows = engine.read(lambda connection: versions.listed(connection, "digits"))
    now, then = (rows[place].exam_row["accuracy"] for place in (2, 0))
    since = {facts["task"]: facts["since_learned"] for facts in last.decision["evidence"]}
    assert since == {1: pytest.approx(now["1"] - then["1"]), 2: None, 3: None}, "the champion itself learned task 2"


def test_a_candidate_that_forgets_is_repaired_with_every_step_in_its_evidence(engine: Engine) -> None:
    reconfigure(engine, repair=("interpolate", "replay", "retrain"))
    feed(engine, turned())
    promoted = through(engine, method={"name": "finetune"})
    assert promoted.state == "promoted", promoted.decision["reasons"]
    steps = promoted.decision["steps"]
    assert steps[0]["step"] == "learned"
    assert steps[0]["excess"] > 0, "finetune forgets"
    assert steps[-1]["excess"] <= 0 < steps[-1]["gain"]
    assert {step["step"] for step in steps} <= {"learned", "interpolate", "replay", "retrain"}


def test_a_lot_that_brings_nothing_new_is_known_and_learned_beside_the_next(engine: Engine) -> None:
    source, first = digits(), champion(engine)
    again = list(zip(source.train_x[700:1000].tolist(), source.train_y[700:1000].tolist(), strict=True))
    feed(engine, again, "upright once more")
    known = through(engine)
    assert known.state == "known", known.decision["reasons"]
    assert champion(engine) == first
    assert status.status(engine, "digits")["decisions"][0]["state"] == "known"
    with pytest.raises(ConflictError, match="the lot of task 2 is known"):
        asking.ask(engine, "digits", actor="ann", task=2)
    feed(engine, turned(1000), "turned")
    asking.ask(engine, "digits", actor="ann")
    job = work.claim(engine, "w1")
    assert job is not None
    assert (job.task, job.beside, job.learned) == (3, [2], {})
    done(engine, job)
    promoted = deciding.decide(engine, job.update)
    assert promoted.state == "promoted", promoted.decision["reasons"]
    assert [facts["task"] for facts in promoted.decision["evidence"]] == [1, 2, 3], "its exam is one of the old ones"
    feed(engine, turned(700), "turned again")
    asking.ask(engine, "digits", actor="ann")
    job = work.claim(engine, "w2")
    assert job is not None
    assert (job.beside, sorted(job.learned)) == ([], [1, 2])
    assert job.learned[2].who == "champion", "its falls count from when it was known"


def test_a_retired_exam_counts_no_more_until_it_is_restored(engine: Engine) -> None:
    def say(restore: bool = False) -> None:
        engine.write(
            lambda connection: retire(connection, "digits", 1, actor="ann", reason="wrong", now=5.0, restore=restore)
        )

    say()
    say()
    feed(engine, turned())
    promoted = through(engine, method={"name": "finetune"})
    assert promoted.state == "promoted", "nothing is left that it could be seen to forget"
    assert [facts["task"] for facts in promoted.decision["evidence"]] == [2]
    told = status.status(engine, "digits")
    assert told["tasks"][0]["retired"] == {"actor": "ann", "at": 5.0, "reason": "wrong"}
    say(restore=True)
    feed(engine, turned(1000), "more")
    last = through(engine)
    assert [facts["task"] for facts in last.decision["evidence"]] == [1, 2, 3]
    actions = [entry.action for entry in engine.read(lambda connection: audit.listed(connection, project="digits"))]
    assert [action for action in actions if "exam" in action] == ["retire exam", "restore exam"]
    assert engine.read(audit.verify) == []


def test_the_power_of_the_gate_and_a_stall_are_told(engine: Engine) -> None:
    told = status.status(engine, "digits")
    assert told["stalled"] is None
    assert list(told["gate"]["power"]) == ["1", "10", "30", "100"]
    assert min(told["gate"]["power"].values()) >= 0.9
    assert told["gate"]["disagreement"] == {"assumed": 0.05, "seen": None}
    feed(engine, turned())
    for attempt in range(3):
        assert through(engine, method={"name": "finetune"}, **({"task": 2} if attempt else {})).state == "rejected"
    told = status.status(engine, "digits")
    assert told["stalled"]["why"].startswith("the candidates were not shown to keep what the champion knows")
    assert len(told["stalled"]["updates"]) == 3
    assert told["gate"]["disagreement"]["seen"]["step"] > 0.1
    assert through(engine, task=2).state in ("promoted", "rejected")


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


@pytest.mark.parametrize("error", [StorageError("the blobs do not answer just now"), DamagedError("it is gone")])
def test_what_is_handed_in_is_judged_as_soon_as_the_storage_answers(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, error: StorageError
) -> None:
    feed(engine, turned())
    asking.ask(engine, "digits", actor="ann")
    job = work.claim(engine, "w1")
    assert job is not None
    done(engine, job)

    def away(blobs: FolderBlobs, name: str) -> bytes:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(FolderBlobs, "get", away)
        left = deciding.examined(engine, job.update)
        if isinstance(error, DamagedError):  # it will not get better
            assert (left.state, left.decision["reasons"]) == ("rejected", ["the exams cannot be judged: it is gone"])
            return
        assert left.state == "examined"
        with pytest.raises(StorageError, match="just now"):
            deciding.finish(engine, "digits")
    assert [row.state for row in deciding.finish(engine, "digits")] == ["promoted"]
    assert champion(engine).revision == 2


def test_a_rollback_sent_again_hears_that_the_champion_moved(engine: Engine) -> None:
    one = engine.read(lambda connection: versions.listed(connection, "digits"))[0]
    other = with_changes(one.content(), parent=one.id)
    engine.write(lambda connection: versions.add(connection, other, 5.0))
    deciding.promote(engine, "digits", "2", actor="ann", reason="better")
    assert deciding.rollback(engine, "digits", actor="ann", reason="worse", revision=2).version == one.id
    with pytest.raises(RevisionError, match=r"is at revision 3 .*expected revision 2"):
        deciding.rollback(engine, "digits", actor="ann", reason="worse", revision=2)


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


def test_rejected_lots_are_merged_and_learned_together(engine: Engine) -> None:
    for start in (700, 940):
        feed(engine, turned(start, 240), name=f"lot {start}")
        assert through(engine, method={"name": "finetune"}).state == "rejected"
    with pytest.raises(SettingError, match="name that, too"):
        asking.ask(engine, "digits", actor="ann", merge=[3])
    for wrong, message in (([9], "no update of 'digits' has learned task 9"), ([1], "no update of")):
        with pytest.raises(NotFoundError, match=message):
            asking.ask(engine, "digits", actor="ann", task=2, merge=wrong)
    assert counted(engine) == {"used": 480}, "nothing was moved"
    merged = through(engine, task=2, merge=[3, 2])
    assert merged.state == "promoted", merged.decision["reasons"]
    assert (merged.task, merged.trigger["again"], merged.trigger["merged"]) == (4, 2, [3])
    assert merged.decision["attempt"] == 2, "its examples have been judged once"
    task = engine.read(lambda connection: tasks.get(connection, "digits", 4))
    assert sum(len(task.manifest[part]) for part in ("train", "exam", "spare")) == 480
    with pytest.raises(ConflictError, match="was asked for again under a later number"):
        asking.ask(engine, "digits", actor="ann", task=2, merge=[3])


def test_a_version_in_memory_whose_blob_is_damaged_is_not_gone_back_to(
    engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = champion(engine)
    feed(engine, turned())
    assert through(engine).state == "promoted"
    path = home / "blobs" / engine.read(lambda connection: versions.get(connection, first.version)).blob
    whole = path.read_bytes()

    def back() -> aliases.Alias:
        return deciding.rollback(engine, "digits", "1", actor="ann", reason="r", loaded=lambda *_: True)

    for spoil in (lambda: path.write_bytes(whole[:-1]), path.unlink):
        spoil()
        with pytest.raises(ConflictError, match="version 1 of 'digits' cannot be loaded"):
            back()

    def away(name: str) -> bytes:
        raise StorageError("the bucket does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(engine.blobs, "get", away)
        with pytest.raises(StorageError, match="does not answer"):
            deciding.rollback(engine, "digits", "1", actor="ann", reason="r")
        assert back().version == first.version, "it answers from memory until the storage is back"


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
