"""Traffic: given by a person, kept to the same users, taken back by evidence, gone when the canary is champion."""

from __future__ import annotations

import pytest

from lifelong.errors import ConflictError
from lifelong.loop.engine import deciding, traffic
from lifelong.store import audit, feedback, ingest, predictions, review
from lifelong.store.predictions import Prediction

from .painting import AT, Paint, problem, second


def answer(paint: Paint, user: str) -> tuple[str, str]:
    """Who answered a user: variant and version."""
    tensor = {"name": "input", "shape": [1, 3], "datatype": "FP32", "data": [0.9, 0.1, 0.1]}
    body = paint.client.post("/v2/models/paint/infer", json={"inputs": [tensor]}, headers={"sticky-key": user}).json()
    return body["parameters"]["variant"], body["model_version"]


def labelled(paint: Paint, version: str, variant: str, count: int, right: int) -> None:
    """Predictions of a version, each with a label, of which `right` agree with it."""
    rows = [
        Prediction(f"{variant}-{place}", "paint", version, variant, [1.0, 0.0, 0.0], 0, 0.9, paint.engine.clock())
        for place in range(count)
    ]
    labels = [
        ingest.NewFeedback(
            project="paint", key=row.id, label=0 if place < right else 1, received=0.0, prediction=row.id
        )
        for place, row in enumerate(rows)
    ]
    paint.engine.write(lambda connection: review.log(connection, rows))
    paint.engine.write(lambda connection: ingest.add_many(connection, labels))


def test_a_person_gives_traffic_and_takes_it_back(paint: Paint) -> None:
    other = second(paint)
    first_seen = paint.client.get(f"{AT}/traffic")
    assert (first_seen.headers["etag"], first_seen.json()["canary"]) == ('"0"', None)
    put = paint.client.put(f"{AT}/traffic", json={"canary": "2", "percent": 40, "reason": "try"})
    assert put.status_code == 200, put.text
    assert (put.json()["canary"], put.json()["percent"], put.headers["etag"]) == (other, 40.0, '"1"')
    who = {user: answer(paint, user) for user in map(str, range(60))}
    assert {version for variant, version in who.values() if variant == "canary"} == {other}
    assert 10 <= sum(variant == "canary" for variant, _ in who.values()) <= 40
    assert {user: answer(paint, user) for user in who} == who, "a user hears the same version each time"
    stale = paint.client.put(f"{AT}/traffic", json={}, headers={"If-Match": '"0"'})
    assert "revision 1" in problem(stale, 412)
    assert paint.client.put(f"{AT}/traffic", json={}, headers={"If-Match": '"1"'}).json()["canary"] is None
    assert {answer(paint, user)[0] for user in who} == {"champion"}
    trail = paint.engine.read(lambda connection: audit.listed(connection, project="paint"))
    assert [row.action for row in trail].count("traffic") == 2


def test_what_cannot_be(paint: Paint) -> None:
    second(paint)
    assert "is the champion" in problem(paint.client.put(f"{AT}/traffic", json={"canary": "1"}), 400)
    assert "numbers 1 … 2" in problem(paint.client.put(f"{AT}/traffic", json={"shadow": "9"}), 404)
    assert "percent" in problem(paint.client.put(f"{AT}/traffic", json={"canary": "2", "percent": 101}), 422)
    assert paint.client.get(f"{AT}/traffic").json()["revision"] == 0


def test_a_canary_that_answers_worse_is_taken_back_with_its_evidence(paint: Paint) -> None:
    other = second(paint)
    paint.client.put(f"{AT}/traffic", json={"canary": "2", "percent": 50, "shadow": None})
    champion = paint.client.get(f"{AT}/aliases/champion").json()["version"]
    labelled(paint, champion, "champion", 200, right=180)
    labelled(paint, other, "canary", 30, right=26)
    assert traffic.look(paint.engine, "paint") is None, "a little worse may be chance"
    seen = paint.client.get(f"{AT}/traffic").json()
    assert seen["verdict"]["kind"] == "wait"
    counted = {row["variant"]: (row["requests"], row["labelled"], row["right"]) for row in seen["answered"]}
    assert counted == {"champion": (200, 200, 180), "canary": (30, 30, 26)}
    more = [
        Prediction(f"more-{place}", "paint", other, "canary", [1.0, 0, 0], 0, 0.9, paint.engine.clock())
        for place in range(60)
    ]
    paint.engine.write(lambda connection: predictions.add_many(connection, more))
    wrong = [ingest.NewFeedback(project="paint", key=row.id, label=2, received=0.0, prediction=row.id) for row in more]
    paint.engine.write(lambda connection: ingest.add_many(connection, wrong))
    after = traffic.look(paint.engine, "paint")
    assert after is not None
    assert after.canary is None
    (entry,) = [
        row
        for row in paint.engine.read(lambda connection: audit.listed(connection, project="paint"))
        if row.actor == "canary"
    ]
    assert "wrong answers: 64 of 90 with the canary" in entry.detail["reason"]
    assert traffic.look(paint.engine, "paint") is None
    assert len(paint.engine.read(lambda connection: feedback.judged(connection, "paint"))) == 290


def test_promoted_or_rejected_it_is_no_canary_any_more(paint: Paint) -> None:
    second(paint)
    paint.client.put(f"{AT}/traffic", json={"canary": "2", "shadow": "2"})
    deciding.promote(paint.engine, "paint", "2", actor="ann", reason="good")
    seen = paint.client.get(f"{AT}/traffic").json()
    assert (seen["canary"], seen["shadow"], seen["revision"]) == (None, None, 2)


def test_two_who_change_it_at_once_do_not_both_win(paint: Paint) -> None:
    second(paint)
    asked = {"canary": "2", "percent": 5.0, "shadow": None, "actor": "ann", "reason": ""}
    traffic.put(paint.engine, "paint", **asked, revision=0)
    with pytest.raises(ConflictError, match="at revision 1, expected revision 0"):
        traffic.put(paint.engine, "paint", **asked, revision=0)
