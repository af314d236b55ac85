"""A project of three colours behind a real server on loopback, over a real store, without a worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import torch

from lifelong.loop.engine import Engine
from lifelong.loop.engine.begin import begin
from lifelong.loop.gate import Gate
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import LearnerSettings, Project
from lifelong.loop.schema import InputSchema
from lifelong.service.home import first_key, open_engine, open_home
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings
from lifelong.store import keys, versions
from lifelong.training import Training
from lifelong.types import Task

from ..places import Place, Places

AT = "/v1/projects/paint"
PAINT = Project(
    "paint",
    InputSchema((3,), 0, 1),
    ("red", "green", "blue"),
    learner=LearnerSettings("linear", training=Training(epochs=5, lr=0.5)),
    gate=Gate(power=0.0, max_forgetting=0.1),
    exam=ExamSettings(0.3, minimum=40),
)


def colours(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random colours, labelled by their strongest part."""
    x = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed))
    return x, x.argmax(1)


@dataclass(frozen=True)
class Paint:
    """A server, a client of it with an admin key, and what is behind it."""

    client: httpx.Client
    engine: Engine
    secret: str

    def like(self, *scopes: str) -> dict[str, str]:
        """Headers with a key of these scopes."""
        made = self.engine.write(lambda connection: keys.create(connection, "ann", scopes, now=1.0))
        return {"Authorization": f"Bearer {made[0]}"}


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in SQLite with the project `paint` and its version 1; to be copied."""
    home = tmp_path_factory.mktemp("begun") / "home"
    _begin(home, None)
    return home


@pytest.fixture(scope="session")
def first(places: Places, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place with the project `paint` and its version 1."""
    with places.new(tmp_path_factory.mktemp("first") / "home") as place:
        _begin(place.home, place.database)
        yield place


@pytest.fixture
def paint(places: Places, first: Place, tmp_path: Path) -> Iterator[Paint]:
    """A server over a copy of it: SQLite and PostgreSQL, so that each test runs on both."""
    settings = ServeSettings(poll_seconds=600, max_body=100_000)
    with (
        places.copy(first, tmp_path / "home") as place,
        open_home(place.home, settings, database=place.database, start_worker=False) as opened,
        serving(opened.app, settings) as url,
    ):
        secret = first_key(opened.engine)
        assert secret is not None
        assert first_key(opened.engine) is None, "there is one already"
        with httpx.Client(base_url=url, timeout=60, headers={"Authorization": f"Bearer {secret}"}) as client:
            yield Paint(client, opened.engine, secret)


def _begin(home: Path, database: str | None) -> None:
    with open_engine(home, database) as engine:
        begin(engine, PAINT, [Task.of(1, train=colours(300, 0), test=colours(100, 1))], actor="ann")


def problem(answer: httpx.Response, status: int) -> str:
    """The detail of a problem+json answer, whose form is checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    return str(body["detail"])


def second(paint: Paint) -> str:
    """Another version of the project, with the same learner."""
    one = paint.engine.read(lambda connection: versions.listed(connection, "paint"))[0]
    row = versions.NewVersion(
        project="paint", parent=one.id, blob=one.blob, settings=one.settings, task=2, exam_row={"accuracy": {"1": 0.5}}
    )
    return paint.engine.write(lambda connection: versions.add(connection, row, 5.0)).id
