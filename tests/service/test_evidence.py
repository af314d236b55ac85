"""Evidence for and against a canary: real requests, a version that really fails, a worker that looks.

Version 2 knows colours as well as version 1, but gives no finite numbers for bright ones. Version 3 is always wrong.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from lifelong.loop.engine import Engine
from lifelong.loop.engine.begin import begin
from lifelong.loop.learning import Candidate, opened
from lifelong.loop.quarantine import Rules
from lifelong.service import home as service_home
from lifelong.service.home import open_engine, open_home
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings
from lifelong.store import audit, versions
from lifelong.types import Task

from .painting import AT, PAINT, colours

BRIGHT, DARK = [1.0, 0.9, 0.9], [0.2, 0.1, 0.1]


@dataclass(frozen=True)
class Running:
    """A server with its worker, which can be made to `look`, and a client of it."""

    client: httpx.Client
    engine: Engine
    look: Callable[[], object]

    def traffic(self, **body: Any) -> dict[str, Any]:
        """Give traffic; what is in force then."""
        answer = self.client.put(f"{AT}/traffic", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def seen(self) -> dict[str, Any]:
        return self.client.get(f"{AT}/traffic").json()

    def did(self, variant: str) -> dict[str, int]:
        """The counts of a variant."""
        rows = [row for row in self.seen()["answered"] if row["variant"] == variant]
        return {name: sum(row[name] for row in rows) for name in ("requests", "failed", "labelled", "right")}

    def ask(self, user: int, x: list[float]) -> tuple[str, str]:
        """Who answered, and the id of the prediction."""
        tensor = {"name": "input", "shape": [1, 3], "datatype": "FP32", "data": x}
        answer = self.client.post(
            "/v2/models/paint/infer", json={"inputs": [tensor]}, headers={"sticky-key": f"user {user}"}
        )
        assert answer.status_code == 200, answer.text
        named = {each["name"]: each["data"] for each in answer.json()["outputs"]}
        return answer.json()["parameters"]["variant"], named["prediction_id"][0]

    def reasons(self) -> list[str]:
        """Why canaries were taken back, the first first."""
        trail = self.engine.read(lambda connection: audit.listed(connection, project="paint"))
        return [row.detail["reason"] for row in sorted(trail, key=lambda row: row.seq) if row.actor == "canary"]


def until(condition: Any) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come about within 30 seconds"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the three versions."""
    home = tmp_path_factory.mktemp("gallery") / "home"
    project = replace(PAINT, rules=Rules(rate=0, outlier=0, suspicion=0))
    with open_engine(home) as engine:
        begin(engine, project, [Task.of(1, train=colours(300, 0), test=colours(100, 1))], actor="ann")
        one = engine.read(lambda connection: versions.listed(connection, "paint"))[0]
        for change in (overflow, turn_round):
            learner = opened(engine.blobs.get(one.blob))
            with torch.no_grad():
                change(*learner.model.parameters())
            row = versions.NewVersion(
                project="paint",
                parent=one.id,
                blob=engine.blobs.put(Candidate.of(learner).data),
                settings=one.settings,
                task=1,
                exam_row=one.exam_row,
            )
            engine.write(lambda connection, row=row: versions.add(connection, row, 5.0))
    return home


def overflow(weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Logits that leave float32 where the input is bright."""
    weight.fill_(1.5e38)


def turn_round(weight: torch.Tensor, bias: torch.Tensor) -> None:
    weight.neg_()
    bias.neg_()


@contextlib.contextmanager
def served(home: Path, worker: bool = True) -> Iterator[Running]:
    settings = ServeSettings(keys=False, poll_seconds=600)
    with (
        open_home(home, settings, with_worker=False, start_worker=worker) as opened,
        serving(opened.app, settings) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield Running(client, opened.engine, opened.worker.look)


@pytest.fixture
def home(gallery: Path, tmp_path: Path) -> Path:
    return shutil.copytree(gallery, tmp_path / "home")


def test_a_canary_that_fails_is_taken_back_and_may_be_tried_again(home: Path) -> None:
    with served(home) as running:
        running.traffic(canary="2", percent=50)
        assert {running.ask(user, BRIGHT)[0] for user in range(60)} == {"champion"}, "the champion answers for it"
        until(lambda: running.seen()["canary"] is None)
        (reason,) = running.reasons()
        assert reason.startswith("errors: ")
        assert running.traffic(canary="2", percent=50)["revision"] == 3
        who = [running.ask(user, DARK)[0] for user in range(60)]
        assert 10 <= who.count("canary") <= 50
        until(lambda: running.did("canary")["requests"] == who.count("canary"))
        running.look()
        assert running.seen()["verdict"]["kind"] == "wait"
        assert running.did("canary")["failed"] == 0, "nothing is held against it that it did before"
        assert running.reasons() == [reason]


def test_failures_outlive_the_server_and_old_ones_hide_nothing(home: Path) -> None:
    with served(home, worker=False) as running:
        running.traffic(canary="2", percent=100)
        for user in range(3):
            running.ask(user, BRIGHT)
        until(lambda: running.did("canary")["failed"] == 3)
    with served(home, worker=False) as running:
        assert running.did("canary") == {"requests": 3, "failed": 3, "labelled": 0, "right": 0}
        for user in range(2):
            running.ask(user, BRIGHT)
        until(lambda: running.did("canary")["failed"] == 5)
        assert 'lifelong_failed_total{project="paint",' in running.client.get("/metrics").text
        assert running.traffic(canary="2", percent=99)["revision"] == 2
        assert running.did("canary")["failed"] == 0


def test_a_canary_that_is_right_less_often_is_taken_back(home: Path) -> None:
    with served(home) as running:
        running.traffic(canary="3", percent=50)
        x, y = colours(80, 7)
        for user, (one, label) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
            _, prediction = running.ask(user, one)
            body = {"key": f"k{user}", "label": PAINT.classes[label], "prediction_id": prediction}
            assert running.client.post(f"{AT}/feedback", json=body).status_code == 201
        until(lambda: running.seen()["canary"] is None)
        (reason,) = running.reasons()
        assert reason.startswith("wrong answers: ")


def test_a_canary_that_is_damaged_leaves_the_traffic_with_the_reason(home: Path) -> None:
    with served(home) as running:
        two = running.client.get(f"{AT}/versions/2").json()
        (home / "blobs" / two["blob"]).write_bytes(b"damaged")
        then = running.traffic(canary="2", percent=100, shadow="3")
        assert (then["canary"], then["revision"]) == (None, 2)
        assert running.ask(1, DARK)[0] == "champion"
        trail = running.engine.read(lambda connection: audit.listed(connection, project="paint"))
        (entry,) = [row for row in trail if row.actor == "server"]
        assert "is damaged" in entry.detail["reason"]
        assert entry.detail["shadow"] is not None, "the other one stays"


def test_a_version_asked_by_its_id_is_no_evidence(home: Path) -> None:
    with served(home, worker=False) as running:
        one, two, _ = (row["id"] for row in running.client.get(f"{AT}/versions").json())
        running.traffic(canary="2", percent=50)
        for version, variant in ((two, "named"), (one, "champion")):
            tensor = {"name": "input", "shape": [1, 3], "datatype": "FP32", "data": DARK}
            body = {"inputs": [tensor]}
            answer = running.client.post(f"/v2/models/paint/versions/{version}/infer", json=body).json()
            assert (answer["parameters"]["variant"], answer["model_version"]) == (variant, version)
        tensor = {"name": "input", "shape": [1, 3], "datatype": "FP32", "data": BRIGHT}
        assert (
            running.client.post(f"/v2/models/paint/versions/{two}/infer", json={"inputs": [tensor]}).status_code == 500
        )
        until(lambda: running.did("named")["requests"] == 1)
        assert running.did("canary")["requests"] == 0
        assert running.did("champion") == {"requests": 1, "failed": 0, "labelled": 0, "right": 0}
        assert running.seen()["verdict"]["evidence"]["errors"]["canary"] == [0, 0]


def test_answers_and_traffic_are_told_apart_by_one_clock(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the engine, which is slow here: the machine's own would put every answer after every change."""
    now = [1e9]

    @contextlib.contextmanager
    def slow(*place: Any) -> Iterator[Engine]:
        with open_engine(*place) as engine:
            yield replace(engine, clock=lambda: now[0])

    monkeypatch.setattr(service_home, "open_engine", slow)
    with served(home, worker=False) as running:
        running.traffic(canary="3", percent=0)
        running.ask(1, DARK)
        until(lambda: running.did("champion")["requests"] == 1)
        now[0] += 1
        running.traffic(canary="3", percent=1)
        assert running.did("champion")["requests"] == 0
