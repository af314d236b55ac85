"""Without keys a server is for this machine's user: no page of another site may ask it for anything."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lifelong.service.home import open_home
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings

from .painting import AT, Paint, problem

LABEL = {"label": 1, "x": [0, 1, 0]}
INFER = "/v2/models/paint/infer"
QUESTION = {"inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP32", "data": [0.9, 0.1, 0.1]}]}
POSTS = [
    (f"{AT}/feedback", LABEL), (f"{AT}/feedback:batch", LABEL), (f"{AT}/versions/1:promote", {"reason": "x"}),
    (f"{AT}/updates", {}), (INFER, QUESTION),
]  # fmt: skip


@pytest.fixture
def open_paint(begun: Path, tmp_path: Path) -> Iterator[Paint]:
    """The server without keys."""
    home, settings = shutil.copytree(begun, tmp_path / "home"), ServeSettings(keys=False, poll_seconds=600)
    with (
        open_home(home, settings, start_worker=False) as opened,
        serving(opened.app, settings) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield Paint(client, opened.engine, "")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},  # a name that leads here (rebinding)
        {"Host": "["},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_pages_of_other_sites_are_refused(open_paint: Paint, headers: dict[str, str]) -> None:
    client = open_paint.client
    for path, body in POSTS:
        assert client.post(path, json=body, headers=headers).status_code == 403, path
    gets = [AT, f"{AT}/feedback", "/v2", "/v2/models/paint", "/metrics", "/", "/v1/openapi.json"]
    for path in gets:
        assert (client.get(path, headers=headers).status_code == 403) == ("Host" in headers), path
    assert "machine" in problem(client.get(AT, headers={"Host": "evil.example"}), 403)
    assert client.get(f"{AT}/feedback").json() == []
    assert client.get(f"{AT}/aliases/champion").json()["revision"] == 1


def test_a_body_that_a_form_could_send_is_refused(open_paint: Paint) -> None:
    client = open_paint.client
    for media in ("text/plain", "text/plain; charset=application/json", "application/x-www-form-urlencoded", ""):
        for path, body in POSTS[:-1]:
            answer = client.post(path, content=json.dumps(body), headers={"Content-Type": media})
            assert "application/json" in problem(answer, 415)
    assert client.get(f"{AT}/feedback").json() == []


def test_this_machines_user_is_let_in(open_paint: Paint) -> None:
    client = open_paint.client
    port = client.base_url.port
    own = f"http://localhost:{port}"
    for headers in ({}, {"Host": f"localhost:{port}", "Origin": own}, {"Sec-Fetch-Site": "same-origin"}):
        assert client.post(f"{AT}/feedback", json=LABEL, headers=headers).status_code == 201
        assert client.post(INFER, json=QUESTION, headers=headers).status_code == 200
    lines = {"Content-Type": "application/x-ndjson"}
    assert client.post(f"{AT}/feedback:batch", content=json.dumps(LABEL), headers=lines).status_code == 200
    assert (
        client.post("/v1/blobs", content=b"x", headers={"Content-Type": "application/octet-stream"}).status_code == 201
    )


def test_with_keys_the_key_is_enough(paint: Paint) -> None:
    elsewhere = {"Host": "loop.example", "Origin": "http://app.example", "Content-Type": "text/plain"}
    assert paint.client.post(f"{AT}/feedback", content=json.dumps(LABEL), headers=elsewhere).status_code == 201
