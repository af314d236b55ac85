"""Numbers and texts that no database holds are the client's fault, on SQLite and PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lifelong.loop.engine.begin import begin
from lifelong.service.home import open_engine, open_home
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings
from lifelong.types import Task

from .painting import AT, PAINT, Paint, colours, problem

HUGE = 10**30
LABEL = {"label": 1, "x": [0, 1, 0]}


@pytest.fixture(params=["sqlite", "postgres"])
def anyone(request: pytest.FixtureRequest, begun: Path, tmp_path: Path) -> Iterator[Paint]:
    """The project `paint` on either database, without keys."""
    home, database = tmp_path / "home", None
    if request.param == "sqlite":
        shutil.copytree(begun, home)
    else:
        database = request.getfixturevalue("database")
        with open_engine(home, database) as engine:
            begin(engine, PAINT, [Task.of(1, train=colours(300, 0), test=colours(100, 1))], actor="ann")
    settings = ServeSettings(keys=False, poll_seconds=600)
    with (
        open_home(home, settings, database=database, start_worker=False) as opened,
        serving(opened.app, settings) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield Paint(client, opened.engine, "")


WRONG: list[tuple[str, str, Any, dict[str, str], set[int]]] = [
    ("POST", f"{AT}/updates", {"task": HUGE}, {}, {422}),
    ("POST", f"{AT}/updates", {"task": 2**40}, {}, {422}),
    ("POST", f"{AT}/updates", {"task": 0}, {}, {422}),
    ("POST", "/v1/work/u-0:beat", {"owner": "w", "attempt": HUGE}, {}, {422}),
    ("POST", f"{AT}/versions/1:promote", {}, {"If-Match": f'"{HUGE}"'}, {412}),
    ("POST", f"{AT}/versions/1:promote", {}, {"If-Match": f'"{2**40}"'}, {412}),
    ("POST", f"{AT}/versions/1:promote", {}, {"If-Match": f'"{"9" * 5000}"'}, {412}),
    ("PUT", f"{AT}/traffic", {}, {"If-Match": f'"{HUGE}"'}, {412}),
    ("GET", f"{AT}/feedback?state=bogus", None, {}, {422}),
    ("GET", f"{AT}/feedback?state=%00", None, {}, {422}),
    ("POST", f"{AT}/feedback", {**LABEL, "label": HUGE}, {}, {400, 422}),
    ("POST", f"{AT}/feedback", {**LABEL, "source": "\0"}, {}, {400}),
    ("POST", f"{AT}/feedback", {"label": 1, "prediction_id": "\0"}, {}, {400}),
    ("POST", f"{AT}:rollback", {"version": "\0"}, {}, {404}),
    ("GET", f"{AT}/versions/%00", None, {}, {404}),
    ("GET", "/v1/projects/%00", None, {}, {400, 404}),
    ("GET", f"{AT}/updates/%00", None, {}, {400, 404}),
    ("POST", f"{AT}/quarantine/%00:accept", {}, {}, {400, 404}),
    ("DELETE", "/v1/keys/%00", None, {}, {400, 404}),
    ("POST", "/v1/projects/%00/feedback", LABEL, {}, {400, 404}),
    ("POST", "/v1/keys", {"name": "\0", "scopes": ["predict"]}, {}, {400}),
]


def test_it_is_the_clients_fault(anyone: Paint) -> None:
    for method, path, body, headers, statuses in WRONG:
        answer = anyone.client.request(method, path, json=body, headers=headers)
        assert answer.status_code in statuses, f"{method} {path} {body}: {answer.text}"
        assert "postgres" not in problem(answer, answer.status_code)
    assert anyone.client.get(f"{AT}/feedback").json() == []
    assert anyone.client.get(f"{AT}/aliases/champion").json()["revision"] == 1
    assert anyone.client.post("/v2/models/%00/infer", json={}).status_code in {400, 404}
    for path, body in ((f"{AT}/updates", {"key": "\0"}), ("/v1/work:claim", {"owner": "\0"})):
        answer = anyone.client.post(path, json=body)
        assert answer.status_code < 500, f"{path} {body}: {answer.text}"


def test_one_bad_name_does_not_take_the_lines_beside_it(anyone: Paint) -> None:
    lines = [
        b'{"label": 1, "prediction_id": "\\u0000"}',
        b'{"label": 1, "x": [0, 1]}',
        b'{"label": 1, "x": [0, 1, 0]}',
    ]
    media = {"Content-Type": "application/x-ndjson"}
    answer = anyone.client.post(f"{AT}/feedback:batch", content=b"\n".join(lines), headers=media)
    assert ["error" in line for line in answer.text.splitlines()] == [True, True, False]


def test_a_database_that_goes_tells_no_address(postgres: Any, database: str, tmp_path: Path) -> None:
    if postgres.handle is None:
        pytest.skip("somebody else runs this PostgreSQL")
    with open_engine(tmp_path / "home", database) as engine:
        begin(engine, PAINT, [Task.of(1, train=colours(300, 0), test=colours(100, 1))], actor="ann")
    settings = ServeSettings(keys=False, poll_seconds=600)
    with (
        open_home(tmp_path / "home", settings, database=database, start_worker=False) as opened,
        serving(opened.app, settings) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        postgres.handle.stop()
        try:
            answers = [client.post(f"{AT}/feedback", json=LABEL), client.get(AT)]
        finally:
            postgres.handle.start()
        for answer in answers:
            told = problem(answer, 503)
            assert "send again" in told
            assert [word in told for word in ("postgres", "127.0.0.1", "localhost", "socket", "/")] == [False] * 5
