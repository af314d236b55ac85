"""Who may see and do what on the dashboard: log-in, scopes, forged requests, headers."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from lifelong.service import dashboard
from lifelong.service.dashboard.page import HEADERS
from lifelong.service.dashboard.session import REMEMBERED, Attempts, Sessions
from lifelong.service.problems import ProblemError
from lifelong.store import keys

from .marking import AT, Board, sheet


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
