"""The life-cycle in any order, with a clock that also goes back: what must always hold, holds after every step."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from safetensors.numpy import save

from lifelong.errors import ConflictError, DataError
from lifelong.loop.engine import Engine, asking, deciding, work
from lifelong.loop.engine.base import ACTIVE
from lifelong.loop.engine.begin import begin
from lifelong.loop.engine.intake import Given, Intake
from lifelong.loop.gate import Gate
from lifelong.loop.job import Job
from lifelong.loop.lot import ExamSettings, unpack
from lifelong.loop.project import LearnerSettings, MethodChoice, Project, to_json
from lifelong.loop.quarantine import Rules
from lifelong.loop.schema import InputSchema
from lifelong.store import aliases, audit, feedback, ingest, projects, review, updates, versions
from lifelong.store.blobs import FolderBlobs
from lifelong.store.database import Connection
from lifelong.store.errors import NotFoundError
from lifelong.types import Task

from ..places import Place, Places

PAINT = Project(
    "paint",
    InputSchema((3,), 0, 1),
    ("red", "green", "blue"),
    learner=LearnerSettings("linear"),
    method=MethodChoice("finetune"),
    gate=Gate(max_forgetting=0.9),
    rules=Rules(rate=0, outlier=0, suspicion=0),
    exam=ExamSettings(0.5, minimum=4),
)
OWNERS = st.sampled_from(["w1", "w2"])
WHICH = st.integers(0, 50)


@dataclass
class Clock:
    """Goes where it is told."""

    now: float = 10_000.0

    def __call__(self) -> float:
        return self.now


def colours(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Random colours, labelled by their strongest part."""
    x = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed))
    return x, x.argmax(1)


@pytest.fixture(scope="session")
def begun(places: Places, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place with version 1; copied for every life."""
    with places.new(tmp_path_factory.mktemp("life") / "home") as place:
        with place.open() as store:
            begin(
                Engine(store, FolderBlobs(place.home / "blobs"), Clock()),
                PAINT,
                [Task.of(1, train=colours(30), test=colours(20, 1))],
                actor="ann",
            )
        yield place


def handed_in(engine: Engine, job: Job, good: bool) -> updates.Update:
    """A candidate that is the champion's learner again, with answers to all exams that are right or wrong."""
    arrays: dict[str, Any] = {"confidence": np.ones(1, dtype=np.float32)}
    for part in job.exams:
        labels = unpack(engine.blobs.get(part.exam))[1]
        arrays[f"champion {part.number}"] = (labels + (part.number == job.task)) % 3
        arrays[f"candidate {part.number}"] = labels if good else (labels + 1) % 3
    return work.complete(
        engine, job.update, job.owner, job.attempt,
        candidate=engine.blobs.get(job.champion), answers=save(arrays), latency={"median": 1, "p99": 2, "count": 3},
    )  # fmt: skip


@contextmanager
def maybe() -> Iterator[None]:
    """What contradicts the state is refused, and must change nothing; the invariants see to that."""
    with suppress(ConflictError, DataError, NotFoundError):
        yield


class Life(RuleBasedStateMachine):
    """One project, its workers, people who change their minds, and a server that is started anew."""

    def __init__(self, places: Places, begun: Place) -> None:
        super().__init__()
        self.places, self.begun, self.stack = places, begun, ExitStack()

    @initialize()
    def start(self) -> None:
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.place = self.stack.enter_context(self.places.copy(self.begun, Path(folder) / "home"))
        self.clock, self.keys, self.sent = Clock(), itertools.count(), 0
        self.jobs: list[Job] = []
        self.released: list[Job] = []  # put back by a worker that ended in order, which costs no attempt
        self.lots: dict[int, frozenset[int]] = {}
        self.revision = 0
        self.open()

    def open(self) -> None:
        self.store = self.place.open()
        self.engine = Engine(self.store, FolderBlobs(self.place.home / "blobs"), self.clock)
        self.intake = Intake(self.engine)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
        self.stack.close()

    def write(self, work: Callable[[Connection], Any]) -> Any:
        return self.engine.write(work)

    @rule(seconds=st.sampled_from([0.1, 5.0, 31.0, 1000.0, -3.0, -500.0]))
    def time_goes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(count=st.integers(1, 16))
    def feed(self, count: int) -> None:
        x, y = colours(count, next(self.keys))
        many = [
            Given(key=f"k{self.sent + place}", label=int(label), x=row, source="ann")
            for place, (row, label) in enumerate(zip(x.tolist(), y, strict=True))
        ]
        self.sent += count
        for duplicate in (False, True):
            receipts = self.intake.take("paint", many).result(timeout=30)
            assert [each.duplicate for each in receipts if isinstance(each, ingest.Receipt)] == [duplicate] * count

    @rule(which=WHICH, how=st.sampled_from(["quarantine", "accept", "refuse"]))
    def look_at_one(self, which: int, how: str) -> None:
        if self.sent:
            row_id = feedback.feedback_id("paint", f"k{which % self.sent}")
            reason = [] if how == "accept" else ["odd"]
            with maybe():
                self.write(lambda connection: getattr(review, how)(connection, row_id, *reason))

    @rule(approval=st.sampled_from(["automatic", "ask"]))
    def approve(self, approval: Any) -> None:
        config = json.loads(to_json(replace(PAINT, approval=approval)))
        self.write(lambda connection: projects.configure(connection, "paint", config))

    @rule(task=st.none() | st.integers(1, 6))
    def ask(self, task: int | None) -> None:
        with maybe():
            asking.ask(self.engine, "paint", actor="ann", task=task)

    @rule(owner=OWNERS)
    def claim(self, owner: str) -> None:
        job = work.claim(self.engine, owner)
        if job is not None and job not in self.jobs:  # else it had it already
            before = [each for each in self.jobs if each.update == job.update and each not in self.released]
            assert all(job.attempt > each.attempt for each in before), "two have it"
            self.jobs.append(job)

    @rule(which=WHICH, good=st.booleans())
    def hand_in(self, which: int, good: bool) -> None:
        if self.jobs:
            with maybe():
                handed_in(self.engine, self.jobs[-1 - which % min(3, len(self.jobs))], good)

    @rule(which=WHICH)
    def beat(self, which: int) -> None:
        if self.jobs:
            job = self.jobs[which % len(self.jobs)]
            with maybe():
                work.beat(self.engine, job.update, job.owner, job.attempt, {"step": which})

    @rule(which=WHICH)
    def give_up(self, which: int) -> None:
        if self.jobs and which % 4 == 0:
            job = self.jobs[-1]
            with maybe():
                work.fail(self.engine, job.update, job.owner, job.attempt, "too hard")

    @rule(owner=OWNERS, died=st.booleans())
    def release(self, owner: str, died: bool) -> None:
        work.release(self.engine, owner, died=died)
        if not died:
            self.released += [job for job in self.jobs if job.owner.startswith(owner)]

    @rule()
    def expire(self) -> None:
        work.expire(self.engine)

    @rule()
    def decide(self) -> None:
        deciding.finish(self.engine, "paint")

    @rule(which=WHICH, stale=st.booleans())
    def promote(self, which: int, stale: bool) -> None:
        rows = self.engine.read(lambda connection: versions.listed(connection, "paint"))
        revision = self.revision - 1 if stale else self.revision
        with maybe():
            deciding.promote(
                self.engine, "paint", str(1 + which % len(rows)), actor="bob", reason="", revision=revision
            )
            assert not stale

    @rule()
    def roll_back(self) -> None:
        with maybe():
            deciding.rollback(self.engine, "paint", actor="bob", reason="odd")

    @rule(which=WHICH)
    def reject(self, which: int) -> None:
        with maybe():
            deciding.reject(self.engine, "paint", str(1 + which % 4), actor="bob", reason="no")

    @rule()
    def cancel(self) -> None:
        for row in self.engine.read(lambda connection: updates.listed(connection, "paint", limit=1)):
            with maybe():
                deciding.cancel(self.engine, "paint", row.id, actor="bob", reason="not now")

    @rule()
    def start_anew(self) -> None:
        self.store.close()
        self.open()

    @invariant()
    def what_must_hold(self) -> None:
        if not hasattr(self, "store"):
            return
        champion, moves, rows, made, counts, sent, breaks = self.engine.read(
            lambda connection: (
                aliases.get(connection, "paint"),
                aliases.moves(connection, "paint"),
                updates.listed(connection, "paint", limit=10_000),
                {row.id: row for row in versions.listed(connection, "paint")},
                feedback.counts(connection, "paint"),
                feedback.listed(connection, "paint", limit=10_000),
                audit.verify(connection),
            )
        )
        assert breaks == []
        assert champion is not None
        assert champion.revision >= self.revision
        self.revision = champion.revision
        assert [move.revision for move in moves] == list(range(1, champion.revision + 1))
        assert [move.previous for move in moves] == [None, *(move.version for move in moves[:-1])]
        assert moves[-1].version == champion.version
        assert champion.version in made
        assert [row.number for row in made.values()] == list(range(1, len(made) + 1))
        assert sum(row.state in ACTIVE for row in rows) <= 1
        for row in rows:
            assert (row.lease_owner is not None) == (row.state == "training")
            assert (row.state in ("promoted", "rejected", "examined", "waiting")) == (row.candidate is not None)
            if row.state == "promoted":
                assert row.candidate in {move.version for move in moves}
                assert made[row.candidate].task == row.task
        assert sum(counts.values()) == len(sent) == self.sent, "nothing is lost, nothing doubled"
        assert {each.state for each in sent if each.task is not None} <= {"used"}
        numbers = {row.task for row in rows}
        for number in numbers:
            lot = frozenset(each.seq for each in sent if each.task == number)
            assert number is not None
            assert lot
            assert self.lots.setdefault(number, lot) == lot, f"task {number} has another lot"
        assert {each.task for each in sent} <= {None, *numbers}


def test_what_must_hold_holds_after_every_step(places: Places, begun: Place) -> None:
    lives = 20 if places.server is None else 4  # a transaction costs ten times as much there
    run_state_machine_as_test(
        lambda: Life(places, begun),
        settings=settings(
            max_examples=lives, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_a_hundred_old_updates_and_a_clock_that_was_set_back_hide_nothing(
    places: Places, begun: Place, tmp_path: Path
) -> None:
    with places.copy(begun, tmp_path / "home") as place, place.open() as store:
        clock = Clock()
        engine = Engine(store, FolderBlobs(place.home / "blobs"), clock)
        first = engine.read(lambda connection: versions.listed(connection, "paint"))[0]

        def old(connection: Connection) -> None:
            for number in range(101):
                name = f"old {number}"
                row = updates.enqueue(connection, "paint", name, trigger={}, base_version=first.id, now=20_000.0)
                updates.change(
                    connection, row.id, expected="queued", owner=None, to="cancelled", now=20_000.0, task=2 + number
                )

        engine.write(old)
        x, y = colours(20)
        first = [Given(key=str(place), label=int(y[place]), x=row) for place, row in enumerate(x.tolist())]
        Intake(engine).take("paint", first).result(timeout=30)
        row = asking.ask(engine, "paint", actor="ann", key="k")
        assert row.task == 103, "a number that none of them had"
        assert asking.ask(engine, "paint", actor="ann", key="k") == row
        more = [Given(key=f"more {place}", label=int(y[place]), x=each) for place, each in enumerate(x.tolist())]
        Intake(engine).take("paint", more).result(timeout=30)
        with pytest.raises(ConflictError, match="is queued"):
            asking.ask(engine, "paint", actor="ann", key="other")
        job = work.claim(engine, "w")
        assert job is not None
        assert [each.id for each in work.release(engine, "w", died=False)] == [row.id]
