"""SQLite in the home folder: one server, one writing connection, readers that see committed snapshots."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from lifelong.errors import StorageError
from lifelong.store.backend import Backend
from lifelong.store.files import sync_folder

__all__ = ["make_private", "open_home", "privacy_warnings", "sqlite_engine", "version_warnings"]

READERS = 8
#: what makes a COMMIT mean that it is on the disk
SAFE = ("synchronous = FULL", "fullfsync = ON", "checkpoint_fullfsync = ON", "foreign_keys = ON")


def open_home(home: Path) -> Backend:
    """The database `home/lifelong.db`, made where there is none, and locked against a second server.

    Raises: `StorageError` where another server has it, the folder cannot be written, or SQLite is older than 3.35.
    """
    if sqlite3.sqlite_version_info < (3, 35):
        raise StorageError(f"SQLite is {sqlite3.sqlite_version}, expected 3.35 or newer; use a newer Python")
    path = home / "lifelong.db"
    try:
        make_private(home)
        if path.exists() and path.stat().st_size == 0:
            raise StorageError(
                f"{path} is empty, so what it held is lost; put a copy of it in its place, or remove it to begin anew"
            )
        release = _lock(home / "lock")
        for folder in (home, home.absolute().parent):  # or a power cut could take the new folder with all in it
            sync_folder(folder)
    except OSError as error:
        raise StorageError(
            f"cannot keep a store in {home}: {error.strerror or error}; choose another place with --home"
        ) from error
    return Backend(
        place=str(path),
        writing=sqlite_engine(path, begin="BEGIN IMMEDIATE", connections=1),
        reading=sqlite_engine(path, begin="BEGIN", connections=READERS, query_only=True),
        warnings=(*version_warnings(sqlite3.sqlite_version_info), *privacy_warnings(home)),
        keeps=True,
        release=release,
    )


def sqlite_engine(path: Path | None, *, begin: str, connections: int, query_only: bool = False) -> Engine:
    """An engine whose transactions begin with `begin`; `path` None is a database in memory.

    Python's sqlite3 would begin transactions by itself, late and not for every statement, so it is told not to, and
    SQLAlchemy's begin is given the statement (SQLAlchemy's documentation of pysqlite, "Serializable isolation").
    """
    if path is None:
        engine = create_engine("sqlite://", connect_args={"check_same_thread": False})
    else:
        engine = create_engine(
            URL.create("sqlite", database=str(path)),
            pool_size=connections,
            max_overflow=0,
            connect_args={"check_same_thread": False, "timeout": 10},
        )

    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if path is not None and mode != "wal":
            raise StorageError(f"{path} cannot be kept in WAL mode; choose a --home on a local disk")
        for pragma in SAFE:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA wal_autocheckpoint = 8000")  # 32 MiB, as pages of an index are written often
        connection.execute("PRAGMA cache_size = -65536")  # 64 MiB: ids are random, so every page of their index is used
        connection.execute(f"PRAGMA query_only = {int(query_only)}")

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", start)
    return engine


def version_warnings(version: tuple[int, ...]) -> tuple[str, ...]:
    """What is to be said of a version of SQLite.

    >>> version_warnings((3, 51, 3))
    ()
    >>> version_warnings((3, 40, 1))[0].partition(";")[0]
    'SQLite 3.40.1 has the WAL-reset bug (fixed in 3.51.3), which can damage a database in very rare cases'

    Source: sqlite.org/wal.html, "The WAL-reset bug".
    """
    if version >= (3, 51, 3):
        return ()
    return (
        f"SQLite {'.'.join(map(str, version))} has the WAL-reset bug (fixed in 3.51.3), which can damage a database "
        "in very rare cases; with one writing connection it is rarer still; use a Python with a newer SQLite, or "
        "PostgreSQL by --database, and keep copies",
    )


def make_private(folder: Path) -> None:
    """Make `folder`, where there is none, for this user alone: it holds predictions, labels and hashes of keys."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)


def privacy_warnings(home: Path) -> tuple[str, ...]:
    """What is to be said of a folder that others may look into."""
    if os.name != "posix" or not home.stat().st_mode & 0o077:
        return ()
    return (f"other users of this machine may read {home}: predictions, labels and models; chmod 700 {home}",)


def _lock(path: Path) -> Callable[[], None]:
    """Hold `path` until the answer is called or the process ends, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StorageError(
            f"{path.parent} is in use by the server with pid {owner}; stop that one, or choose another --home"
        ) from error
    os.truncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return lambda: os.close(descriptor)
