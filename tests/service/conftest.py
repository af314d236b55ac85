"""A catalogue in memory, versions that answer differently, and a real server on loopback."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from loop_server import fork_server, prepare

from lifelong import Learner, Space
from lifelong.errors import StorageError
from lifelong.loop import Project
from lifelong.loop.learning import Candidate
from lifelong.loop.project import LearnerSettings
from lifelong.loop.schema import InputSchema
from lifelong.service.app import create_app
from lifelong.service.catalogue import Blob, Champion, Failure, Key, Prediction
from lifelong.service.metrics import Metrics
from lifelong.service.models import Models
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings

from .marking import board, first_marks  # noqa: F401
from .painting import begun, first, paint  # noqa: F401

CLASSES = ("red", "green", "blue")


@dataclass
class Memory:
    """A catalogue in memory, whose parts a test may change and break."""

    known: dict[str, Project] = field(default_factory=dict)
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    rows: dict[str, Champion] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    logged: list[Prediction] = field(default_factory=list)
    log_fails: bool = False
    log_waits: threading.Event | None = None
    key_lookups: int = 0
    blob_reads: int = 0
    before: list[str] = field(default_factory=list)
    withdrawn: dict[str, str] = field(default_factory=dict)
    failed: dict[tuple[str, int, str, str], int] = field(default_factory=dict)

    def projects(self) -> Sequence[str]:
        return list(self.known)

    def project(self, name: str) -> Project | None:
        return self.known.get(name)

    def champion(self, project: str) -> Champion | None:
        return self.rows.get(project)

    def blob(self, project: str, version: str) -> Blob | None:
        self.blob_reads += 1
        data = self.blobs.get((project, version))
        return None if data is None else Blob(data, version)

    def check_key(self, secret: str) -> Key | None:
        self.key_lookups += 1
        return self.keys.get(secret)

    def past(self, project: str, count: int) -> Sequence[str]:
        return self.before[:count]

    def has(self, project: str, version: str) -> bool:
        return (project, version) in self.blobs

    def withdraw(self, project: str, version: str, reason: str) -> None:
        self.withdrawn[version] = reason
        row = self.rows[project]
        canary, shadow = (None if each == version else each for each in (row.canary, row.shadow))
        self.rows[project] = replace(row, canary=canary, shadow=shadow, traffic=row.traffic + 1)

    def log(self, rows: Sequence[Prediction], failures: Sequence[Failure] = ()) -> Future[None]:
        done: Future[None] = Future()

        def store() -> None:
            if self.log_waits is not None:
                self.log_waits.wait(5)
            if self.log_fails:
                done.set_exception(StorageError("the disk is full; free some space"))
                return
            self.logged.extend(rows)
            self.failed |= {(each.server, each.traffic, each.version, each.variant): each.count for each in failures}
            done.set_result(None)

        threading.Thread(target=store, daemon=True).start()
        return done

    def promote(self, project: str, version: str, **traffic: Any) -> None:
        before = self.rows.get(project)
        self.rows[project] = Champion(version, before.revision + 1 if before else 1, **traffic)

    def add(self, project: str, candidates: Sequence[Candidate]) -> list[str]:
        for candidate in candidates:
            self.blobs[project, candidate.id] = candidate.data
        return [candidate.id for candidate in candidates]


@pytest.fixture(scope="session")
def candidates() -> list[Candidate]:
    """Four versions that answer differently."""
    learners = [Learner("mlp:16", space=Space((6,), len(CLASSES)), seed=seed) for seed in range(4)]
    return [Candidate.of(learner) for learner in learners]


@pytest.fixture
def memory(candidates: list[Candidate]) -> Memory:
    """The project `paint` with four versions, of which the first answers; two keys."""
    made = Memory()
    made.known["paint"] = Project("paint", InputSchema((6,)), CLASSES, learner=LearnerSettings("mlp:16"))
    one, *_ = made.add("paint", candidates)
    made.promote("paint", one)
    made.keys["right"] = Key("ann", frozenset({"predict"}))
    made.keys["other"] = Key("bob", frozenset({"predict"}), project="sculpture")
    made.keys["feeder"] = Key("eve", frozenset({"feedback"}))
    made.keys["late"] = Key("tom", frozenset({"predict"}), expires=1.0)
    return made


@pytest.fixture
def models(memory: Memory) -> Models:
    """The models of `memory`, nothing loaded yet."""
    return Models(memory, Metrics(), rows=64, keep_asked=2)


Server = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture
def server(memory: Memory) -> Server:
    """`with server(**settings) as client`: the service over `memory`, without keys unless asked; `client.app` is it."""

    @contextmanager
    def start(**changes: Any) -> Iterator[httpx.Client]:
        settings = replace(ServeSettings(keys=False, poll_seconds=600), **changes)
        app = create_app(memory, settings)
        with serving(app, settings) as url, httpx.Client(base_url=url, timeout=10) as client:
            client.app = app  # pyrefly: ignore
            yield client

    return start


@pytest.fixture
def question() -> Callable[..., dict[str, Any]]:
    """A body for `…/infer` from rows of six numbers."""

    def make(rows: Sequence[Sequence[float]], **more: Any) -> dict[str, Any]:
        tensor = {"name": "input", "shape": [len(rows), 6], "datatype": "FP32", "data": rows}
        return {"inputs": [tensor], **more}

    return make


@pytest.fixture(scope="session")
def forking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[bytes]]:
    """A fork server: `Forked(home, forking)` are servers that are ready at once and can be killed."""
    log = tmp_path_factory.mktemp("forking") / "log"
    with fork_server(log) as process:
        yield process


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home with the project `digits`, its champion and another version; an admin key."""
    home = tmp_path_factory.mktemp("prepared") / "home"
    return home, prepare(home, second=True)


@pytest.fixture
def loop_home(prepared: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    """A copy of `prepared` to be broken."""
    home, key = prepared
    return shutil.copytree(home, tmp_path / "home"), key
