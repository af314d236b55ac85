"""The dashboard without a browser: what is shown and decided there, hostile texts, drawings as feedback."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import numpy as np
import torch

from lifelong.loop.engine.begin import begin
from lifelong.service.dashboard.picture import SIDE
from lifelong.service.home import open_engine
from lifelong.store import audit, feedback, predictions, updates
from lifelong.types import Task

from .marking import AT, FLAT, HOSTILE, Board, marks, served, sheet


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


def test_all_that_waits_is_accepted_with_one_reason(board: Board) -> None:
    board.log_in()
    api = {"Authorization": f"Bearer {board.secret}"}
    for number in range(6):
        odd = {"label": 0, "x": torch.full((1, 8, 8), 1 - number / 100).tolist(), "source": f"s{number // 3}"}
        sent = board.client.post("/v1/projects/marks/feedback", json={**odd, "key": f"k{number}"}, headers=api)
        assert sent.json()["state"] == "quarantined"
    assert "all 6" in board.client.get(f"{AT}/quarantine").text
    assert board.send(f"{AT}/quarantine/accept", reason=" ").status_code == 400
    assert board.send(f"{AT}/quarantine/burn", reason="r").status_code == 404
    assert board.send(f"{AT}/quarantine/refuse", reason="a prank", source="s1").status_code == 303
    done = board.send(f"{AT}/quarantine/accept", reason="a new world")
    assert done.headers["location"].endswith("said=all-accepted")
    assert "the next update learns them" in board.client.get(done.headers["location"]).text
    found = board.engine.read(lambda connection: feedback.counts(connection, "marks"))
    assert (found["accepted"], found["refused"]) == (3, 3)


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
    assert client.get("/nothing").json()["error"].startswith("nothing is at this address")
    assert client.get("/static/../app.py").status_code == 404
