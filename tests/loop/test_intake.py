"""Feedback as it comes in, over a store: what is refused, what waits for a person, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lifelong.errors import DataError
from lifelong.loop.engine import Engine, lots
from lifelong.loop.engine.intake import Given, Intake
from lifelong.loop.engine.worker import Worker
from lifelong.loop.quarantine import Rules
from lifelong.store import feedback, ingest, predictions
from lifelong.store.errors import NotFoundError

from .turning import champion, counted, feed, reconfigure, turned


def test_bad_feedback_is_refused_and_odd_feedback_waits(engine: Engine) -> None:
    intake = Intake(engine)
    x = turned(count=1)[0][0]
    for wrong, message in (
        (Given(key="a", label=10, x=x), "unknown class '10'"),
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
