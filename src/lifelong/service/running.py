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
from typing import Any

from starlette.applications import Starlette

from lifelong.errors import StorageError
from lifelong.service.client import lives
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings
from lifelong.store import read_json, write_json

__all__ = ["ADDRESS", "address", "announced", "stopping"]

ADDRESS = "server.json"


@contextlib.contextmanager
def announced(home: Path, app: Starlette, settings: ServeSettings, host: str, port: int) -> Iterator[str]:
    """Serve `app` while the block runs, with its address in `home`.

    Of several servers that share a database and a home the first one keeps its address there as long as it lives.
    """
    path = home / ADDRESS
    with serving(app, settings, host, port) as url:
        gc.freeze()  # what is here now stays: a look through all of torch takes longer than a hundred answers
        if address(home) is None:
            told = {"url": url, "pid": os.getpid(), "token": app.state.token, "folder": home.stat().st_ino}
            write_json(path, told, mode=0o600)
        try:
            yield url
        finally:
            if _told(home).get("url") == url:
                path.unlink(missing_ok=True)


def address(home: Path) -> str | None:
    """Where the server of `home` answers; None where none does.

    What a copy of the folder says of a server is not about the copy. One that was killed may have left the address to
    another program: whoever answers there must prove to be the server, before a key is sent to it.
    """
    told = _told(home)
    try:
        mine = told["folder"] == home.stat().st_ino
        return str(told["url"]) if mine and lives(told["url"], told["token"]) else None
    except (OSError, KeyError, TypeError, AttributeError, ValueError):
        return None


def _told(home: Path) -> dict[str, Any]:
    """What is announced in `home`."""
    try:
        told = read_json(home / ADDRESS)
    except StorageError:
        return {}
    return told if isinstance(told, dict) else {}


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
