"""The loop's main path over PostgreSQL, and two servers on it that want the same update."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from waiting import joined

from lifelong.errors import ConflictError
from lifelong.loop.engine import Engine, asking, deciding, work
from lifelong.loop.engine.begin import begin
from lifelong.store import audit, feedback, updates, versions
from lifelong.store.blobs import FolderBlobs
from lifelong.store.database import open_store

from .turning import PROJECT, Clock, champion, counted, done, feed, through, turned, upright


@pytest.fixture
def engines(database: str, tmp_path: Path) -> Iterator[list[Engine]]:
    """Two servers on one database, with one clock and one place for blobs; version 1 answers."""
    clock = Clock()
    with ExitStack() as stack:
        stores = [stack.enter_context(open_store(tmp_path / name, database)) for name in ("one", "two")]
        made = [Engine(store, FolderBlobs(tmp_path / "blobs"), clock) for store in stores]
        begin(made[0], PROJECT, [upright()], actor="ann")
        yield made


def together(works: list[Any]) -> list[Any]:
    """What each gives, or the error that it raises; all begin at once."""
    found: list[Any] = [None] * len(works)
    gate = threading.Barrier(len(works))

    def run(place: int) -> None:
        gate.wait(30)
        try:
            found[place] = works[place]()
        except Exception as error:  # noqa: BLE001 - it is looked at
            found[place] = error

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(works))]
    for thread in threads:
        thread.start()
    joined(threads)
    return found


def test_rejected_promoted_and_back(engines: list[Engine]) -> None:
    here, there = engines
    first = champion(here)
    assert feed(here, turned()) == ["accepted"] * 240
    assert through(there, method={"name": "finetune"}).state == "rejected"
    promoted = through(here, task=2)
    assert promoted.state == "promoted", promoted.decision["reasons"]
    assert champion(there).version == promoted.candidate
    assert counted(there) == {"used": 240}
    assert deciding.rollback(there, "digits", actor="bob", reason="").version == first.version
    moved = together(
        [
            lambda engine=engine: deciding.promote(engine, "digits", "3", actor="bob", reason="", revision=3)
            for engine in engines
        ]
    )
    assert sorted(type(each).__name__ for each in moved) == ["Alias", "RevisionError"], "one of two was first"
    assert champion(here).revision == 4
    assert here.read(audit.verify) == []


def test_one_job_is_one_workers_and_makes_one_version(engines: list[Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = engines
    feed(here, turned())
    asked = together([lambda engine=engine: asking.ask(engine, "digits", actor="ann") for engine in engines])
    assert sorted(type(each).__name__ for each in asked) == ["ConflictError", "Update"], "one update at a time"
    for _ in range(10):
        claimed = together([lambda engine=engine: work.claim(engine, f"w{id(engine)}") for engine in engines])
        jobs = [each for each in claimed if each is not None]
        assert len(jobs) == 1, claimed
        assert len(work.release(here, "w", died=False)) == 1
    lost = work.claim(here, "w1")
    assert lost is not None
    here.clock.now += work.LEASE + 1  # pyrefly: ignore
    assert [len(each) for each in together([lambda engine=engine: work.expire(engine) for engine in engines])] in (
        [1, 0],
        [0, 1],
    )
    job = work.claim(there, "w2")
    assert job is not None
    handed: list[tuple[Any, Any]] = []  # learned one after the other: threads would share random numbers
    with monkeypatch.context() as patched:
        patched.setattr(work, "complete", lambda _, *args, **named: handed.append((args, named)))
        for each in (lost, job):
            done(here, each)
    late, right = handed
    ended = together(
        [
            lambda engine=engine, args=args, named=named: work.complete(engine, *args, **named)
            for engine, (args, named) in ((here, late), (there, right), (here, right))
        ]
    )
    assert isinstance(ended[0], ConflictError), "its lease was over"
    assert {each.state for each in ended[1:]} == {"examined"}
    decided = together([lambda engine=engine: deciding.finish(engine, "digits") for engine in engines])
    assert not [each for each in decided if isinstance(each, Exception)], decided
    made = here.read(lambda connection: versions.listed(connection, "digits"))
    assert [row.number for row in made] == [1, 2]
    assert champion(there).revision == 2
    (row,) = here.read(lambda connection: updates.listed(connection, "digits"))
    assert (row.state, row.attempt, row.candidate) == ("promoted", 2, made[1].id)
    assert here.read(lambda connection: feedback.counts(connection, "digits"))["used"] == 240
