"""Where the rows of a home are: SQLite in its folder, or a database of its own in a PostgreSQL."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, make_url

from lifelong.store.database import Store, open_store

NUMBERS = itertools.count()


@dataclass(frozen=True)
class Place:
    """Where a store can be opened, more than once; `database` None is SQLite."""

    home: Path
    database: str | None

    def open(self) -> Store:
        """The store there."""
        return open_store(self.home, self.database)


@dataclass(frozen=True)
class Places:
    """Makes places of one kind; `server` is the address of a PostgreSQL whose user may create databases."""

    server: str | None

    @contextmanager
    def new(self, home: Path) -> Iterator[Place]:
        """An empty place, which ends with the block."""
        with self._database() as database:
            yield Place(home, database)

    @contextmanager
    def copy(self, place: Place, home: Path) -> Iterator[Place]:
        """All that is in `place`, which nobody has open, in a place of its own."""
        shutil.copytree(place.home, home)
        with self._database(place.database) as database:
            yield Place(home, database)

    @contextmanager
    def _database(self, template: str | None = None) -> Iterator[str | None]:
        if self.server is None:
            yield None
            return
        name = f"test_{os.getpid()}_{next(NUMBERS)}"
        source = "template1" if template is None else make_url(template).database
        engine = create_engine(self.server, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {source}")
        try:
            yield make_url(self.server).set(database=name).render_as_string(hide_password=False)
        finally:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
            engine.dispose()
