"""What waits is looked at once more before a lot is taken: by source, by input, and never against a person's word."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lifelong.errors import ConflictError, DataError
from lifelong.loop.engine import Engine, asking, lots
from lifelong.loop.engine.base import apply
from lifelong.loop.gate import Gate
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import Project, to_json
from lifelong.loop.schema import InputSchema
from lifelong.loop.update import Cancelled
from lifelong.store import aliases, feedback, ingest, predictions, projects, review, tasks, updates, versions
from lifelong.store import lots as stored_lots
from lifelong.store.blobs import FolderBlobs
from lifelong.store.database import Connection, open_store
from lifelong.store.ingest import NewFeedback

PROJECT = Project(
    "signs", InputSchema((2,), 0, 1), ("a", "b", "c"), exam=ExamSettings(0.3, minimum=20), gate=Gate(power=0.0)
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A project whose champion, version 1, has learned task 1; nobody trains here."""
    with open_store(tmp_path) as store:
        engine = Engine(store, FolderBlobs(tmp_path / "blobs"), lambda: 1.0)

        def work(connection: Connection) -> None:
            projects.add(connection, projects.Project("signs", json.loads(to_json(PROJECT)), 1.0))
            tasks.add(connection, tasks.Task("signs", 1, "first", [0, 1, 2], {}, "train", "exam", 1.0))
            promote(connection, task=1, parent=None)

        engine.write(work)
        yield engine


def promote(connection: Connection, *, task: int, parent: str | None, revision: int = 0) -> str:
    content = versions.NewVersion(
        project="signs", parent=parent, blob=f"blob {task}", settings={}, task=task, exam_row={}
    )
    made = versions.add(connection, content, 1.0)
    aliases.move(connection, "signs", expected_revision=revision, version=made.id, actor="gate", reason="good", now=1.0)
    return made.id


def say(engine: Engine, rows: Sequence[tuple[str, int, str]], *, answer: int = 0, start: int = 0) -> list[str]:
    """Labels of a source for a prediction each, which the champion had answered with `answer`; their ids."""
    asked = [
        predictions.Prediction(name, "signs", "v1", "champion", [(start + place) / 1e4, 0.5], answer, 0.9, 1.0)
        for place, name in enumerate(dict.fromkeys(name for name, _, _ in rows))
    ]
    new = [
        NewFeedback(
            project="signs", key=f"{source} {name} {label}", label=label, received=1, prediction=name, source=source
        )
        for name, label, source in rows
    ]

    def work(connection: Connection) -> list[str]:
        predictions.add_many(connection, asked)
        receipts = ingest.add_many(connection, new)
        assert all(isinstance(each, ingest.Receipt) for each in receipts), receipts
        return [each.id for each in receipts if isinstance(each, ingest.Receipt)]

    return engine.write(work)


def screened(engine: Engine) -> int:
    return engine.write(lambda connection: lots.screen(connection, PROJECT))


def counted(engine: Engine) -> dict[str, int]:
    counts = engine.read(lambda connection: feedback.counts(connection, "signs"))
    return {state: count for state, count in counts.items() if count}


def accept_all(engine: Engine) -> None:
    held = engine.read(lambda connection: feedback.listed(connection, "signs", state="quarantined", limit=1000))
    engine.write(lambda connection: [review.accept(connection, row.id) for row in held])


def poisoned(engine: Engine, start: int = 0) -> None:
    say(engine, [(f"good {start + place}", 0, "ann") for place in range(120)], start=start)
    say(engine, [(f"bad {start + place}", 1, "eve") for place in range(60)], start=start + 200)


def test_what_a_person_let_out_stays_out_and_speaks_against_nobody(engine: Engine) -> None:
    poisoned(engine)
    assert screened(engine) == 60
    accept_all(engine)
    assert screened(engine) == 0
    say(engine, [("late", 1, "eve")], start=900)
    assert screened(engine) == 0, "one label of eve's that nobody has looked at is too few to judge her by"
    assert counted(engine) == {"accepted": 181}


def test_both_sides_of_a_conflict_that_a_person_let_out_stay_out(engine: Engine) -> None:
    say(engine, [("p", 1, "ann")], start=5)
    say(engine, [("q", 2, "bob")], start=5)  # another prediction of the same input
    assert screened(engine) == 2
    accept_all(engine)
    assert screened(engine) == 0
    say(engine, [("r", 0, "cid")], start=5)
    assert screened(engine) == 1, "a third opinion is a conflict again, but only it has to wait"
    assert counted(engine) == {"accepted": 2, "quarantined": 1}


def test_what_was_used_long_ago_does_not_hide_a_source(engine: Engine) -> None:
    """One old label that is accepted late, and thousands of used ones between it and those that wait."""
    (late,) = say(engine, [("late", 0, "ann")])
    engine.write(lambda connection: review.quarantine(connection, late, "odd"))
    say(engine, [(f"old {place}", 0, "ann") for place in range(lots.LARGEST_LOT)], start=1)
    engine.write(lambda connection: stored_lots.take(connection, "signs", 2))
    engine.write(lambda connection: review.accept(connection, late))
    poisoned(engine, start=6000)
    assert screened(engine) == 60


def test_two_sources_that_differ_about_one_prediction_wait_for_a_person(engine: Engine) -> None:
    ann, eve = say(engine, [("p", 1, "ann"), ("p", 2, "eve")])
    assert counted(engine) == {"accepted": 2}, "neither supersedes the other"
    assert screened(engine) == 2
    assert engine.write(lambda connection: review.accept(connection, ann)).state == "accepted"
    assert screened(engine) == 0
    engine.write(lambda connection: review.accept(connection, eve))
    assert counted(engine) == {"accepted": 1, "superseded": 1}, "a person's later word stands"


def test_one_source_corrects_itself_and_agreement_is_one_label(engine: Engine) -> None:
    say(engine, [("p", 1, "ann"), ("p", 2, "ann"), ("q", 1, "ann"), ("q", 1, "bob")])
    assert counted(engine) == {"accepted": 2, "superseded": 2}
    assert screened(engine) == 0


def test_what_is_odd_waits_even_where_the_rest_is_too_little(engine: Engine) -> None:
    say(engine, [("p", 1, "ann"), ("p", 2, "eve"), ("q", 1, "ann")])
    with pytest.raises(DataError, match="a lot of 1 examples"):
        asking.ask(engine, "signs", actor="ann")
    assert counted(engine) == {"accepted": 1, "quarantined": 2}


def test_a_lot_that_was_not_learned_is_learned_under_a_new_number_after_later_ones(engine: Engine) -> None:
    say(engine, [(f"two {place}", place % 3, "ann") for place in range(120)])
    second = asking.ask(engine, "signs", actor="ann")
    engine.write(lambda connection: end(connection, second.id))
    say(engine, [(f"three {place}", place % 3, "ann") for place in range(120)], start=200)
    third = asking.ask(engine, "signs", actor="ann")
    assert (second.task, third.task) == (2, 3)

    def promoted(connection: Connection) -> None:
        end(connection, third.id)
        promote(connection, task=3, parent=second.base_version, revision=1)

    engine.write(promoted)
    before = engine.read(lambda connection: stored_lots.taken(connection, "signs", 2))
    again = asking.ask(engine, "signs", actor="ann", task=2)
    assert again.task == 4
    assert engine.read(lambda connection: stored_lots.taken(connection, "signs", 4)) == before
    assert len(before) == 120
    engine.write(lambda connection: end(connection, again.id))
    with pytest.raises(ConflictError, match="has learned task 3 already"):
        asking.ask(engine, "signs", actor="ann", task=3)
    with pytest.raises(ConflictError, match="under a later number"):
        asking.ask(engine, "signs", actor="ann", task=2)
    assert asking.ask(engine, "signs", actor="ann", task=4).task == 4


def end(connection: Connection, update: str) -> None:
    apply(connection, update, Cancelled("enough"), 1.0)
    assert updates.get(connection, update).state == "cancelled"
