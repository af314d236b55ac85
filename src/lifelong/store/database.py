"""The store: works that write are acknowledged after their COMMIT, works that read see a committed snapshot.

    write(work) ─┐                      ┌ SAVEPOINT work RELEASE ┐
    write(work) ─┼→ queue → BEGIN ──────┤ SAVEPOINT work RELEASE ├── COMMIT → every future answers
    write(work) ─┘   (one thread)       └ … (raises: ROLLBACK TO)┘

One thread with one connection takes all works that wait, runs each for itself, and commits them together: a hundred
waiting clients cost one flush of the disk, not a hundred.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from lifelong.store import postgres, sqlite
from lifelong.store.backend import Backend, explain, is_race
from lifelong.store.errors import DatabaseError
from lifelong.store.failpoints import reach
from lifelong.store.groups import Entry, Outcome, run_apart
from lifelong.store.migrations import MIGRATIONS, Migration, migrate

__all__ = ["Store", "open_store"]

T = TypeVar("T")

LARGEST_GROUP = 1000
MOST_TRIES = 10


def open_store(home: Path, database: str | None = None, migrations: Sequence[Migration] = MIGRATIONS) -> Store:
    """The store in the folder `home`, or in the PostgreSQL at `database`; its tables are brought up to date.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, open_store(Path(folder)) as store:
    ...     store.write(lambda connection: connection.exec_driver_sql("SELECT 1").scalar_one()).result()
    1

    Raises: `StorageError` where another server has the folder, the place does not answer, or a newer lifelong wrote it.
    """
    store = Store(sqlite.open_home(home) if database is None else postgres.open_url(database))
    try:
        store.write(lambda connection: migrate(connection, time.time(), migrations)).result()
    except BaseException:
        store.close()
        raise
    return store


class Store:
    """One writing thread and several readers over a backend; made by `open_store`."""

    def __init__(self, backend: Backend) -> None:
        self.warnings = backend.warnings
        self._backend = backend
        self._waiting: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._open = True
        self._kept: Connection | None = None  # the writing thread's own
        self._thread = threading.Thread(target=self._serve, name="lifelong-store", daemon=True)
        self._thread.start()

    def write(self, work: Callable[[Connection], T]) -> Future[T]:
        """Run `work` in the next group; the future answers after its COMMIT, when the work is durable.

        A work that raises is undone alone, and its future raises the same. Where the COMMIT fails, no work of the
        group is acknowledged: every future raises `StorageError`. A work may run more than once (two servers can
        stand in each other's way), so it changes nothing but rows; it must not wait for another write.

        Raises: `StorageError` after `close`.
        """
        return self._put(Entry(work))

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a read connection, in this thread: it sees one committed state from beginning to end.

        Raises: `StorageError` where the database fails or `work` tries to write; `DataError` for what it cannot hold.
        """
        try:
            with self._backend.reading.connect() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise explain(error, self._backend.place) from error

    def close(self) -> None:
        """Finish what waits, then let go of the place; further writes are refused."""
        with self._door:
            if not self._open:
                return
            self._open = False
            self._waiting.put(None)
        self._thread.join()
        self._backend.reading.dispose()
        self._backend.writing.dispose()
        self._backend.release()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, connection: Connection, group: list[Entry]) -> list[Outcome]:
        """The outcomes; one entry alone needs no savepoint: where it fails, the transaction is undone."""
        if len(group) == 1:
            return [(group[0], group[0].work(connection))]
        return [run_apart(connection, entry) for entry in group]

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """The connection to write with. One to a file is kept open; one over a network is tried anew each time."""
        if not self._backend.keeps:
            with self._backend.writing.connect() as connection:
                yield connection
            return
        if self._kept is None:
            self._kept = self._backend.writing.connect()
        try:
            yield self._kept
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _put(self, entry: Entry) -> Future[Any]:
        with self._door:
            if not self._open:
                raise DatabaseError(self._backend.place, "the store is closed", "open the store again to write")
            self._waiting.put(entry)
        return entry.future

    def _serve(self) -> None:
        last = False
        while not last:
            group: list[Entry] = []
            entry = self._waiting.get()
            while entry is not None:
                if entry.future.set_running_or_notify_cancel():
                    group.append(entry)
                if len(group) == LARGEST_GROUP or self._waiting.empty():
                    break
                entry = self._waiting.get()
            last = entry is None
            while group:  # once, but for entries that met another server and try again
                group = self._commit(group)
        self._drop()

    def _commit(self, group: list[Entry]) -> list[Entry]:
        """Run and commit `group`, answer its futures, and return the entries that are to be tried again."""
        try:
            with self._writing() as connection, connection.begin():
                outcomes = self._run(connection, group)
                reach("store before commit")
            reach("store after commit")
        except BaseException as error:  # noqa: BLE001 - the thread outlives whatever goes wrong
            outcomes = [(entry, error) for entry in group]
        again: list[Entry] = []
        for entry, outcome in outcomes:
            entry.tries += 1
            if isinstance(outcome, BaseException) and is_race(outcome) and entry.tries < MOST_TRIES:
                again.append(entry)
            elif isinstance(outcome, SQLAlchemyError):
                entry.future.set_exception(explain(outcome, self._backend.place))
            elif isinstance(outcome, BaseException):
                entry.future.set_exception(outcome)
            else:
                entry.future.set_result(outcome)
        return again
