"""SQLite in a folder: its settings, its lock, a full disk."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from lifelong.errors import StorageError
from lifelong.store import feedback, ingest, projects
from lifelong.store.database import Store, open_store

HOLD = """
import sys, time
from pathlib import Path
from lifelong.store.database import open_store
store = open_store(Path(sys.argv[1]))
print("open", flush=True)
time.sleep(60)
"""


def pragma(connection: Connection, name: str) -> object:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_both_kinds_of_connection_are_durable_and_checked(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for look in (store.read, lambda work: store.write(work).result(timeout=30)):
            assert look(lambda connection: pragma(connection, "journal_mode")) == "wal"
            assert look(lambda connection: pragma(connection, "synchronous")) == 2  # FULL
            assert look(lambda connection: pragma(connection, "foreign_keys")) == 1


def test_an_old_sqlite_is_warned_of(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        told = " ".join(store.warnings)
    assert ("WAL-reset bug" in told) == (sqlite3.sqlite_version_info < (3, 51, 3))


def test_a_sqlite_that_lacks_what_is_needed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 0))
    with pytest.raises(StorageError, match=r"expected 3\.35 or newer"):
        open_store(tmp_path)


def test_a_second_server_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    with (
        open_store(tmp_path / "a"),
        pytest.raises(StorageError, match=f"in use by the server with pid {os.getpid()}; stop that one"),
    ):
        open_store(tmp_path / "a")
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "a")], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(StorageError, match=f"pid {other.pid};"):
            open_store(tmp_path / "a")
        other.kill()
    open_store(tmp_path / "a").close()


def test_a_place_that_cannot_be_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot keep a store in .*choose another place with --home"):
        open_store(tmp_path / "file")


def test_odd_names_of_folders(tmp_path: Path) -> None:
    home = tmp_path / "a b?c#d%20é"
    open_store(home).close()
    assert (home / "lifelong.db").exists()


def fill(store: Store, most: int) -> list[str]:
    """Write until the place is full; the keys that were acknowledged."""
    acknowledged: list[str] = []
    for number in range(most):
        row = ingest.NewFeedback(project="digits", key=f"k{number}", label=1, x="x" * 20_000, received=1.0)
        failure = store.write(partial(ingest.add, row=row)).exception(timeout=30)
        if failure is not None:
            assert isinstance(failure, StorageError)
            assert re.search("full; nothing of it was stored; free some space", str(failure))
            return acknowledged
        acknowledged.append(row.key)
    raise AssertionError("the place never became full")


def stored(store: Store) -> list[str]:
    return [row.key for row in store.read(lambda connection: feedback.listed(connection, "digits", limit=10_000))]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"needs to mount a small disk: {error}")
    if done.returncode:
        pytest.skip(f"needs to mount a small disk: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing_acknowledged_and_is_left_behind(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 1_000_000)
    with open_store(small_disk / "home") as store:
        store.write(lambda connection: projects.add(connection, projects.Project("digits", {}, 1.0))).result(timeout=30)
        acknowledged = fill(store, 500)
        assert acknowledged
        assert stored(store) == acknowledged
        ballast.unlink()
        row = ingest.NewFeedback(project="digits", key="after", label=1, x="x" * 20_000, received=1.0)
        assert store.write(lambda connection: ingest.add(connection, row)).result(timeout=30).state == "accepted"
    with open_store(small_disk / "home") as store:
        assert stored(store) == [*acknowledged, "after"]


def test_a_database_at_its_largest_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.write(lambda connection: projects.add(connection, projects.Project("digits", {}, 1.0))).result(timeout=30)
        pages = store.read(lambda connection: pragma(connection, "page_count"))
        store.write(lambda connection: pragma(connection, f"max_page_count = {int(str(pages)) + 100}")).result(
            timeout=30
        )
        acknowledged = fill(store, 500)
        assert acknowledged
        assert stored(store) == acknowledged
        store.write(lambda connection: pragma(connection, "max_page_count = 1000000")).result(timeout=30)
        assert len(fill_more(store)) == len(acknowledged) + 3


def fill_more(store: Store) -> list[str]:
    for key in ("x", "y", "z"):
        row = ingest.NewFeedback(project="digits", key=key, label=1, x=[1], received=1.0)
        store.write(partial(ingest.add, row=row)).result(timeout=30)
    return stored(store)
