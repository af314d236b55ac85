"""The dashboard without a browser: who may see and do what, forged and hostile input, headers, drawings, the stream."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from lifelong.errors import DataError
from lifelong.loop.engine import Engine
from lifelong.loop.engine.begin import begin
from lifelong.loop.gate import Gate
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import LearnerSettings, Project
from lifelong.loop.schema import InputSchema
from lifelong.loop.triggers import ByHand
from lifelong.service import dashboard
from lifelong.service.dashboard.curves import curve, interval
from lifelong.service.dashboard.facts import facts
from lifelong.service.dashboard.heat import LEVELS
from lifelong.service.dashboard.live import Stamps, changes
from lifelong.service.dashboard.page import HEADERS
from lifelong.service.dashboard.picture import SIDE, Manner, frame, manner_of, picture, scanned
from lifelong.service.dashboard.session import REMEMBERED, Attempts, Sessions
from lifelong.service.dashboard.views import running
from lifelong.service.home import first_key, open_engine, open_home
from lifelong.service.problems import ProblemError
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings
from lifelong.store import aliases, audit, feedback, keys, predictions, updates, versions
from lifelong.training import Training
from lifelong.types import Task

HOSTILE = '<script>alert("x")</script>'
SCHEMA = InputSchema((1, 8, 8), 0, 1)
MARKS = Project(
    "marks",
    SCHEMA,
    (f"{HOSTILE} & co", "bar", "ring"),
    learner=LearnerSettings("linear", training=Training(epochs=5, lr=0.5)),
    gate=Gate(max_forgetting=0.1),
    triggers=(ByHand(),),
    exam=ExamSettings(0.3, minimum=40),
)
FLAT = Project(
    "flat", InputSchema((3,), 0, 1), ("red", "blue"), learner=LearnerSettings("linear"), exam=ExamSettings(minimum=60)
)
AT = "/projects/marks"


def marks(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images, labelled by where they are brightest."""
    x = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return x, torch.stack([x[..., :3].mean((1, 2, 3)), x[..., 3:5].mean((1, 2, 3)), x[..., 5:].mean((1, 2, 3))]).argmax(
        0
    )


def sheet() -> bytes:
    """A drawing of a bar."""
    ink = np.zeros((SIDE, SIDE), dtype=np.uint8)
    ink[20:100, 55:70] = 255
    return ink.tobytes()


@dataclass(frozen=True)
class Board:
    """A server, a browser's worth of client, and what is behind it."""

    client: httpx.Client
    engine: Engine
    secret: str
    url: str

    def key(self, *scopes: str, name: str = "ann") -> tuple[str, str]:
        """The text and the id of a new key."""
        text, row = self.engine.write(lambda connection: keys.create(connection, name, scopes, now=1.0))
        return text, row.id

    def log_in(self, secret: str | None = None) -> None:
        answer = self.client.post("/login", data={"key": secret or self.secret})
        assert answer.status_code == 303, answer.text

    def token(self, path: str = AT) -> str:
        found = re.search(r'(?:name="token" value|data-token)="([^"]+)"', self.client.get(path).text)
        assert found is not None
        return found[1]

    def send(self, path: str, **fields: str) -> httpx.Response:
        return self.client.post(path, data={"token": self.token(), **fields})

    def champion(self) -> str:
        row = self.engine.read(lambda connection: aliases.get(connection, "marks"))
        assert row is not None
        return row.version

    def second(self, state: str | None = None, **decision: object) -> str:
        """Another version with the same learner, made by an update in that state."""
        one = self.engine.read(lambda connection: versions.listed(connection, "marks"))[0]
        accuracy = {"accuracy": {"1": 0.5, "2": 0.25}}
        row = versions.NewVersion(
            project="marks", parent=one.id, blob=one.blob, settings=one.settings, task=2, exam_row=accuracy
        )

        def work(connection: versions.Connection) -> str:
            made = updates.enqueue(connection, "marks", "t", trigger={"kind": "amount", "waiting": 9},
                                   base_version=one.id, now=3.0)  # fmt: skip
            version = versions.add(connection, row, 5.0, made.id)
            if state is not None:
                updates.change(connection, made.id, expected="queued", owner=None, to=state, now=4.0, task=2,
                               candidate=version.id, decision=decision or None)  # fmt: skip
            return version.id

        return self.engine.write(work)


@pytest.fixture(scope="session")
def first_marks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the project `marks` and its version 1."""
    home = tmp_path_factory.mktemp("marks") / "home"
    with open_engine(home) as engine:
        begin(engine, MARKS, [Task.of(1, train=marks(300, 0), test=marks(100, 1), name=HOSTILE)], actor="ann")
    return home


@contextmanager
def served(home: Path, **settings: object) -> Iterator[Board]:
    made = ServeSettings(**{"poll_seconds": 600, **settings})  # pyrefly: ignore
    with open_home(home, made, start_worker=False) as opened, serving(opened.app, made) as url:
        secret = first_key(opened.engine)
        assert secret is not None
        with httpx.Client(base_url=url, timeout=10) as client:
            yield Board(client, opened.engine, secret, url)


@pytest.fixture
def board(first_marks: Path, tmp_path: Path) -> Iterator[Board]:
    with served(shutil.copytree(first_marks, tmp_path / "home")) as made:
        yield made


def test_logging_in_and_out(board: Board) -> None:
    client = board.client
    for path in ("/", AT, f"{AT}/versions/1", f"{AT}/quarantine", f"{AT}/try"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")
    assert client.get(f"{AT}/live").status_code == 401
    assert client.post(f"{AT}/try/predict", headers={"X-Part": "1"}).status_code == 401
    refused = client.post("/login", data={"key": "lifelong_no"})
    assert (refused.status_code, "unknown" in refused.text) == (401, True)
    assert not client.cookies
    answer = client.post("/login", data={"key": f" {board.secret} ", "next": f"{AT}/try"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{AT}/try")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert board.secret not in cookie
    assert client.get("/").headers["location"] == AT, "there is one project"
    assert "version 1" in client.get(AT).text
    assert client.post("/logout", data={"token": "wrong"}).status_code == 403
    kept = client.cookies["lifelong_session"]
    assert client.post("/logout", data={"token": board.token()}).headers["location"] == "/login"
    client.cookies.set("lifelong_session", kept)
    assert client.get(AT).status_code == 303, "the session is over on the server, not only in the browser"
    for elsewhere in ("//evil.example", "https://evil.example/projects/", "/projects/..//evil.example", "/login"):
        assert client.post("/login", data={"key": board.secret, "next": elsewhere}).headers["location"] == "/"


def test_a_revoked_key_ends_its_sessions(board: Board) -> None:
    text, row = board.key("admin")
    board.log_in(text)
    assert board.client.get(AT).status_code == 200
    with board.client.stream("GET", f"{AT}/live") as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith("event")) == "event: changed"
        board.engine.write(lambda connection: keys.revoke(connection, row, now=time.time()))
        assert next(line for line in lines if line.startswith("event")) == "event: ended"
    assert board.client.get(AT).status_code == 303


def test_guessing_keys_is_slow(board: Board) -> None:
    answers = [board.client.post("/login", data={"key": "x"}).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]
    assert board.client.post("/login", data={"key": board.secret}).status_code == 429
    through = {"X-Forwarded-For": "10.0.0.9, 10.0.0.1"}
    assert board.client.post("/login", data={"key": board.secret}, headers=through).status_code == 303


def test_behind_a_proxy_that_ends_tls(board: Board) -> None:
    host = board.url.removeprefix("http://")
    answer = board.client.post("/login", data={"key": board.secret}, headers={"Origin": f"https://{host}"})
    assert "Secure" in answer.headers["set-cookie"]
    assert "Secure" not in board.client.post("/login", data={"key": board.secret}).headers["set-cookie"]
    token = board.token()
    for referer, back in ((f"https://{host}{AT}/versions/1", f"{AT}/versions/1"), ("https://evil.example/x", "/"),
                          (f"https://{host}//evil.example", "/"), ("", "/")):  # fmt: skip
        page = board.client.post(f"{AT}/versions/1/promote", data={"token": token}, headers={"Referer": referer}).text
        assert f'class="button" href="{back}"' in page


def test_sessions_and_attempts_end() -> None:
    now = [100.0]
    sessions = Sessions(lambda: now[0], seconds=10)
    cookies = [sessions.open("k") for _ in range(REMEMBERED + 1)]
    assert sessions.find(cookies[0]) is None, "the oldest is forgotten"
    assert sessions.find(cookies[-1]) is not None
    for later in (110.0, 80.0):
        now[0] = later
        assert sessions.find(cookies[-1]) is None
    attempts = Attempts(lambda: now[0], most=1, seconds=5)
    for number in range(REMEMBERED + 1):
        attempts.failed(str(number))
    attempts.check("0")
    with pytest.raises(ProblemError):
        attempts.check("1")
    now[0] += 5
    attempts.check("1")


def test_every_page_allows_nothing_from_elsewhere(board: Board) -> None:
    board.log_in()
    board.second("rejected", reasons=["no"], by="gate")
    pages = ("/login", AT, f"{AT}/versions/1", f"{AT}/versions/2", f"{AT}/quarantine", f"{AT}/try", f"{AT}/versions/9",
             "/static/dashboard.js", "/static/dashboard.css", "/static/icon.svg")  # fmt: skip
    for path in pages:
        answer = board.client.get(path)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, path
        assert answer.headers["cache-control"] == ("no-cache" if "static" in path else "no-store")
        assert not re.search(r'(src|href|action)="(https?:)?//', answer.text), path
        assert not re.search(r"<script(?! type=\"module\" src=)|<style|\sstyle=|\son[a-z]+=", answer.text), path
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    folder = Path(dashboard.__file__).parent
    for each in [*folder.glob("static/*.js"), *folder.glob("static/*.css"), *folder.glob("templates/*")]:
        assert not re.search(r"https?://|\|\s*safe\b(?!\s*if)|@import", each.read_text()), each


def test_forged_requests_do_nothing(board: Board) -> None:
    board.log_in()
    second = board.second()
    before, token = board.champion(), board.token()
    fields = {"reason": "r", "revision": "1"}
    path = f"{AT}/versions/2/promote"
    for headers, sent in (
        ({}, fields),
        ({}, {**fields, "token": "another"}),
        ({"Origin": "https://evil.example"}, {**fields, "token": token}),
        ({"Origin": "null"}, {**fields, "token": token}),
        ({"Sec-Fetch-Site": "cross-site"}, {**fields, "token": token}),
        ({"Sec-Fetch-Site": "same-site"}, {**fields, "token": token}),
    ):
        assert board.client.post(path, data=sent, headers=headers).status_code == 403
        for other in ("/updates", "/updates/u-1/cancel", "/quarantine/f-1/accept", "/try/feedback"):
            assert board.client.post(AT + other, data=sent, headers=headers).status_code == 403
    assert board.client.post(f"{AT}/try/predict", content=sheet()).status_code == 403
    for path_to in ("/login", "/logout"):
        assert board.client.post(path_to, headers={"Origin": "https://evil.example"}).status_code == 403
    assert board.client.get(path).status_code == 405, "nothing is done by a link"
    assert board.champion() == before
    good = {"Origin": board.url, "Sec-Fetch-Site": "same-origin"}
    assert board.client.post(path, data={**fields, "token": token}, headers=good).status_code == 303
    assert board.champion() == second


def test_scopes_open_what_they_say(board: Board) -> None:
    predict, feeder = board.key("predict")[0], board.key("feedback", name="eve")[0]
    board.log_in(predict)
    assert board.client.get("/").headers["location"] == f"{AT}/try"
    for path in (AT, f"{AT}/versions/1", f"{AT}/quarantine"):
        assert board.client.get(path).status_code == 403
    token = board.token(f"{AT}/try")
    part = {"X-Part": "1", "X-Token": token}
    answer = board.client.post(f"{AT}/try/predict", content=sheet(), headers=part)
    assert answer.status_code == 200
    assert "may not send feedback" in answer.text
    for path in ("/try/feedback", "/updates", "/versions/1/promote", "/quarantine/f-1/accept", "/updates/u/cancel"):
        assert board.client.post(AT + path, data={"token": token, "reason": "r"}).status_code == 403
    board.log_in(feeder)
    page = board.client.get(f"{AT}/try").text
    assert "may not ask for predictions" in page
    token = board.token(f"{AT}/try")
    assert board.client.post(f"{AT}/try/predict", content=sheet(), headers={"X-Token": token}).status_code == 403
    sent = {"token": token, "prediction_id": "later", "label": "bar"}
    assert board.client.post(f"{AT}/try/feedback", data=sent).status_code == 200


def test_hostile_texts_are_shown_as_texts(board: Board) -> None:
    board.log_in()
    board.second("rejected", reasons=[HOSTILE], by=HOSTILE, person=HOSTILE)
    api = {"Authorization": f"Bearer {board.secret}"}
    odd = {"label": 0, "x": torch.ones(1, 8, 8).tolist(), "source": HOSTILE, "key": "odd"}
    assert board.client.post("/v1/projects/marks/feedback", json=odd, headers=api).json()["state"] == "quarantined"
    assert board.send(f"{AT}/versions/2/promote", reason=HOSTILE, revision="1").status_code == 303
    escaped = "&lt;script&gt;alert("
    for path in (AT, f"{AT}/versions/1", f"{AT}/versions/2", f"{AT}/quarantine", f"{AT}/try", f"{AT}?said={HOSTILE}",
                 f"{AT}/versions/{HOSTILE.replace('/', '')}", f"/login?next={HOSTILE}"):  # fmt: skip
        text = board.client.get(path).text
        assert "<script>alert" not in text, path
        assert escaped in text or "said=" in path or "next=" in path, path
    part = {"X-Part": "1", "X-Token": board.token()}
    text = board.client.post(f"{AT}/try/predict", content=sheet(), headers=part).text
    assert "<script>alert" not in text
    assert escaped in text


def test_a_person_decides(board: Board) -> None:
    board.log_in()
    first, second = board.champion(), board.second("waiting", reasons=["good enough"], by="gate")
    page = board.client.get(f"{AT}/versions/2").text
    assert "Promote version 2" in page
    assert "Reject version 2" in page
    assert board.send(f"{AT}/versions/2/promote", reason=" ", revision="1").status_code == 400
    assert board.send(f"{AT}/versions/2/promote", reason="r" * 2001, revision="1").status_code == 400
    assert board.send(f"{AT}/versions/2/crown", reason="r").status_code == 404
    assert board.send(f"{AT}/versions/7/promote", reason="r").status_code == 404
    assert board.send(f"{AT}/versions/2/promote", reason="good", revision="1").headers["location"].startswith(AT)
    assert board.champion() == second
    stale = board.send(f"{AT}/versions/1/rollback", reason="seen too late", revision="1")
    assert stale.status_code == 409
    assert "look at it again" in stale.text
    assert board.client.get(f"{AT}/versions/1").text.count("Roll back to version 1") == 1
    done = board.send(f"{AT}/versions/1/rollback", reason="complaints", revision="2")
    assert done.headers["location"] == f"{AT}?said=rolled-back"
    assert board.champion() == first
    home = board.client.get(done.headers["location"]).text
    assert "was rolled back" in home
    assert "“complaints”" in home
    assert board.send(f"{AT}/versions/2/reject", reason="r").status_code == 409, "it waits no more"
    rows = board.engine.read(lambda connection: audit.listed(connection, project="marks"))
    assert [(row.actor, row.action, row.detail.get("reason")) for row in rows[-2:]] == [
        ("first", "promote", "good"), ("first", "rollback", "complaints")
    ]  # fmt: skip


def test_a_candidate_is_rejected(board: Board) -> None:
    board.log_in()
    board.second("waiting", reasons=["good enough"], by="gate")
    assert "waits for a person" in board.client.get(AT).text
    assert board.send(f"{AT}/versions/2/reject", reason="too slow").status_code == 303
    page = board.client.get(f"{AT}/versions/2").text
    assert "too slow" in page
    assert "all the same" in page


def test_an_update_is_asked_for_and_cancelled(board: Board) -> None:
    board.log_in()
    assert "wait for about" in board.send(f"{AT}/updates").text, "nothing waits"
    x, y = marks(200, 5)
    api = {"Authorization": f"Bearer {board.secret}"}
    lines = [f'{{"label": {label}, "x": {image.tolist()}, "key": "{i}"}}' for i, (image, label) in enumerate(zip(x, y.tolist(), strict=True))]  # fmt: skip  # noqa: E501
    board.client.post("/v1/projects/marks/feedback:batch", content="\n".join(lines), headers=api)
    assert board.send(f"{AT}/updates").status_code == 303
    row = board.engine.read(lambda connection: updates.listed(connection, "marks"))[0]
    assert (row.state, row.trigger["asked_by"]) == ("queued", "first")
    assert "waits for a worker" in board.client.get(AT).text
    assert board.send(f"{AT}/updates/{row.id}/cancel", reason="not now").status_code == 303
    page = board.client.get(AT).text
    assert "not now" in page
    assert "Learn task 2 again" in page
    assert board.send(f"{AT}/updates", task="2", method="nothing").status_code == 400
    assert board.send(f"{AT}/updates", task="7").status_code == 404
    assert board.send(f"{AT}/updates", task="2", method="finetune").status_code == 303
    row = board.engine.read(lambda connection: updates.listed(connection, "marks"))[0]
    assert (row.task, row.method["name"]) == (2, "finetune")
    assert "Learn task" not in board.client.get(AT).text, "one is under way"


def test_the_quarantine_is_reviewed(board: Board) -> None:
    board.log_in()
    assert "Nothing waits here" in board.client.get(f"{AT}/quarantine").text
    api = {"Authorization": f"Bearer {board.secret}"}
    ids = [
        board.client.post("/v1/projects/marks/feedback", json=body, headers=api).json()["id"]
        for body in [{"label": 1, "x": torch.full((1, 8, 8), part).tolist(), "key": str(part)} for part in (0.0, 1.0)]
    ]
    page = board.client.get(f"{AT}/quarantine").text
    assert page.count("<article") == 2
    assert page.count('class="picture"') == 2
    assert board.send(f"{AT}/quarantine/{ids[0]}/accept", reason="").status_code == 303
    assert board.send(f"{AT}/quarantine/{ids[1]}/refuse", reason="an empty sheet").status_code == 303
    assert board.send(f"{AT}/quarantine/{ids[1]}/accept").status_code == 409
    assert board.send(f"{AT}/quarantine/{ids[1]}/keep").status_code == 404
    assert board.send(f"{AT}/quarantine/f-none/accept").status_code == 404
    rows = board.engine.read(lambda connection: feedback.listed(connection, "marks"))
    assert [row.state for row in rows] == ["accepted", "refused"]
    trail = board.engine.read(lambda connection: audit.listed(connection, project="marks"))
    assert [row.action for row in trail[-2:]] == ["accept", "refuse"]


def test_a_long_quarantine_has_pages(board: Board) -> None:
    board.log_in()
    x = torch.ones(1, 8, 8).tolist()
    lines = "\n".join(f'{{"label": 1, "x": {x}, "key": "{i}"}}' for i in range(30))
    board.client.post("/v1/projects/marks/feedback:batch", content=lines, headers={"Authorization": f"Bearer {board.secret}"})  # fmt: skip  # noqa: E501
    page = board.client.get(f"{AT}/quarantine").text
    assert page.count("<article") == 25
    link = re.search(r'href="\?after=(\d+)"', page)
    assert link is not None
    assert board.client.get(f"{AT}/quarantine?after={link[1]}").text.count("<article") == 5
    assert board.client.get(f"{AT}/quarantine?after=-x").text.count("<article") == 25


def test_what_was_drawn_is_predicted_and_corrected(board: Board) -> None:
    board.log_in()
    part = {"X-Part": "1", "X-Token": board.token()}
    answer = board.client.post(f"{AT}/try/predict", content=sheet(), headers=part)
    assert answer.status_code == 200
    name = re.search(r'name="prediction_id" value="([0-9a-f]+)"', answer.text)
    assert name is not None
    for _ in range(100):
        rows = board.engine.read(lambda connection: predictions.listed(connection, "marks"))
        if rows:
            break
        time.sleep(0.02)
    assert [(row.id, row.variant) for row in rows] == [(name[1], "champion")]
    assert np.array(rows[0].x).shape == (1, 8, 8)
    sent = {"token": board.token(), "prediction_id": name[1], "label": "ring"}
    thanks = board.client.post(f"{AT}/try/feedback", data=sent, headers={"X-Part": "1"})
    assert thanks.status_code == 200
    assert "<html" not in thanks.text
    row = board.engine.read(lambda connection: feedback.listed(connection, "marks"))[0]
    assert (row.prediction, row.label, row.source) == (name[1], 2, "first")
    assert "<html" in board.client.post(f"{AT}/try/feedback", data=sent).text, "without the script it is a page"
    for body, status, words in ((bytes(SIDE * SIDE), 400, "empty"), (b"x", 400, "16384"), (b"x" * 16385, 413, "large")):
        refused = board.client.post(f"{AT}/try/predict", content=body, headers=part)
        assert (refused.status_code, words in refused.text) == (status, True)
    unknown = {**sent, "label": "pink"}
    assert board.client.post(f"{AT}/try/feedback", data=unknown).status_code == 400
    assert board.client.post(f"{AT}/try/feedback", data={**sent, "prediction_id": ""}).status_code == 400


def test_other_projects(first_marks: Path, tmp_path: Path) -> None:
    home = shutil.copytree(first_marks, tmp_path / "home")
    x = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    with open_engine(home) as engine:
        begin(engine, FLAT, [Task.of(1, train=(x, x.argmax(1) % 2), test=(x[:100], x[:100].argmax(1) % 2))], actor="a")
    with served(home) as board:
        board.log_in()
        page = board.client.get("/").text
        assert 'href="/projects/flat"' in page
        assert 'href="/projects/marks"' in page
        assert "Try it" not in board.client.get("/projects/flat").text
        assert "cannot be drawn" in board.client.get("/projects/flat/try").text
        assert board.client.get("/projects/none").status_code == 404
        assert board.client.get("/projects/none/live").status_code == 404
        assert board.client.get("/projects/none/try").status_code == 404


def test_without_keys_it_is_for_this_machine(first_marks: Path, tmp_path: Path) -> None:
    with served(shutil.copytree(first_marks, tmp_path / "home"), keys=False) as board:
        client = board.client
        assert client.get("/login").headers["location"] == "/"
        assert client.post("/login").headers["location"] == "/"
        page = client.get(AT)
        assert page.status_code == 200
        assert "Log out" not in page.text
        assert client.get(AT, headers={"Host": "evil.example"}).status_code == 403, "a name that leads here (rebinding)"
        assert client.post(f"{AT}/updates").status_code == 403
        assert client.post(f"{AT}/updates", data={"token": board.token()}, headers={"Origin": "http://evil.example"}).status_code == 403  # fmt: skip  # noqa: E501
        assert "wait for about" in board.send(f"{AT}/updates").text


def test_the_apis_are_not_in_its_shadow(board: Board) -> None:
    client = board.client
    assert client.get("/ping").json() == {"ready": True}
    assert client.get("/v2").json()["name"] == "lifelong"
    assert client.get("/v1/openapi.json").status_code == 200
    assert client.get("/metrics").status_code == 401
    assert client.post("/invocations").status_code == 401
    assert client.get("/nothing").json() == {"error": "Not Found"}
    assert client.get("/static/../app.py").status_code == 404


def test_the_stream_tells_of_changes(board: Board) -> None:
    board.log_in()
    stamp = re.search(r'data-stamp="(\w+)"', board.client.get(AT).text)
    assert stamp is not None
    with board.client.stream("GET", f"{AT}/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = (line for line in stream.iter_lines() if line.startswith("data: "))
        assert next(told) == f"data: {stamp[1]}", "the page knows this already"
        with httpx.Client(base_url=board.url, headers={"Authorization": f"Bearer {board.secret}"}) as api:
            api.post("/v1/projects/marks/feedback", json={"label": 1, "x": marks(1, 9)[0][0].tolist()})
        assert next(told) != f"data: {stamp[1]}"


def test_the_stream_ends_with_the_server(first_marks: Path, tmp_path: Path) -> None:
    home, settings = shutil.copytree(first_marks, tmp_path / "home"), ServeSettings(keys=False)
    with httpx.Client(timeout=10) as client, open_home(home, settings, start_worker=False) as opened:
        with serving(opened.app, settings) as url:
            stream = client.send(client.build_request("GET", f"{url}{AT}/live"), stream=True)
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("event")) == "event: changed"
            began = time.monotonic()
        assert time.monotonic() - began < 5, "it did not wait for the page to go"
        list(lines)
        stream.close()


def test_a_stream_whose_page_goes_is_let_go(first_marks: Path, tmp_path: Path) -> None:
    home, settings = shutil.copytree(first_marks, tmp_path / "home"), ServeSettings(keys=False, connections=4)
    with open_home(home, settings, start_worker=False) as opened, serving(opened.app, settings) as url:
        for _ in range(8):  # twice as many as may be open at once
            with httpx.Client(timeout=10) as client, client.stream("GET", f"{url}{AT}/live") as stream:
                assert stream.status_code == 200
                assert next(stream.iter_lines()).startswith("retry")
            for _ in range(100):
                if httpx.get(f"{url}/ping").status_code == 200:
                    break
                time.sleep(0.02)


def test_a_quiet_stream_says_that_it_is_there() -> None:
    async def told() -> list[bytes]:
        ending = asyncio.Event()

        async def look() -> str:
            return "same"

        stream = changes(look, ending, seconds=0.001)
        found = [await anext(stream) for _ in range(2)]
        asyncio.get_running_loop().call_later(0.05, ending.set)
        return [*found, *[piece async for piece in stream]]

    found = asyncio.run(told())
    assert found[1] == b"event: changed\ndata: same\n\n"
    assert set(found[2:]) <= {b": waiting\n\n"}


def test_many_pages_ask_the_store_once() -> None:
    asked: list[str] = []

    async def look(project: str) -> str:
        asked.append(project)
        await asyncio.sleep(0.01)
        return str(len(asked))

    async def told() -> list[str]:
        stamps = Stamps(look, seconds=60)
        return await asyncio.gather(*(stamps.of("a") for _ in range(20)), stamps.of("b"))

    assert set(asyncio.run(told())) == {"1", "2"}
    assert asked == ["a", "b"]


def test_progress_in_words(board: Board) -> None:
    board.second()
    row = facts(board.engine, "marks").active
    assert row is not None
    told = {}
    for name, state, progress in (
        ("queued", "queued", None),
        ("starting", "training", {"stage": "starting"}),
        ("begins", "training", {"stage": "learning", "step": 0}),
        ("half", "training", {"stage": "learning", "step": 500, "steps": 1000, "loss": 0.5}),
        ("exams", "training", {"stage": "exams", "of": 3}),
    ):
        view = running(type(row)(**{**{f: getattr(row, f) for f in row.__struct_fields__},
                                    "state": state, "progress": progress}))  # fmt: skip
        told[name] = (view["share"], view["told"])
    assert told == {
        "queued": (None, "waits for a worker"),
        "starting": (None, "starting"),
        "begins": (0.0, "begins to learn"),
        "half": (0.5, "learns, step 500 of 1,000, loss 0.5"),
        "exams": (1.0, "sits 3 exams"),
    }


def test_drawings_look_like_what_the_model_knows() -> None:
    x = np.zeros((40, 1, 28, 28), dtype=np.float32)
    x[:, :, 4:24, 10:18] = 1
    schema = InputSchema((1, 28, 28), 0, 1)
    light = manner_of(x, schema)
    dark = manner_of(1 - x, schema)
    assert (light.empty, light.full, round(light.extent, 3)) == (0, 1, 0.714)
    assert (dark.empty, dark.full, round(dark.extent, 3)) == (1, 0, 0.714)
    byte = manner_of(255 * x, InputSchema((28, 28), dtype="uint8"))
    assert (byte.empty, byte.full) == (0, 255)
    assert manner_of(4 * x - 2, InputSchema((28, 28))) == Manner(-2, 2, light.extent), "no range: that of the images"
    assert manner_of(x[:0], schema) == Manner(0, 1)
    ink = np.zeros((SIDE, SIDE), dtype=np.uint8)
    ink[3:43, 3:13] = 255
    drawn = scanned(ink.tobytes(), schema, light)
    rows, columns = np.flatnonzero(drawn[0].max(1) > 0.6), np.flatnonzero(drawn[0].max(0) > 0.6)
    assert (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1) == (20, 4), (
        "the proportions stay: 5 wide, half on each side"
    )
    centre = [float((places * drawn[0]).sum() / drawn.sum()) for places in np.mgrid[:28, :28]]
    assert centre == pytest.approx([13.5, 13.5], abs=0.05)
    assert schema.check(scanned(ink.tobytes(), schema, dark)).shape == (1, 28, 28)
    assert np.allclose(scanned(ink.tobytes(), schema, dark), 1 - drawn)
    whole = scanned(ink.tobytes(), InputSchema((28, 28), dtype="uint8"), byte)
    assert np.array_equal(whole, np.round(whole))
    ink[:] = 255
    full = scanned(ink.tobytes(), SCHEMA, Manner(0, 1, 1.0))
    assert np.allclose(full, 1), "nothing is lost between the lines"
    assert frame(InputSchema((3, 32, 32))) is None
    assert frame(InputSchema((1, 224, 224))) is None
    assert picture([1, 2, 3], InputSchema((3,)), "x") is None
    with pytest.raises(DataError, match="empty"):
        scanned(bytes(SIDE * SIDE), schema, light)


def test_svg_escapes_what_it_tells() -> None:
    told = curve(HOSTILE, [(1, 0.9)], {1}, champion=1, last=1) + interval(HOSTILE, -0.1, 0.0, 0.1, -0.05)
    shown = picture(np.zeros((8, 8)), SCHEMA, HOSTILE)
    assert "<script>" not in f"{told}{shown}"
    assert f"{told}{shown}".count("&lt;script&gt;") == 3


def test_the_heat_map_can_be_read() -> None:
    css = (Path(dashboard.__file__).parent / "static" / "dashboard.css").read_text()
    found = re.findall(r"\.heat-(\d+) \{ background: #(\w{6}); color: #(fff|000); \}", css)
    assert [int(number) for number, _, _ in found] == list(range(LEVELS + 1))

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lights = [light(colour) for _, colour, _ in found]
    assert lights == sorted(lights), "more is lighter, in grey too"
    for own, (_, _, ink) in zip(lights, found, strict=True):
        high, low = sorted([own, light(ink * 2)], reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_logging_in_from_many_threads_keeps_one_book(board: Board) -> None:
    failures: list[int] = []

    def enter() -> None:
        with httpx.Client(base_url=board.url, timeout=10) as client:
            client.post("/login", data={"key": board.secret})
            failures.extend([] if client.get(AT).status_code == 200 else [1])

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
