"""A server that is found by the commands of its own machine: `home/server.json` says where it listens."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import psutil
from starlette.types import ASGIApp

from lifelong.errors import StorageError
from lifelong.service.client import lives
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings
from lifelong.store import read_json, write_json

__all__ = ["ADDRESS", "address", "announced", "stopping"]

ADDRESS = "server.json"


@contextlib.contextmanager
def announced(home: Path, app: ASGIApp, settings: ServeSettings, host: str, port: int) -> Iterator[str]:
    """Serve `app` while the block runs, with its address in `home`.

    Of several servers that share a database and a home the first one keeps its address there as long as it lives.
    """
    path = home / ADDRESS
    with serving(app, settings, host, port) as url:
        gc.freeze()  # what is here now stays: a look through all of torch takes longer than a hundred answers
        if not _another_lives(path, url):
            write_json(path, {"url": url, "pid": os.getpid()})
        try:
            yield url
        finally:
            if address(home) == url:
                path.unlink(missing_ok=True)


def address(home: Path) -> str | None:
    """Where the server of `home` listens; None where none has said so."""
    try:
        return str(read_json(home / ADDRESS)["url"])
    except (StorageError, KeyError, TypeError):
        return None


def _another_lives(path: Path, url: str) -> bool:
    """Whether `path` names a server other than the one at `url` which answers; a killed one's port may be another's."""
    try:
        told = read_json(path)
        return bool(told["url"] != url and psutil.pid_exists(told["pid"]) and lives(told["url"]))
    except (StorageError, KeyError, TypeError):
        return False


@contextlib.contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set while the block runs; for the main thread alone."""
    stopped = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
