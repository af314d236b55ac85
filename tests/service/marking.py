"""A project of small marks behind a dashboard, with what a test needs to click there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from lifelong.loop.engine import Engine
from lifelong.loop.engine.begin import begin
from lifelong.loop.gate import Gate
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import LearnerSettings, Project
from lifelong.loop.schema import InputSchema
from lifelong.loop.triggers import ByHand
from lifelong.service.dashboard.picture import SIDE
from lifelong.service.home import first_key, open_engine, open_home
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings
from lifelong.store import aliases, keys, updates, versions
from lifelong.training import Training
from lifelong.types import Task

HOSTILE = '<script>alert("x")</script>'
SCHEMA = InputSchema((1, 8, 8), 0, 1)
MARKS = Project(
    "marks",
    SCHEMA,
    (f"{HOSTILE} & co", "bar", "ring"),
    learner=LearnerSettings("linear", training=Training(epochs=5, lr=0.5)),
    gate=Gate(power=0.0, max_forgetting=0.1),
    triggers=(ByHand(),),
    exam=ExamSettings(0.3, minimum=40),
)
FLAT = Project(
    "flat",
    InputSchema((3,), 0, 1),
    ("red", "blue"),
    learner=LearnerSettings("linear"),
    gate=Gate(power=0.0),
    exam=ExamSettings(minimum=60),
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
        with httpx.Client(base_url=url, timeout=60) as client:
            yield Board(client, opened.engine, secret, url)


@pytest.fixture
def board(first_marks: Path, tmp_path: Path) -> Iterator[Board]:
    with served(shutil.copytree(first_marks, tmp_path / "home")) as made:
        yield made
