"""Feedback: once by key, joined when it can be, corrected without being deleted, taken once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, update

from lifelong.errors import ConflictError, DataError, LifelongError, StorageError
from lifelong.store import feedback, ingest, lots, predictions, review, tables
from lifelong.store.database import Store
from lifelong.store.errors import NotFoundError
from lifelong.store.feedback import CHANGES, Feedback
from lifelong.store.ingest import NewFeedback, Receipt
from lifelong.store.predictions import Prediction

from .conftest import Place


def label(key: str, value: Any = 1, **more: Any) -> NewFeedback:
    more = {"x": [0.5]} | more if "prediction" not in more else more
    return NewFeedback(**{"project": "digits", "key": key, "label": value, "received": 5.0} | more)


def answer(name: str, project: str = "digits") -> Prediction:
    return Prediction(name, project, "v1", "champion", [1.0, 2.0], 7, 0.9, 4.0)


def put(connection: Connection, *rows: NewFeedback) -> list[str]:
    return [ingest.add(connection, row).id for row in rows]


def states(connection: Connection) -> dict[str, str]:
    return {row.key: row.state for row in feedback.listed(connection, "digits")}


def test_a_row_is_stored_as_it_came(connection: Connection) -> None:
    row = label("a", "seven", x={"b": [1, 2.5, None], "a": "é\u0000"}, source="phone", received=5.25)
    receipt = ingest.add(connection, row)
    stored = feedback.get(connection, receipt.id)
    assert receipt == Receipt(feedback.feedback_id("digits", "a"), "accepted", duplicate=False)
    assert (stored.x, stored.label, stored.source, stored.received) == (row.x, "seven", "phone", 5.25)
    assert (stored.state, stored.reason, stored.task, stored.thread) == ("accepted", None, None, stored.id)


def test_the_same_key_again_is_the_stored_row(connection: Connection) -> None:
    first = ingest.add(connection, label("a"))
    assert ingest.add(connection, label("a", received=9.0, source="again", x=(0.5,))) == Receipt(
        first.id, "accepted", duplicate=True
    )
    for other in (label("a", 2), label("a", x=[0.6]), label("a", True), label("a", prediction="p")):
        with pytest.raises(ConflictError, match=f"'a' is stored with other content.*supersedes '{first.id}'"):
            ingest.add(connection, other)
    elsewhere = ingest.add(connection, label("a", 2, project="other"))
    assert not elsewhere.duplicate
    assert [row.received for row in feedback.listed(connection, "digits")] == [5.0]


def test_a_batch_answers_each_row_and_stores_the_good_ones(connection: Connection) -> None:
    predictions.add_many(connection, [answer("p"), answer("q", "other")])
    rows = [
        label("a"),
        label("a"),
        label("a", 2),
        label("b", prediction="p"),
        label("c", prediction="q"),
        label("d", float("nan")),
        label("e", None),
        label("f", x=None),
        label("g", x=[float("inf")]),
        label("h\0"),
        label(""),
        label("i" * 201),
        label("j\ud800"),
        label("k", supersedes="f-nothing"),
        label("l", prediction="later"),
        label("m", object()),
        label("n"),
    ]
    outcomes = ingest.add_many(connection, rows)
    kinds = [each.state if isinstance(each, Receipt) else type(each) for each in outcomes]
    assert kinds == [
        "accepted", "accepted", ConflictError, "accepted", NotFoundError, *[DataError] * 8, NotFoundError,
        "pending", DataError, "accepted",
    ]  # fmt: skip
    assert [each.duplicate for each in outcomes[:2] if isinstance(each, Receipt)] == [False, True]
    assert states(connection) == {"a": "accepted", "b": "accepted", "l": "pending", "n": "accepted"}
    assert all(str(each) for each in outcomes if isinstance(each, LifelongError))
    assert ingest.add_many(connection, []) == []


def test_a_large_batch_is_stored_whole_and_in_order(connection: Connection) -> None:
    predictions.add_many(connection, [answer(f"p{number}") for number in range(0, 1200, 2)])
    rows = [label(f"k{number}", number, prediction=f"p{number}") for number in range(1200)]
    assert len({each.id for each in ingest.add_many(connection, rows) if isinstance(each, Receipt)}) == 1200
    assert all(isinstance(each, Receipt) and each.duplicate for each in ingest.add_many(connection, rows))
    assert feedback.counts(connection, "digits") == dict.fromkeys(CHANGES, 0) | {"accepted": 600, "pending": 600}
    assert feedback.count(connection, "digits", "pending") == 600
    stored = feedback.listed(connection, "digits", limit=2000)
    assert [row.label for row in stored] == list(range(1200))
    assert [row.key for row in feedback.listed(connection, "digits", after=stored[9].seq, limit=2)] == ["k10", "k11"]


def test_an_unknown_project_stores_nothing(store: Store) -> None:
    with pytest.raises(StorageError, match="a row it names is not stored"):
        store.write(lambda connection: ingest.add(connection, label("a", project="nothing"))).result(timeout=30)


def test_feedback_before_its_prediction_waits_for_it(connection: Connection) -> None:
    put(connection, label("a", prediction="p"), label("b", prediction="p", doubt="rate"), label("c", prediction="q"))
    assert states(connection) == dict.fromkeys("abc", "pending")
    assert lots.take(connection, "digits", 1) == []
    review.log(connection, [answer("p")])
    assert states(connection) == {"a": "accepted", "b": "quarantined", "c": "pending"}
    predictions.add_many(connection, [answer("q")])  # as another server would at the same moment
    assert states(connection)["c"] == "pending"
    assert review.join(connection, "digits") == 1
    assert states(connection)["c"] == "accepted"
    assert review.join(connection, "digits") == 0


def test_a_judge_may_doubt_what_is_joined(connection: Connection) -> None:
    def judge(row: Feedback, prediction: Prediction) -> str | None:
        return f"{row.label} against {prediction.output}" if row.label != prediction.output else None

    put(connection, label("a", 7, prediction="p"), label("b", 1, prediction="q"))
    review.log(connection, [answer("p"), answer("q")], judge)
    assert states(connection) == {"a": "accepted", "b": "quarantined"}
    assert feedback.listed(connection, "digits", state="quarantined")[0].reason == "1 against 7"


def test_the_prediction_of_another_project_is_never_joined(connection: Connection) -> None:
    put(connection, label("a", prediction="p"))
    review.log(connection, [answer("p", "other")])
    assert review.join(connection, "digits") == 0
    assert states(connection) == {"a": "pending"}


def test_a_correction_supersedes_and_keeps_what_it_corrects(connection: Connection) -> None:
    review.log(connection, [answer("p")])
    put(connection, label("a", 1, prediction="p"), label("b", 2, prediction="p"))
    assert states(connection) == {"a": "superseded", "b": "accepted"}
    (example,) = put(connection, label("x", 1))
    (second,) = put(connection, label("y", 2, supersedes=example))
    put(connection, label("z", 3, supersedes=example))  # names the first, yet the thread's latest stands
    assert states(connection) == {
        "a": "superseded",
        "b": "accepted",
        "x": "superseded",
        "y": "superseded",
        "z": "accepted",
    }
    assert feedback.get(connection, second).supersedes == example
    for wrong in (label("w", supersedes=example, project="other"), label("w", supersedes=example, prediction="p")):
        with pytest.raises(LifelongError, match="which is"):
            ingest.add(connection, wrong)


def test_corrections_within_one_batch(connection: Connection) -> None:
    review.log(connection, [answer("p"), answer("q")])
    rows = [
        label("a", prediction="p"),
        label("b", prediction="q"),
        label("c", prediction="p"),
        label("d", prediction="p"),
    ]
    ingest.add_many(connection, rows)
    assert states(connection) == {"a": "superseded", "b": "accepted", "c": "superseded", "d": "accepted"}


def test_corrections_before_the_prediction(connection: Connection) -> None:
    put(connection, label("a", prediction="p"), label("b", prediction="p"), label("c", prediction="p", doubt="odd"))
    review.log(connection, [answer("p")])
    assert states(connection) == {"a": "superseded", "b": "accepted", "c": "quarantined"}


def test_a_doubted_correction_supersedes_only_when_accepted(connection: Connection) -> None:
    review.log(connection, [answer("p")])
    put(connection, label("a", prediction="p"))
    (doubted,) = put(connection, label("b", prediction="p", doubt="odd"))
    assert states(connection) == {"a": "accepted", "b": "quarantined"}
    assert review.accept(connection, doubted).state == "accepted"
    assert states(connection) == {"a": "superseded", "b": "accepted"}


def test_a_doubted_row_that_was_corrected_meanwhile(connection: Connection) -> None:
    review.log(connection, [answer("p")])
    (doubted,) = put(connection, label("a", prediction="p", doubt="odd"))
    put(connection, label("b", prediction="p"))
    assert states(connection) == {"a": "superseded", "b": "accepted"}
    with pytest.raises(ConflictError, match="is superseded; only what is quarantined can become accepted"):
        review.accept(connection, doubted)


def test_the_quarantine_is_listed_accepted_and_refused(connection: Connection) -> None:
    ids = put(connection, *(label(key, doubt=f"because {key}") for key in "abc"))
    waiting = feedback.listed(connection, "digits", state="quarantined")
    assert [(row.key, row.reason) for row in waiting] == [("a", "because a"), ("b", "because b"), ("c", "because c")]
    assert review.accept(connection, ids[0]).state == review.accept(connection, ids[0]).state == "accepted"
    assert review.refuse(connection, ids[1], "spam").reason == "spam"
    assert review.quarantine(connection, ids[0], "poisoned").reason == "poisoned"
    with pytest.raises(ConflictError, match="is refused; only what is quarantined can become accepted"):
        review.accept(connection, ids[1])
    with pytest.raises(NotFoundError, match="no feedback 'f-x'"):
        review.accept(connection, "f-x")
    (pending,) = put(connection, label("d", prediction="p"))
    with pytest.raises(ConflictError, match="is pending"):
        review.accept(connection, pending)
    assert lots.take(connection, "digits", 1) == []


def test_a_lot_is_taken_once_and_is_the_same_when_asked_again(connection: Connection) -> None:
    review.log(connection, [answer("p")])
    put(
        connection,
        label("a"),
        label("b", 3, prediction="p"),
        label("c", doubt="odd"),
        label("d"),
        label("e", project="other"),
    )
    lot = lots.take(connection, "digits", 1, limit=2)
    assert [(row.x, row.label, row.prediction) for row in lot] == [([0.5], 1, None), ([1.0, 2.0], 3, "p")]
    assert lots.take(connection, "digits", 1, limit=2) == lots.taken(connection, "digits", 1) == lot
    assert states(connection) == {"a": "used", "b": "used", "c": "quarantined", "d": "accepted"}
    review.accept(connection, feedback.feedback_id("digits", "c"))  # with a seq below d's
    assert [row.id for row in lots.take(connection, "digits", 2)] == [
        feedback.feedback_id("digits", key) for key in "cd"
    ]
    assert lots.take(connection, "digits", 3) == []


def test_a_correction_of_what_was_used_is_new_and_leaves_the_lot_as_it_was(connection: Connection) -> None:
    review.log(connection, [answer("p")])
    (first,) = put(connection, label("a", 1, prediction="p"))
    lot = lots.take(connection, "digits", 1)
    put(connection, label("b", 2, prediction="p", supersedes=first))
    assert states(connection) == {"a": "used", "b": "accepted"}
    assert lots.taken(connection, "digits", 1) == lot
    assert [row.label for row in lots.take(connection, "digits", 2)] == [2]


def test_a_label_that_another_server_commits_late_does_not_stand_after_a_later_one(connection: Connection) -> None:
    review.log(connection, [answer("p")])
    put(connection, label("later", 2, prediction="p"))
    lots.take(connection, "digits", 1)
    (earlier,) = put(connection, label("earlier", 1, prediction="p", doubt="odd"))
    connection.execute(update(tables.feedback).where(tables.feedback.c.key == "later").values(seq=1_000_000))
    review.accept(connection, earlier)  # which has the lower number now
    assert states(connection) == {"earlier": "superseded", "later": "used"}


def test_labels_beside_the_answers_that_they_judge(connection: Connection) -> None:
    review.log(connection, [answer("p"), answer("q")])
    put(connection, label("a", 7, prediction="p"), label("b", 1, prediction="q"), label("c"))
    lots.take(connection, "digits", 1, limit=1)
    rows = feedback.judged(connection, "digits")
    assert [(row.output, row.label, row.version, row.variant) for row in rows] == [
        (7, 7, "v1", "champion"),
        (7, 1, "v1", "champion"),
    ]
    assert [row.label for row in feedback.judged(connection, "digits", after=rows[0].seq)] == [1]


def test_the_newest_labels_of_what_the_champion_answered(connection: Connection) -> None:
    names = [f"p{number}" for number in range(6)]
    answers = {"p1": {"variant": "shadow"}, "p2": {"version": "v2"}}
    review.log(connection, [replace(answer(name), **answers.get(name, {})) for name in names])
    put(connection, *(label(name, number, prediction=name) for number, name in enumerate(names)), label("x"))
    lots.take(connection, "digits", 1, limit=4)
    put(connection, label("odd", 9, prediction="p5", doubt="odd"), label("late", prediction="unknown"))

    def labels(**asked: Any) -> list[Any]:
        rows = feedback.newest_judged(connection, "digits", "v1", **{"limit": 9, "within": 9, **asked})
        assert {(row.version, row.variant, row.output) for row in rows} <= {("v1", "champion", 7)}
        return [row.label for row in rows]

    assert labels() == [5, 4, 3, 0], "those of the lot too"
    assert labels(limit=2) == [5, 4]
    (seq,) = [row.seq for row in feedback.listed(connection, "digits") if row.key == "p3"]
    assert labels(after=seq) == [5, 4]
    assert labels(within=1) == [3], "of each state: the newest in a lot, and x, which judges nothing"
    assert feedback.newest_judged(connection, "other", "v1", limit=9, within=9) == []


def test_the_newest_answers_of_the_champion_all_or_none(connection: Connection) -> None:
    others = {1: {"variant": "canary"}, 4: {"version": "v2"}, 6: {"project": "other"}}
    rows = [replace(answer(f"p{at}"), **{"at": float(at), **others.get(at, {})}) for at in range(8)]
    predictions.add_many(connection, rows)

    def names(count: int, **asked: Any) -> list[str]:
        asked = {"within": 9, "after": -1.0, "until": 9.0, **asked}
        return [row.id for row in predictions.newest(connection, "digits", "v1", count=count, **asked)]

    assert names(5) == ["p7", "p5", "p3", "p2", "p0"]
    assert names(6) == []
    assert names(2) == ["p7", "p5"]
    assert names(2, after=3.0, until=7.0) == ["p7", "p5"]
    assert names(2, after=5.0) == names(2, until=2.0, after=0.0) == []
    assert names(3, within=4) == ["p7", "p5", "p3"]
    assert names(3, within=3) == [], "p4 is one of the newest three"


def test_predictions_are_stored_once_and_read_back(connection: Connection) -> None:
    predictions.add_many(connection, [answer("p"), answer("q")])
    predictions.add_many(connection, [answer("p"), answer("r")])
    assert predictions.get(connection, "p") == answer("p")
    assert [row.id for row in predictions.listed(connection, "digits", limit=2)] == ["p", "q"]
    with pytest.raises(NotFoundError, match="no prediction 'x'"):
        predictions.get(connection, "x")
    predictions.add_many(connection, [])


@pytest.mark.parametrize("before", CHANGES)
@pytest.mark.parametrize("to", ["accepted", "refused", "quarantined", "superseded", "used"])
def test_only_the_changes_of_the_table_happen(connection: Connection, before: str, to: str) -> None:
    (row_id,) = put(connection, label("a"))
    connection.execute(update(tables.feedback).values(state=before))
    acts: dict[str, Callable[[], object]] = {
        "accepted": lambda: review.accept(connection, row_id),
        "refused": lambda: review.refuse(connection, row_id, "no"),
        "quarantined": lambda: review.quarantine(connection, row_id, "odd"),
        "superseded": lambda: put(connection, label("b", supersedes=row_id)),
        "used": lambda: lots.take(connection, "digits", 1),
    }
    with suppress(ConflictError):
        acts[to]()
    after = feedback.get(connection, row_id).state
    assert after == before or after in CHANGES[before]
    if before != "pending":  # a person decides nothing about what still waits for its prediction
        assert after == (to if to in CHANGES[before] else before)


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_two_servers_take_in_the_same_feedback(place: Place, store: Store) -> None:
    """Same keys from both sides, corrections from both sides, predictions that come at the same moment."""
    names = [f"p{number}" for number in range(30)]
    with place.open() as other:
        servers = [store, other]
        chance = random.Random(0)
        futures = []
        for name in names:
            rows = [label(f"{name}-{side}", side, prediction=name) for side in range(2)]
            for server in servers:
                for row in chance.sample(rows, 2):
                    futures.append(server.write(partial(ingest.add, row=row)))
            futures.append(chance.choice(servers).write(partial(review.log, rows=[answer(name)])))
        for future in futures:
            future.result(timeout=60)
        other.write(lambda connection: review.join(connection, "digits")).result(timeout=60)
    rows = store.read(lambda connection: feedback.listed(connection, "digits", limit=1000))
    assert len(rows) == 60
    for name in names:
        thread = [row.state for row in rows if row.thread == name]
        assert thread == ["superseded", "accepted"], name


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_labels_of_one_thing_wait_for_each_other(place: Place, store: Store) -> None:
    """Or two servers would each see only their own, and both labels would stand."""
    added, gate = threading.Event(), threading.Event()
    store.write(lambda connection: review.log(connection, [answer("p")])).result(timeout=30)

    def slow(connection: Connection) -> None:
        ingest.add(connection, label("a", 1, prediction="p"))
        added.set()
        gate.wait(30)

    first = store.write(slow)
    assert added.wait(30)
    with place.open() as other:
        second = other.write(lambda connection: ingest.add(connection, label("b", 2, prediction="p")))
        done, _ = wait([second], timeout=0.3)
        gate.set()
        first.result(timeout=30)
        second.result(timeout=30)
    assert not done
    assert store.read(states) == {"a": "superseded", "b": "accepted"}
