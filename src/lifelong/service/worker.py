"""A worker on another machine: it speaks to a server over HTTP, and knows no database."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from lifelong.errors import LifelongError, StorageError
from lifelong.loop.job import Job
from lifelong.loop.trainer import Trainer
from lifelong.service.client import Server

__all__ = ["Remote", "work_for"]

T = TypeVar("T")

LEASE = 60.0

logger = logging.getLogger(__name__)


class Remote:
    """Jobs of a server (`trainer.Jobs`). What was learned is sent again for `patience` seconds while nobody answers."""

    def __init__(self, server: Server, patience: float = 120.0) -> None:
        self._server, self._patience = server, patience

    def claim(self, owner: str, lease: float) -> Job | None:
        """See `Jobs.claim`."""
        _, data = self._server.send("POST", "work:claim", {"owner": owner, "lease": lease})
        return msgspec.json.decode(data, type=Job) if data else None

    def blob(self, name: str) -> bytes:
        """See `Jobs.blob`."""
        return self._again(lambda: self._server.send("GET", f"blobs/{name}")[1])

    def beat(self, job: Job, progress: Mapping[str, Any], lease: float) -> None:
        """See `Jobs.beat`; a server that does not answer may be back before the lease is over."""
        body = {"owner": job.owner, "attempt": job.attempt, "progress": dict(progress), "lease": lease}
        try:
            self._server.send("POST", f"work/{job.update}:beat", body)
        except StorageError as error:
            logger.warning("%s", error)

    def complete(self, job: Job, candidate: bytes, answers: bytes, result: Mapping[str, Any]) -> None:
        """See `Jobs.complete`."""
        names = [self._kept(data) for data in (candidate, answers)]
        body = {"owner": job.owner, "attempt": job.attempt, "candidate": names[0], "answers": names[1]}
        body |= {"latency": dict(result["latency"]), "steps": list(result.get("steps", ()))}
        self._again(lambda: self._server.send("POST", f"work/{job.update}:complete", body))

    def fail(self, job: Job, reason: str) -> None:
        """See `Jobs.fail`."""
        body = {"owner": job.owner, "attempt": job.attempt, "reason": reason}
        self._again(lambda: self._server.send("POST", f"work/{job.update}:fail", body))

    def _kept(self, data: bytes) -> str:
        _, answer = self._again(lambda: self._server.send("POST", "blobs", data, kind="application/octet-stream"))
        return str(msgspec.json.decode(answer)["name"])

    def _again(self, ask: Callable[[], T]) -> T:
        end, wait = time.monotonic() + self._patience, 0.5
        while True:
            try:
                return ask()
            except StorageError:
                if time.monotonic() > end:
                    raise
            time.sleep(wait)
            wait = min(10.0, 2 * wait)


def work_for(server: Server, folder: Path, stopping: threading.Event, idle: float = 2.0, lease: float = LEASE) -> None:
    """Learn what `server` hands out until `stopping` is set, in files under `folder`.

    Raises: what the server says against the very first question, so that a wrong key or address is told at once.
    """
    owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    trainer = Trainer(Remote(server), folder, owner, stopping, lease)
    known = False
    while not stopping.is_set():
        try:
            worked = trainer.step()
            known = True
        except LifelongError as error:
            if not known:
                raise
            logger.warning("%s", error)
            worked = False
        if not worked:
            stopping.wait(idle)
