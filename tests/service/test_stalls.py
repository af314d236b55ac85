"""A project that stalls is told of once: in the metrics, and to a real webhook."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from waiting import until

from lifelong.errors import SettingError
from lifelong.service.metrics import Metrics
from lifelong.service.settings import ServeSettings
from lifelong.service.stalls import Stalls
from lifelong.store import updates, versions

from .painting import Paint


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that takes news, and what it was sent."""
    seen: list[dict[str, Any]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/news", seen
        server.shutdown()


def ended(paint: Paint, number: int, state: str) -> None:
    """An update that came to that end."""

    def work(connection: updates.Connection) -> None:
        first = versions.listed(connection, "paint")[0].id
        trigger = {"kind": "by-hand"}
        row = updates.enqueue(connection, "paint", f"u{number}", trigger=trigger, base_version=first, now=number)
        decision = {"reason": "no room"} if state == "failed" else {"failed": []}
        updates.change(
            connection, row.id, expected="queued", owner=None, to=state, now=number, task=2, decision=decision
        )

    paint.engine.write(work)


def test_a_stall_is_told_of_once_and_is_over_when_an_update_is_promoted(
    paint: Paint, webhook: tuple[str, list[dict[str, Any]]]
) -> None:
    url, seen = webhook
    metrics = Metrics()
    stalls = Stalls(paint.engine, metrics, url)
    for number, gauge in ((1, 0), (2, 0), (3, 1), (4, 1)):
        ended(paint, number, "failed")
        stalls.look("paint")
        assert metrics.stalled.get("paint") == gauge
    until(lambda: seen, bool, 10.0)
    assert len(seen) == 1
    assert (seen[0]["event"], seen[0]["project"]) == ("stalled", "paint")
    assert seen[0]["why"] == "the updates could not be learned"
    assert len(seen[0]["updates"]) == 3
    assert 'lifelong_stalled{project="paint"} 1' in metrics.text()
    assert "# TYPE lifelong_stalled gauge" in metrics.text()
    ended(paint, 5, "promoted")
    stalls.look("paint")
    assert metrics.stalled.get("paint") == 0


def test_a_webhook_that_does_not_answer_costs_nothing_but_a_line(
    paint: Paint, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifelong.service.stalls.TRIES", (0.0, 0.0))
    for number in range(3):
        ended(paint, number, "rejected")
    with caplog.at_level(logging.WARNING):
        Stalls(paint.engine, Metrics(), "http://127.0.0.1:9/").look("paint")
        until(lambda: caplog.text, lambda text: "was not reached" in text, 10.0)
    assert caplog.text.count("stalls") >= 1


def test_a_webhook_is_an_address_of_the_web() -> None:
    with pytest.raises(SettingError, match="begins with http"):
        ServeSettings(webhook="file:///etc/passwd")
