"""Every test of the store runs twice: on SQLite, and on a real PostgreSQL that is started once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from lifelong.store import projects
from lifelong.store.database import Store

from ..places import Place


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty place; in PostgreSQL, a schema of its own."""
    if request.param == "sqlite":
        yield Place(tmp_path / "home", None)
        return
    yield Place(tmp_path / "home", request.getfixturevalue("database"))


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """A store with the projects `digits` and `other`."""
    with place.open() as opened:
        opened.write(two_projects).result(timeout=30)
        yield opened


def two_projects(connection: Connection) -> None:
    """Make the projects that the tests write to."""
    for name in ("digits", "other"):
        projects.add(connection, projects.Project(name, {"method": "ewc"}, 1.0))


@pytest.fixture
def connection(store: Store) -> Iterator[Connection]:
    """A transaction on the writing connection, undone in the end."""
    store._drop()  # there is one only
    with store._backend.writing.connect() as opened:
        yield opened


@pytest.fixture
def run(store: Store) -> Callable[[Callable[[Connection], Any]], Any]:
    """Write and wait."""
    return lambda work: store.write(work).result(timeout=30)
