"""The whole loop by its commands and over HTTP: learn, serve, correct, reject, die, promote, go back."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import waiting
from waiting import joined

from lifelong.cli import main
from lifelong.loop.gate import Gate
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import LearnerSettings, MethodChoice, Project, to_toml
from lifelong.loop.schema import InputSchema
from lifelong.loop.triggers import ByHand
from lifelong.service.client import Server
from lifelong.service.worker import work_for
from lifelong.streams.sources import digits
from lifelong.streams.transforms import rotate
from lifelong.training import Training

AT = "/v1/projects/digits"
PATIENCE = 240.0  # seconds; a busy machine starts a process slowly

PROJECT = Project(
    "digits",
    InputSchema((1, 8, 8), 0, 1),
    tuple("0123456789"),
    learner=LearnerSettings("mlp:64", training=Training(epochs=15, lr=0.1)),
    method=MethodChoice("er", {"capacity": 500, "replay_batch": 64}),
    gate=Gate(power=0.0, max_forgetting=0.1),
    triggers=(ByHand(),),
    exam=ExamSettings(0.3, minimum=40),
    repair=(),
)


@dataclass
class Running:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    secret: str

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, headers={"Authorization": f"Bearer {self.secret}"})


@contextlib.contextmanager
def served(home: Path, *options: str, secret: str = "") -> Iterator[Running]:
    """`lifelong serve`; the first time it tells the key."""
    command = [sys.executable, "-c", "from lifelong.cli import main; main()", "serve", "--home", str(home), *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if line.startswith("admin key"):
                secret = line.split()[-1]
                line = process.stdout.readline()
            assert line.startswith("serving http"), line
            yield Running(process, line.split()[-1], secret)
        finally:
            process.terminate()
            process.wait(30)


def until(ask: Callable[[], dict[str, Any]], *states: str) -> dict[str, Any]:
    return waiting.until(ask, lambda row: row["state"] in states, PATIENCE, every=0.1)


def infer(client: httpx.Client, x: torch.Tensor) -> dict[str, Any]:
    tensor = {"name": "input", "shape": list(x.shape), "datatype": "FP32", "data": x.flatten().tolist()}
    answer = client.post("/v2/models/digits/infer", json={"inputs": [tensor]})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return {"version": body["model_version"], **{each["name"]: each["data"] for each in body["outputs"]}}


def right(answered: dict[str, Any], y: torch.Tensor) -> float:
    """The fraction of right answers."""
    found = [int(label) == int(true) for label, true in zip(answered["label"], y, strict=True)]
    return sum(found) / len(found)


@dataclass
class Crowd:
    """Clients that go on asking until `stop`; who answered, and what went wrong."""

    running: Running
    versions: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        x = digits().test_x[:1]
        with self.running.client() as client:
            while not self.stop.wait(0.05):
                try:
                    self.versions.append(infer(client, x)["version"])
                except (AssertionError, httpx.HTTPError) as error:
                    self.failures.append(repr(error))


@contextlib.contextmanager
def crowd(running: Running) -> Iterator[Crowd]:
    made = Crowd(running)
    threads = [threading.Thread(target=made.ask, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        made.stop.set()
        joined(threads)


@contextlib.contextmanager
def learning(running: Running, folder: Path) -> Iterator[None]:
    """What `lifelong worker` does."""
    stopping = threading.Event()
    server = Server(running.url, running.secret)
    thread = threading.Thread(target=work_for, args=(server, folder, stopping, 0.2), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        joined([thread], PATIENCE)


def test_the_loop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, config = tmp_path / "home", tmp_path / "project.toml"
    config.write_text(to_toml(PROJECT))
    with pytest.raises(SystemExit):
        main(["loop", "init", "--home", str(home), "--stream", "rotated-digits", "--config", str(config)])
    assert "version 1" in capsys.readouterr().out
    source = digits()
    x, y = rotate(source.train_x[700:1000], 90), source.train_y[700:1000]
    with served(home) as running, running.client() as client:
        secret = running.secret
        answered = infer(client, x)
        first = answered["version"]
        before = right(answered, y)
        lines = [
            json.dumps({"label": int(label), "prediction_id": name, "key": name, "source": "users"})
            for name, label in zip(answered["prediction_id"], y, strict=True)
        ]
        results = client.post(f"{AT}/feedback:batch", content="\n".join(lines)).text.splitlines()
        acknowledged = {json.loads(line)["id"] for line in results}
        assert len(acknowledged) == 300
        asked = client.post(f"{AT}/updates", json={"method": {"name": "finetune"}}).json()
        rejected = until(lambda: client.get(f"{AT}/updates/{asked['id']}").json(), "rejected", "failed", "promoted")
        assert rejected["state"] == "rejected", rejected["decision"]
        assert rejected["decision"]["reasons"][0].startswith("1 old task(s) together")
        assert rejected["decision"]["evidence"][0]["difference"] < -0.1
        assert infer(client, x)["version"] == first
        again = client.post(f"{AT}/updates", json={"task": rejected["task"]}).json()
        until(lambda: client.get(f"{AT}/updates/{again['id']}").json(), "training")
        one_more = client.post(f"{AT}/feedback", json={"label": 1, "x": x[0].tolist(), "key": "the last"}).json()
        acknowledged.add(one_more["id"])
        running.process.kill()
        running.process.wait(30)
    with (
        served(home, "--no-worker", secret=secret) as running,
        running.client() as client,
        crowd(running) as users,
        learning(running, tmp_path / "elsewhere"),
    ):
        promoted = until(
            lambda: client.get(f"{AT}/updates/{again['id']}").json(),
            "promoted",
            "known",
            "rejected",
            "failed",
            "cancelled",
        )
        assert promoted["state"] == "promoted", promoted["decision"]
        assert promoted["attempt"] == 2
        # the row says "promoted" before the server has loaded the version: it answers a moment later
        waiting.until(lambda: infer(client, x)["version"], lambda version: version == promoted["candidate"], 10.0)
        assert right(infer(client, x), y) > before + 0.3, "it has learned what its users corrected"
        rows = client.get(f"{AT}/feedback", params={"limit": 1000}).json()
        assert {row["id"] for row in rows} == acknowledged
        assert len(rows) == 301
        monkey = pytest.MonkeyPatch()
        with monkey.context() as patched:
            patched.setenv("LIFELONG_KEY", secret)
            with pytest.raises(SystemExit):
                main(["loop", "rollback", "--home", str(home), "--reason", "to see that it works"])
        assert f"version {first[:12]} answers now" in capsys.readouterr().out
        assert infer(client, x)["version"] == first
        trail = client.get(f"{AT}/audit", params={"verify": True}).json()
        assert trail["breaks"] == []
        actions = [entry["action"] for entry in trail["entries"]]
        assert actions == ["create", "promote", "update", "reject", "update", "promote", "rollback"]
        users.stop.set()
    assert users.failures == []
    assert set(users.versions) == {first, promoted["candidate"]}
