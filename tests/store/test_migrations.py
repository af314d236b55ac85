"""Migrations: run once, in order, all or none; a newer database is left alone; the schema cannot change unnoticed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from msgspec import Struct
from sqlalchemy import Connection, Table, inspect, select

from lifelong.errors import StorageError
from lifelong.store import (
    aliases,
    audit,
    failures,
    feedback,
    firings,
    keys,
    predictions,
    projects,
    tables,
    tasks,
    traffic,
    updates,
    versions,
)
from lifelong.store.database import open_store
from lifelong.store.migrations import MIGRATIONS, Migration, migrate

from .conftest import Place

SCHEMA = Path(__file__).parent / "schema"


def colour(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE project ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'")


def broken(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE half (id TEXT)")
    connection.exec_driver_sql("ALTER TABLE nothing ADD COLUMN x TEXT")


NOW = [name for name, _ in MIGRATIONS]
NEXT: tuple[Migration, ...] = (*MIGRATIONS, ("9998_colour", colour))


def recorded(connection: Connection) -> list[str]:
    return list(connection.scalars(select(tables.migration.c.name).order_by(tables.migration.c.name)))


def test_an_earlier_database_is_brought_up_to_date_once(place: Place) -> None:
    with place.open() as store:
        store.write(lambda connection: projects.add(connection, projects.Project("digits", {}, 1.0))).result(timeout=30)
        assert store.read(recorded) == NOW
    for _ in range(2):
        with open_store(place.home, place.database, NEXT) as store:
            assert store.read(recorded) == [*NOW, "9998_colour"]
            row = store.read(lambda connection: connection.exec_driver_sql("SELECT name, colour FROM project").one())
            assert tuple(row) == ("digits", "grey")
            assert store.write(lambda connection: migrate(connection, 9.0, NEXT)).result(timeout=30) == []


def test_a_newer_database_is_refused_and_left_alone(place: Place) -> None:
    open_store(place.home, place.database, NEXT).close()
    with pytest.raises(StorageError, match=rf"newer lifelong: it has 9998_colour.*{NOW[-1]}; upgrade lifelong"):
        place.open()
    open_store(place.home, place.database, NEXT).close()  # and the refused one let go of the place


def test_a_migration_that_fails_leaves_nothing(place: Place) -> None:
    place.open().close()
    with pytest.raises(StorageError, match="nothing"):
        open_store(place.home, place.database, (*NEXT, ("9999_broken", broken)))
    with place.open() as store:
        assert store.read(recorded) == NOW
        assert not store.read(lambda connection: inspect(connection).has_table("half"))


def test_the_schema_is_what_the_recorded_migrations_make(tmp_path: Path) -> None:
    """Where this fails the tables were changed: see store/migrations.py, then record the new schema."""
    open_store(tmp_path).close()
    with sqlite3.connect(tmp_path / "lifelong.db") as database:
        rows = database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'")
        made = sorted((" ".join(row[0].split()) for row in rows), reverse=True)  # tables before indices
    database.close()
    assert made == (SCHEMA / f"{MIGRATIONS[-1][0]}.sql").read_text().splitlines()


@pytest.mark.parametrize("path", sorted(SCHEMA.glob("*.sql")), ids=lambda path: path.stem)
def test_a_database_of_every_earlier_release_opens(path: Path, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "lifelong.db") as database:
        database.executescript(";\n".join(path.read_text().splitlines()))
        for name, _ in MIGRATIONS:
            if name <= path.stem:
                database.execute("INSERT INTO migration VALUES (?, 1.0)", (name,))
    database.close()
    with open_store(tmp_path) as store:
        columns = store.read(
            lambda connection: {
                name: [column["name"] for column in inspect(connection).get_columns(name)]
                for name in inspect(connection).get_table_names()
            }
        )
    assert columns == {name: list(table.c.keys()) for name, table in tables.metadata.tables.items()}


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (tables.alias, aliases.Alias),
        (tables.api_key, keys.ApiKey),
        (tables.audit, audit.Entry),
        (tables.failure, failures.Failure),
        (tables.feedback, feedback.Feedback),
        (tables.history, aliases.Move),
        (tables.prediction, predictions.Prediction),
        (tables.project, projects.Project),
        (tables.task, tasks.Task),
        (tables.traffic, traffic.Traffic),
        (tables.trigger_firing, firings.Firing),
        (tables.update, updates.Update),
        (tables.version, versions.Version),
    ],
)
def test_a_row_has_the_columns_of_its_table_in_their_order(table: Table, row: type[Struct]) -> None:
    assert row.__struct_fields__ == tuple(table.c.keys())


def test_margins_of_projects_from_before_are_read_as_the_gate_asks_now(place: Place) -> None:
    """One of `each` keeps its bound per task; what the gate knows no more is gone."""
    old = {
        "each": {"gate": {"max_forgetting": 0.05, "proof": "each", "test": "mcnemar", "max_total_forgetting": 0.2}},
        "together": {"gate": {"proof": "together", "test": "bootstrap", "max_total_forgetting": 0.1}},
        "plain": {"name": "plain"},
    }
    before = tuple(migration for migration in MIGRATIONS if migration[0] < "0006")
    with open_store(place.home, place.database, before) as store:
        for name, config in old.items():
            row = projects.Project(name, config, 1.0)
            store.write(lambda connection, row=row: projects.add(connection, row)).result(timeout=30)
    with place.open() as store:
        found = {row.name: row.config for row in store.read(projects.listed)}
    assert found["each"] == {"gate": {"max_forgetting": 0.05, "max_task_forgetting": 0.2}}
    assert found["together"] == {"gate": {"max_total_forgetting": 0.1}}
    assert found["plain"] == {"name": "plain"}
