"""What is put together late: once, while others wait for it and hold nobody up, and not before a server is ready."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp
from waiting import joined

from lifelong.service import home as at_home
from lifelong.service.late import Late
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings


def test_who_asks_meanwhile_waits_without_a_thread_and_it_is_made_once() -> None:
    calls: list[threading.Thread] = []
    go = threading.Event()

    def make() -> ASGIApp:
        calls.append(threading.current_thread())
        assert go.wait(10)
        return PlainTextResponse("here")

    async def ask() -> list[str]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(late), base_url="http://late") as client:
            asked = [asyncio.create_task(client.get("/")) for _ in range(100)]
            await asyncio.sleep(0.05)
            assert not any(each.done() for each in asked)
            assert await asyncio.wait_for(asyncio.to_thread(lambda: True), 5), "threads are left for others"
            go.set()
            return [(await each).text for each in asked]

    late = Late(make)
    assert asyncio.run(ask()) == ["here"] * 100
    assert len(calls) == 1
    assert calls[0] is not threading.main_thread(), "the event loop had to wait"


def test_what_fails_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    tries = iter([OSError("no disk"), PlainTextResponse("here")])

    def make() -> ASGIApp:
        found = next(tries)
        if isinstance(found, OSError):
            raise found
        return found

    async def ask() -> None:
        with pytest.raises(OSError, match="no disk"):
            await late.begin()
        assert await late.begin() is await late.begin()

    late = Late(make)
    asyncio.run(ask())
    assert [record.getMessage() for record in caplog.records] == ["what is made late cannot be made"]


def test_predictions_are_answered_while_the_api_is_made(
    begun: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make, go = at_home._api, threading.Event()

    def waits(here: at_home.Here, taking: at_home.Taking) -> ASGIApp:
        assert go.wait(20)
        return make(here, taking)

    monkeypatch.setattr(at_home, "_api", waits)
    shutil.copytree(begun, tmp_path / "home")
    settings, answers = ServeSettings(keys=False), list[int]()
    question = {"inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP32", "data": [0.9, 0.1, 0.1]}]}
    with at_home.open_home(tmp_path / "home", settings) as opened, serving(opened.app, settings) as url:

        def ask() -> None:
            answers.append(httpx.get(f"{url}/v1/projects/paint", timeout=30).status_code)

        waiting = [threading.Thread(target=ask, daemon=True) for _ in range(30)]
        for each in waiting:
            each.start()
        time.sleep(0.3)  # until they have all asked; were it too short, the test would see less
        for _ in range(3):
            assert httpx.post(f"{url}/v2/models/paint/infer", json=question, timeout=5).status_code == 200
        assert answers == []
        go.set()
        joined(waiting)
    assert answers == [200] * 30


def test_a_server_is_ready_without_fastapi_and_misses_it_at_once() -> None:
    code = (
        "import sys, importlib, importlib.util as util, lifelong.service.home as home; "
        "assert not {'fastapi', 'pydantic'} & set(sys.modules); "
        "util.find_spec = lambda name: None; importlib.reload(home)"
    )
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'fastapi'\n"), done.stderr
