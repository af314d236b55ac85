"""What is put together late: once, while others wait for it, and not before a server is ready."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from lifelong.service.late import Late


def test_who_asks_meanwhile_waits_and_it_is_made_once() -> None:
    calls: list[threading.Thread] = []
    go = threading.Event()

    def make() -> ASGIApp:
        calls.append(threading.current_thread())
        assert go.wait(10)
        return PlainTextResponse("here")

    async def ask() -> list[str]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(late), base_url="http://late") as client:
            asked = [asyncio.create_task(client.get("/")) for _ in range(3)]
            await asyncio.sleep(0.05)
            assert not any(each.done() for each in asked)
            go.set()
            return [(await each).text for each in asked]

    late = Late(make)
    assert asyncio.run(ask()) == ["here"] * 3
    assert len(calls) == 1
    assert calls[0] is not threading.main_thread(), "the event loop had to wait"


def test_what_fails_is_tried_again() -> None:
    tries = iter([OSError("no disk"), PlainTextResponse("here")])

    def make() -> ASGIApp:
        found = next(tries)
        if isinstance(found, OSError):
            raise found
        return found

    late = Late(make)
    with pytest.raises(OSError, match="no disk"):
        late.made()
    assert late.made() is late.made()


def test_a_server_is_ready_without_fastapi() -> None:
    code = "import sys, lifelong.service.home; assert not {'fastapi', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
