"""Limits: how many lines in a batch, how long others wait for one, how many requests a key may make."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import pytest

from lifelong.cli import main
from lifelong.cli.serve import serve
from lifelong.loop.engine.intake import Given, Intake
from lifelong.service.home import first_key, open_home
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings
from lifelong.service.v1.taking import PIECE
from lifelong.store.errors import DatabaseError

from .painting import AT, Paint, problem

LINE = b'{"label": 1, "x": [0, 1, 0]}\n'
LABEL = {"label": 1, "x": [0, 1, 0]}

Added = Callable[[Intake, str, Sequence[Given]], list[Any]]


@contextmanager
def limited(begun: Path, tmp_path: Path, settings: ServeSettings) -> Iterator[Paint]:
    """The server with these settings."""
    home = shutil.copytree(begun, tmp_path / "home")
    with open_home(home, settings, start_worker=False) as opened, serving(opened.app, settings) as url:
        secret = first_key(opened.engine) or ""
        with httpx.Client(base_url=url, timeout=60, headers={"Authorization": f"Bearer {secret}"}) as client:
            yield Paint(client, opened.engine, secret)


def around(monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None]) -> list[int]:
    """The numbers of labels that the intake stores at once from now on; `before` hears of each piece's number first."""
    sizes: list[int] = []
    add_many: Added = Intake.add_many

    def added(intake: Intake, name: str, many: Sequence[Given]) -> list[Any]:
        before(len(sizes))
        sizes.append(len(many))
        return add_many(intake, name, many)

    monkeypatch.setattr(Intake, "add_many", added)
    return sizes


def test_others_have_their_turn_within_a_batch(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with limited(begun, tmp_path, ServeSettings(poll_seconds=600)) as paint:
        stored: list[int] = []

        def before(piece: int) -> None:
            if piece == 1:  # the batch is at work, and somebody else sends a label
                other = httpx.post(
                    f"{paint.client.base_url}{AT}/feedback", json={**LABEL, "key": "single"},
                    headers={"Authorization": f"Bearer {paint.secret}"}, timeout=30,
                )  # fmt: skip
                stored.append(other.status_code)

        sizes = around(monkeypatch, before)
        count = 2 * PIECE + 1
        answer = paint.client.post(f"{AT}/feedback:batch", content=LINE * count)
        assert sizes == [PIECE, PIECE, 1]
        assert stored == [201]
        results = [json.loads(line) for line in answer.text.splitlines()]
        assert len({result["id"] for result in results}) == count
        rows = paint.client.get(f"{AT}/feedback", params={"after": PIECE, "limit": 1}).json()
        assert rows[0]["key"] == "single", "after the first piece, before the second"


def test_a_line_without_error_is_stored_when_the_store_fails_midway(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with limited(begun, tmp_path, ServeSettings(poll_seconds=600)) as paint:

        def before(piece: int) -> None:
            if piece == fails:
                raise DatabaseError("postgresql://secret.example", "connection to 10.0.0.1 lost", "send again")

        around(monkeypatch, before)
        fails = 1
        answer = paint.client.post(f"{AT}/feedback:batch", content=LINE * (PIECE + 2))
        results = [json.loads(line) for line in answer.text.splitlines()]
        assert [("error" in result) for result in results] == [False] * PIECE + [True, True]
        assert results[-1]["error"] == f"line {PIECE + 2}: not stored: the store does not answer: send again"
        counts = paint.client.get(AT).json()["feedback"]
        assert sum(counts.values()) == PIECE
    with limited(begun, tmp_path / "again", ServeSettings(poll_seconds=600)) as paint:
        monkeypatch.undo()
        around(monkeypatch, before)
        fails = 0
        assert "send again" in problem(paint.client.post(f"{AT}/feedback:batch", content=LINE * 2), 503)


def test_too_many_lines_are_refused_and_none_is_stored(begun: Path, tmp_path: Path) -> None:
    with limited(begun, tmp_path, ServeSettings(poll_seconds=600, max_lines=3)) as paint:
        for lines in (LINE * 4, b"\n" * 4, LINE * 3 + b"{"):
            told = problem(paint.client.post(f"{AT}/feedback:batch", content=lines), 413)
            assert told == "4 lines in one request, 3 are taken; send them in several requests"
        assert paint.client.get(f"{AT}/feedback").json() == []
        assert paint.client.post(f"{AT}/feedback:batch", content=LINE * 3).text.count('"id"') == 3
        assert paint.client.post(f"{AT}/feedback:batch", content=(LINE * 3)[:-1]).text.count('"id"') == 3


def test_one_key_may_make_so_many_requests(begun: Path, tmp_path: Path) -> None:
    with limited(begun, tmp_path, ServeSettings(poll_seconds=600, rate=0.01, burst=3)) as paint:
        statuses = [paint.client.post(f"{AT}/feedback", json=LABEL).status_code for _ in range(4)]
        assert statuses == [201, 201, 201, 429]
        assert "requests per second; wait" in problem(paint.client.get(AT), 429)
        assert paint.client.get("/v2/models/paint").status_code == 429, "it counts wherever it goes"
        assert paint.client.get(AT, headers=paint.like("admin")).status_code == 200, "another key"


def test_the_command_offers_the_limits_with_the_same_defaults() -> None:
    offered = {name: each.default for name, each in inspect.signature(serve).parameters.items()}
    known = {each.name: each.default for each in fields(ServeSettings)}
    for name in ("keys", "durable", "max_body", "max_rows", "max_lines", "rate", "burst"):
        assert offered[name] == known[name], name


@pytest.mark.parametrize(
    ("option", "value"), [("max-body", "0"), ("max-rows", "0"), ("max-lines", "0"), ("rate", "-1"), ("burst", "0")]
)
def test_the_command_hands_them_on(option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--home", str(tmp_path / "home"), f"--{option}", value])
    assert ended.value.code == 2
    assert f"{option.replace('-', '_')} must be" in capsys.readouterr().err
