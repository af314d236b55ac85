"""The types that the OpenAPI document tells of, against what is really answered."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from lifelong.service.v1 import answers

from .painting import AT, Paint, colours, second

#: whose answer has another form in each case, or none
FREE = {("post", "/work:claim"), ("get", "/projects/{project}/updates/{update}/events"), ("get", "/blobs/{name}"),
        ("post", "/projects/{project}/feedback:batch")}  # fmt: skip


def test_every_answer_has_a_type_with_a_name(paint: Paint) -> None:
    document = paint.client.get("/v1/openapi.json").json()
    known = document["components"]["schemas"]
    bare: list[str] = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                for media, told in answer.get("content", {}).items():
                    schema = told.get("schema", {})
                    name = schema.get("items", schema).get("$ref", "").rpartition("/")[2]
                    if (method, path) not in FREE and not known.get(name, {}).get("properties"):
                        bare.append(f"{method} {path} {status} {media}: {schema}")
    assert bare == []
    assert known["Problem"]["required"] == ["type", "title", "status", "detail"]


def ready(paint: Paint) -> None:
    """Let there be something of everything."""
    x, y = colours(200, 5)
    lines = [json.dumps({"label": int(label), "x": row.tolist()}) for row, label in zip(x, y, strict=True)]
    paint.client.post(f"{AT}/feedback:batch", content="\n".join(lines))
    paint.client.post(f"{AT}/feedback", json={"label": 1, "x": [0.0] * 3})
    other = second(paint)
    assert paint.client.put(f"{AT}/traffic", json={"canary": other, "percent": 50}).status_code == 200
    assert paint.client.post(f"{AT}/updates", json={}).status_code == 202


KINDS: dict[str, Any] = {
    "": answers.Project,
    "/updates": list[answers.Update],
    "/versions": list[answers.Version],
    "/versions/2": answers.Version,
    "/versions/2/lineage": list[answers.Ancestor],
    "/versions/1/evaluation": answers.Evaluation,
    "/aliases/champion": answers.Alias,
    "/aliases/champion/history": list[answers.Move],
    "/traffic": answers.TrafficSeen,
    "/triggers": answers.Triggers,
    "/feedback": list[answers.Feedback],
    "/quarantine": list[answers.Feedback],
    "/examples?task=2": list[answers.Example],
    "/audit?verify=true": answers.Audit,
}


def test_what_is_answered_is_of_its_type(paint: Paint) -> None:
    ready(paint)
    for path, kind in KINDS.items():
        answer = paint.client.get(f"{AT}{path}")
        assert answer.status_code == 200, answer.text
        found, plain = msgspec.json.decode(answer.content, type=kind), answer.json()
        assert found != [], path
        rows = list(zip(found, plain, strict=True)) if isinstance(found, list) else [(found, plain)]
        for row, body in rows:
            assert set(msgspec.to_builtins(row)) == set(body), f"{path} tells what the document does not know"
