"""The API under /v1 through a real server on loopback, over a real store, without a worker."""

from __future__ import annotations

import contextlib
import http.client
import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import httpx
import numpy as np
import pytest
from msgspec.structs import replace as with_changes
from waiting import until

from lifelong.errors import ConflictError, DataError
from lifelong.loop.engine.intake import Intake
from lifelong.service.client import Server
from lifelong.service.worker import Remote
from lifelong.store import predictions, review, updates, versions

from .painting import AT, Paint, colours, problem, second


@pytest.mark.parametrize("path", [f"{AT}/", f"{AT}/feedback/", "/v1", "/v2/models/paint/infer/", "/projects/paint/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_path_leads_to_another_by_its_slash(paint: Paint, method: str, path: str) -> None:
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.example.org"}
    answer = paint.client.request(method, path, headers=proxied, follow_redirects=False)
    assert answer.status_code in (401, 404, 405)
    assert "location" not in answer.headers


def test_feedback_is_stored_once(paint: Paint) -> None:
    client = paint.client
    body = {"label": "green", "x": [0.1, 0.9, 0.2], "key": "k"}
    stored = client.post(f"{AT}/feedback", json=body)
    assert stored.status_code == 201
    assert stored.json()["state"] == "accepted"
    again = client.post(f"{AT}/feedback", json=body)
    assert (again.status_code, again.json()) == (200, {**stored.json(), "duplicate": True})
    assert "stored with other content" in problem(client.post(f"{AT}/feedback", json={**body, "label": "red"}), 409)
    by_header = {"label": 2, "x": [0, 0, 1]}
    for status in (201, 200):
        assert client.post(f"{AT}/feedback", json=by_header, headers={"Idempotency-Key": "h"}).status_code == status
    correction = {"label": "red", "x": [0.1, 0.9, 0.2], "supersedes": stored.json()["id"]}
    assert client.post(f"{AT}/feedback", json=correction).status_code == 201
    rows = client.get(f"{AT}/feedback").json()
    assert [(row["label"], row["state"], row["source"]) for row in rows] == [
        (1, "superseded", "first"), (2, "accepted", "first"), (0, "accepted", "first")
    ]  # fmt: skip
    assert client.get(AT).json()["feedback"]["accepted"] == 2


def test_feedback_joins_its_prediction_before_or_after(paint: Paint) -> None:
    tensor = {"name": "input", "shape": [1, 3], "datatype": "FP32", "data": [0.9, 0.1, 0.1]}
    answer = paint.client.post("/v2/models/paint/infer", json={"inputs": [tensor]})
    outputs = {each["name"]: each["data"] for each in answer.json()["outputs"]}
    (own,) = outputs["prediction_id"]
    receipt = paint.client.post(f"{AT}/feedback", json={"label": "red", "prediction_id": own}).json()
    assert paint.client.post(f"{AT}/feedback", json={"label": 1, "prediction_id": "later"}).json()["state"] == "pending"

    def rows() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = paint.client.get(f"{AT}/feedback").json()
        return found

    joined, early = until(rows, lambda found: found[0]["state"] != "pending")  # the log may be behind
    assert (joined["id"], joined["prediction"], joined["label"], joined["state"]) == (receipt["id"], own, 0, "accepted")
    stored = paint.engine.read(lambda connection: predictions.get(connection, own))
    assert np.float32(stored.x).tolist() == np.float32([0.9, 0.1, 0.1]).tolist(), "what the label is about"  # pyrefly: ignore
    assert (early["prediction"], early["state"]) == ("later", "pending")
    late = predictions.Prediction("later", "paint", stored.version, "champion", [0.2, 0.9, 0.1], 1, 0.9, 5.0)
    paint.engine.write(lambda connection: review.log(connection, [late], Intake(paint.engine).judge))
    assert [row["state"] for row in rows()] == ["accepted", "accepted"]


def test_a_batch_has_a_result_for_every_line(paint: Paint) -> None:
    lines = [
        b'{"label": "red", "x": [1, 0, 0], "key": "a"}',
        b'{"label": "pink", "x": [1, 0, 0]}',
        b"{not json",
        b'{"label": "red", "x": [1, 0, 0], "colour": 1}',
        b'{"label": "red", "x": [1, 0, NaN]}',
        b'{"label": "red", "x": [1, 0]}',
        b"",
        b'{"label": "blue", "x": [0, 0, 1], "key": "b"}',
    ]
    answer = paint.client.post(f"{AT}/feedback:batch", content=b"\n".join(lines))
    assert answer.headers["content-type"] == "application/x-ndjson"
    results = [json.loads(line) for line in answer.text.splitlines()]
    assert ["error" in result for result in results] == [False, True, True, True, True, True, False]
    assert results[2]["error"].startswith("line 3: ")
    assert "shape" in results[5]["error"]
    assert [row["key"] for row in paint.client.get(f"{AT}/feedback").json()] == ["a", "b"]


def test_bad_feedback_stores_nothing(paint: Paint) -> None:
    for body, status, words in (
        ({"label": "pink", "x": [1, 0, 0]}, 400, "unknown class 'pink'; known: blue, green, red"),
        ({"label": 3, "x": [1, 0, 0]}, 400, "0 … 2"),
        ({"label": 1, "x": [1, 0]}, 400, "shape"),
        ({"label": 1, "x": [1, 0, 7]}, 400, "0 … 1"),
        ({"label": 1, "x": ["a", 0, 0]}, 400, "numbers"),
        ({"label": 1, "x": [[1], 0, 0]}, 400, "ragged"),
        ({"label": 1}, 400, "neither"),
        ({"x": [1, 0, 0]}, 422, "label"),
        ({"label": 1, "x": [1, 0, 0], "colour": 2}, 422, "colour"),
        ({"label": 1, "x": [1, 0, 0], "supersedes": "f-1"}, 404, "not stored"),
        ({"label": 1, "x": [1, 0, 0], "key": "k" * 201}, 400, "printable"),
    ):
        assert words in problem(paint.client.post(f"{AT}/feedback", json=body), status)
    assert paint.client.get(f"{AT}/feedback").json() == []


def test_bodies_that_are_none(paint: Paint) -> None:
    plain = {"Content-Type": "application/json"}
    assert "JSON" in problem(paint.client.post(f"{AT}/feedback", content=b"{", headers=plain), 422)
    assert "larger" in problem(paint.client.post(f"{AT}/feedback", content=b" " * 100_001, headers=plain), 413)
    assert "larger" in problem(paint.client.post(f"{AT}/feedback:batch", content=iter([b"\n" * 60_000] * 2)), 413)
    assert problem(paint.client.get("/v1/nothing"), 404)
    assert "unknown project 'nothing'; known: paint" in problem(paint.client.get("/v1/projects/nothing"), 404)
    body = {"label": 1, "x": [1, 0, 0]}
    assert "unknown project" in problem(paint.client.post("/v1/projects/nothing/feedback", json=body), 404)


def test_keys_open_what_their_scopes_say(paint: Paint) -> None:
    body = {"label": 1, "x": [0, 1, 0]}
    client = httpx.Client(base_url=paint.client.base_url)
    with client:
        assert "needs a key" in problem(client.post(f"{AT}/feedback", json=body), 401)
        wrong = {"Authorization": "Bearer lifelong_0123456789abcdef_00"}
        assert "unknown" in problem(client.get(AT, headers=wrong), 401)
        assert client.post(f"{AT}/feedback", json=body, headers=paint.like("feedback")).status_code == 201
        assert "'feedback'" in problem(client.post(f"{AT}/feedback", json=body, headers=paint.like("predict")), 403)
        for path in ("", "/updates", "/versions", "/quarantine", "/audit", "/triggers", "/aliases/champion"):
            assert "'admin'" in problem(client.get(AT + path, headers=paint.like("feedback", "predict")), 403)
        assert client.get("/v1/openapi.json").status_code == 200


@pytest.mark.parametrize("key", ["", "Bearer lifelong_0123456789abcdef_00"])
def test_without_a_key_no_body_is_read(paint: Paint, key: str) -> None:
    headers = {"Authorization": key, "Content-Type": "application/json"}
    with httpx.Client(base_url=paint.client.base_url, headers=headers) as client:
        for path in ("/updates", "/versions/1:promote", ":rollback", "/feedback", "/feedback:batch"):
            for body in (b"{", b'{"nonsense": 1}', b" " * 200_000):
                assert "key" in problem(client.post(AT + path, content=body), 401)
        assert "key" in problem(client.post("/v1/work:claim", content=b"{"), 401)
    host, port = str(paint.client.base_url.host), paint.client.base_url.port
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=10)) as line:
        line.putrequest("POST", f"{AT}/updates")
        for name, value in {**headers, "Content-Length": "7000000"}.items():
            line.putheader(name, value)
        line.endheaders(b"{")
        assert line.getresponse().status == 401, "it does not wait for the rest"


def test_quarantine_is_reviewed_and_remembered(paint: Paint) -> None:
    one, two = (
        paint.client.post(f"{AT}/feedback", json={"label": 1, "x": [part] * 3, "key": str(part)}).json()
        for part in (0.0, 0.01)
    )
    assert (one["state"], two["state"]) == ("quarantined", "quarantined"), "too dark for a colour"
    waiting = paint.client.get(f"{AT}/quarantine").json()
    assert [row["id"] for row in waiting] == [one["id"], two["id"]]
    assert "unlike known inputs" in waiting[0]["reason"]
    accepted = paint.client.post(f"{AT}/quarantine/{one['id']}:accept", json={"reason": "it is green"})
    assert accepted.json()["state"] == "accepted"
    refused = paint.client.post(f"{AT}/quarantine/{two['id']}:refuse", json={"reason": "black"}).json()
    assert (refused["state"], refused["reason"]) == ("refused", "black")
    problem(paint.client.post(f"{AT}/quarantine/{two['id']}:accept", json={}), 409)
    problem(paint.client.post(f"{AT}/quarantine/f-0:accept", json={}), 404)
    entries = paint.client.get(f"{AT}/audit").json()["entries"]
    assert [entry["action"] for entry in entries[-2:]] == ["accept", "refuse"]


def test_many_are_reviewed_at_once(paint: Paint) -> None:
    rows = [
        paint.client.post(
            f"{AT}/feedback", json={"label": 1, "x": [0.01 * place] * 3, "source": "ann" if place < 2 else "eve"}
        ).json()
        for place in range(5)
    ]
    assert {row["state"] for row in rows} == {"quarantined"}
    one, two, *eves = (row["id"] for row in rows)
    said = paint.client.post(f"{AT}/quarantine:accept", json={"ids": [one, "f-0", two], "reason": "looked at them"})
    assert [row.get("state") for row in said.json()] == ["accepted", None, "accepted"]
    assert "no feedback 'f-0'" in said.json()[1]["error"]
    refused = paint.client.post(f"{AT}/quarantine:refuse", json={"source": "eve", "reason": "black is no colour"})
    assert refused.json() == [{"id": each, "state": "refused"} for each in eves]
    assert paint.client.get(f"{AT}/quarantine").json() == []
    assert paint.client.post(f"{AT}/quarantine:refuse", json={"source": "eve"}).json() == []
    late = paint.client.post(f"{AT}/quarantine:accept", json={"ids": eves[:1]}).json()
    assert "is refused" in late[0]["error"]
    for wrong in ({}, {"ids": [one], "source": "eve"}):
        assert "by ids" in problem(paint.client.post(f"{AT}/quarantine:accept", json=wrong), 422)
    assert "unknown project" in problem(
        paint.client.post("/v1/projects/nothing/quarantine:accept", json={"source": "eve"}), 404
    )
    assert "'admin'" in problem(
        paint.client.post(f"{AT}/quarantine:accept", json={"source": "eve"}, headers=paint.like("feedback")), 403
    )
    trail = paint.client.get(f"{AT}/audit").json()["entries"]
    assert [(row["action"], row["detail"]["feedback"]) for row in trail if row["action"] in ("accept", "refuse")] == [
        ("accept", one), ("accept", two), *(("refuse", each) for each in eves)
    ]  # fmt: skip


def test_going_back_is_done_once_where_the_revision_is_named(paint: Paint) -> None:
    two = paint.engine.read(lambda connection: versions.get(connection, second(paint)))
    row = with_changes(two.content(), parent=two.id, task=3)
    paint.engine.write(lambda connection: versions.add(connection, row, 6.0))
    assert paint.client.post(f"{AT}/versions/3:promote", json={}).json()["revision"] == 2
    back = [paint.client.post(f"{AT}:rollback", json={}, headers={"If-Match": '"2"'}) for _ in range(2)]
    assert [answer.status_code for answer in back] == [200, 412]
    assert paint.client.get(f"{AT}/aliases/champion").json()["version"] == two.id, "one version back, not two"


def test_updates_are_asked_for_listed_and_cancelled(paint: Paint) -> None:
    client = paint.client
    assert "exam" in problem(client.post(f"{AT}/updates", json={}), 400)
    x, y = colours(200, 5)
    lines = [json.dumps({"label": int(label), "x": row.tolist()}) for row, label in zip(x, y, strict=True)]
    client.post(f"{AT}/feedback:batch", content="\n".join(lines))
    assert "unknown method" in problem(client.post(f"{AT}/updates", json={"method": {"name": "ewcc"}}), 400)
    asked = client.post(f"{AT}/updates", json={"key": "k"})
    row = asked.json()
    assert (asked.status_code, row["state"], row["task"]) == (202, "queued", 2)
    assert client.post(f"{AT}/updates", json={"key": "k"}).json() == row
    assert row["id"] in problem(client.post(f"{AT}/updates", json={}), 409)
    assert client.get(asked.headers["location"]).json() == row
    assert client.get(f"{AT}/updates").json() == [row]
    fired = client.get(f"{AT}/triggers").json()
    assert fired["triggers"] == [{"kind": "amount", "n": 300}]
    assert fired["fired"][0]["update_id"] == row["id"]
    cancelled = client.post(f"{AT}/updates/{row['id']}:cancel", json={"reason": "not now"})
    assert (cancelled.json()["state"], cancelled.json()["decision"]) == ("cancelled", {"reason": "not now"})
    assert client.post(f"{AT}/updates/{row['id']}:cancel", json={}).status_code == 200, "twice is once"
    problem(client.get(f"{AT}/updates/u-0"), 404)
    problem(client.get(f"{AT}/updates/u-0/events"), 404)
    again = client.post(f"{AT}/updates", json={"task": 2}).json()
    assert (again["task"], again["state"]) == (2, "queued")
    seen: list[str] = []
    with client.stream("GET", f"{AT}/updates/{again['id']}/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                seen.append(json.loads(line[6:])["state"])
                if seen == ["queued"]:
                    client.post(f"{AT}/updates/{again['id']}:cancel", json={})
    assert seen == ["queued", "cancelled"]
    assert len(paint.engine.read(lambda connection: updates.listed(connection, "paint"))) == 2


def test_the_champion_moves_by_compare_and_swap_and_answers_at_once(paint: Paint) -> None:
    client, new = paint.client, second(paint)
    old = client.get(f"{AT}/versions/1").json()["id"]
    champion = client.get(f"{AT}/aliases/champion")
    assert (champion.json()["version"], champion.headers["etag"]) == (old, '"1"')

    def answering() -> str:
        tensor = {"name": "input", "shape": [1, 3], "datatype": "FP32", "data": [0.9, 0.1, 0.1]}
        return str(client.post("/v2/models/paint/infer", json={"inputs": [tensor]}).json()["model_version"])

    put = {"version": "2", "reason": "try"}
    assert "If-Match" in problem(client.put(f"{AT}/aliases/champion", json=put), 428)
    stale = client.put(f"{AT}/aliases/champion", json=put, headers={"If-Match": '"7"'})
    assert "at revision 1" in problem(stale, 412)
    assert answering() == old
    moved = client.put(f"{AT}/aliases/champion", json=put, headers={"If-Match": champion.headers["etag"]})
    assert (moved.json()["version"], moved.headers["etag"]) == (new, '"2"')
    assert answering() == new
    assert client.post(f"{AT}:rollback", json={"reason": "odd"}).json()["version"] == old
    assert answering() == old
    assert "made from none" in problem(client.post(f"{AT}:rollback", json={}), 409)
    assert client.post(f"{AT}/versions/{new[:12]}:promote", json={}).json()["revision"] == 4
    assert answering() == new
    assert "does not wait" in problem(client.post(f"{AT}/versions/2:reject", json={}), 409)
    problem(client.post(f"{AT}/versions/9:promote", json={}), 404)
    history = client.get(f"{AT}/aliases/champion/history").json()
    assert [(move["revision"], move["version"]) for move in history] == [(1, old), (2, new), (3, old), (4, new)]
    line = client.get(f"{AT}/versions/2/lineage").json()
    assert [row["number"] for row in line] == [1, 2]
    assert [[task["number"] for task in row["learned"]] for row in line] == [[1], []], "task 2 was never stored"
    assert [row["champion"] for row in client.get(f"{AT}/versions").json()] == [False, True]
    assert client.get(f"{AT}/versions/1/evaluation").json()["accuracy"]["1"] > 0.8
    trail = client.get(f"{AT}/audit", params={"verify": True}).json()
    assert trail["breaks"] == []
    assert [entry["action"] for entry in trail["entries"]] == ["create", "promote", "promote", "rollback", "promote"]
    for hash_, faults in ((trail["entries"][1]["hash"], []), ("f" * 64, ["the end was cut off"])):
        told = client.get(f"{AT}/audit", params={"known": hash_}).json()["breaks"]
        assert [each["fault"].partition(": ")[2].partition(",")[0] for each in told] == faults
    assert "known" in problem(client.get(f"{AT}/audit", params={"known": "ff"}), 422)


def test_the_openapi_document_names_every_address(paint: Paint) -> None:
    document = paint.client.get("/v1/openapi.json").json()
    assert document["components"]["securitySchemes"]
    paths = {path.removeprefix("/projects/{project}") for path in document["paths"]}
    assert {"/feedback", "/feedback:batch", "/updates", "/versions/{version}:promote", ":rollback", "/audit"} <= paths


def test_workers_elsewhere_need_a_key_of_theirs_and_one_job_is_one_workers(paint: Paint) -> None:
    client = paint.client
    refused = client.post("/v1/work:claim", json={"owner": "w"}, headers=paint.like("feedback"))
    assert "'worker'" in problem(refused, 403)
    key = paint.like("worker")["Authorization"].removeprefix("Bearer ")
    assert "'admin'" in problem(client.get(f"{AT}/updates", headers=paint.like("worker")), 403)
    remote = Remote(Server(str(client.base_url), key), patience=1)
    assert remote.claim("w1", 30) is None
    x, y = colours(200, 5)
    lines = [json.dumps({"label": int(label), "x": row.tolist()}) for row, label in zip(x, y, strict=True)]
    client.post(f"{AT}/feedback:batch", content="\n".join(lines))
    update = client.post(f"{AT}/updates", json={}).json()["id"]
    job = remote.claim("w1", 30)
    assert job is not None
    assert (job.update, job.owner, job.task) == (update, "w1", 2)
    assert remote.claim("w1", 30) == job, "the answer was lost, the lease was not"
    assert remote.claim("w2", 30) is None
    assert sha256(remote.blob(job.champion)).hexdigest() == job.champion
    remote.beat(job, {"stage": "learning"}, 30)
    assert client.get(f"{AT}/updates/{update}").json()["progress"] == {"stage": "learning"}
    with pytest.raises(ConflictError, match="stop this work"):
        remote.beat(replace(job, owner="w2"), {}, 30)
    with pytest.raises(DataError, match="hold no answers"):
        remote.complete(job, b"learner", b"answers", {"latency": {"median": 1, "p99": 1, "count": 1}})
    problem(client.get("/v1/blobs/..%2Flifelong.db"), 404)
    assert "should match pattern" in problem(client.get(f"/v1/blobs/{'0' * 63}x"), 422)
    assert "POST /v1/blobs first" in problem(client.get(f"/v1/blobs/{'0' * 64}"), 404)
    for stranger in ({"owner": "w2", "attempt": 1}, {"owner": "w1", "attempt": 2}):
        refused = client.post(f"/v1/work/{update}:fail", json={**stranger, "reason": "ha"})
        assert "training with w1 at attempt 1" in problem(refused, 409)
    assert client.get(f"{AT}/updates/{update}").json()["state"] == "training"
    for _ in range(2):
        remote.fail(job, "too hard")
    assert client.get(f"{AT}/updates/{update}").json()["decision"] == {"reason": "too hard", "worker": "w1"}
    assert remote.claim("w1", 30) is None


def test_an_example_needs_no_prediction(paint: Paint) -> None:
    body = {"label": "blue", "x": [0, 0, 1], "key": "e"}
    assert [paint.client.post(f"{AT}/examples", json=body).status_code for _ in range(2)] == [201, 200]
    for wrong in ({"label": "blue"}, {"label": "blue", "x": [0, 0, 1], "prediction_id": "p"}):
        assert "its own x" in problem(paint.client.post(f"{AT}/examples", json=wrong), 422)
    assert [row["key"] for row in paint.client.get(f"{AT}/feedback").json()] == ["e"]
    assert paint.client.get(f"{AT}/examples", params={"task": 1}).json() == [], "it was not made of feedback"
    assert "no task 2" in problem(paint.client.get(f"{AT}/examples", params={"task": 2}), 404)
