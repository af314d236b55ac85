"""The embedded worker: a thread of the server that looks at triggers, and learns updates in a process of their own."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lifelong.loop.engine import deciding, traffic, work
from lifelong.loop.engine.asking import Watch
from lifelong.loop.engine.base import Engine
from lifelong.loop.job import Job
from lifelong.loop.trainer import Trainer
from lifelong.store import projects

__all__ = ["Direct", "Worker"]

EMBEDDED = "embedded-"
#: seconds, and times what the look took: labels that come by the thousand each wake the worker, and it should not look
#: as often, nor take more than a thirtieth of a core from those who answer
PAUSE, REST = 0.1, 30.0

logger = logging.getLogger(__name__)


class Direct:
    """Jobs of an engine (`trainer.Jobs`); `changed(project)` is called after each decision."""

    def __init__(self, engine: Engine, changed: Callable[[str], object]) -> None:
        self._engine, self._changed = engine, changed

    def claim(self, owner: str, lease: float) -> Job | None:
        """See `work.claim`."""
        return work.claim(self._engine, owner, lease)

    def blob(self, name: str) -> bytes:
        """See `Blobs.get`."""
        return self._engine.blobs.get(name)

    def beat(self, job: Job, progress: Mapping[str, Any], lease: float) -> None:
        """See `work.beat`."""
        work.beat(self._engine, job.update, job.owner, job.attempt, progress, lease)

    def complete(self, job: Job, candidate: bytes, answers: bytes, latency: Mapping[str, float]) -> None:
        """See `work.complete`; the gate decides at once."""
        work.complete(
            self._engine,
            job.update,
            job.owner,
            job.attempt,
            candidate=candidate,
            answers=answers,
            latency=latency,
        )
        deciding.decide(self._engine, job.update)
        self._changed(str(job.project["name"]))

    def fail(self, job: Job, reason: str) -> None:
        """See `work.fail`."""
        work.fail(self._engine, job.update, job.owner, job.attempt, reason)


class Worker:
    """Does the work of `engine` until `stop`: one thread looks after the projects, another learns.

    Arguments: `folder` is for files of the update at hand. `changed(project)` is called after each decision, so that a
        new champion answers at once. `alone`: no other server has this store, so what an embedded worker was doing is
        free. `learns` False leaves updates to other workers. `idle`: seconds between two looks.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        changed: Callable[[str], object],
        *,
        alone: bool,
        learns: bool = True,
        idle: float = 1.0,
        lease: float = work.LEASE,
    ) -> None:
        self._engine, self._changed, self._idle = engine, changed, idle
        self._alone = alone
        self._watch = Watch(engine)
        self._stopping = threading.Event()
        owner = f"{EMBEDDED}{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._trainer = Trainer(Direct(engine, changed), folder, owner, self._stopping, lease)
        jobs = [self.look, self.learn] if learns else [self.look]
        self._wakes = [threading.Event() for _ in jobs]
        self._threads = [
            threading.Thread(target=self._run, args=(job, wake), name=f"lifelong-{name}", daemon=True)
            for job, wake, name in zip(jobs, self._wakes, ("watch", "learn"), strict=False)
        ]

    def start(self) -> None:
        """Begin."""
        if self._alone:
            work.release(self._engine, EMBEDDED, died=True)
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look now."""
        for wake in self._wakes:
            wake.set()

    def stop(self) -> None:
        """End the process that trains, and the threads; the update goes back to the queue."""
        self._stopping.set()
        self.wake()
        for thread in self._threads:
            if thread.ident is not None:  # else it was never started
                thread.join()
        work.release(self._engine, self._trainer.owner, died=False)

    def look(self) -> bool:
        """Look at leases, at what a crash left undecided, at canaries and triggers; whether to look again at once."""
        engine = self._engine
        work.expire(engine)
        for row in engine.read(projects.listed):
            for _ in deciding.finish(engine, row.name):
                self._changed(row.name)
            if traffic.look(engine, row.name) is not None:
                self._changed(row.name)
            if self._watch.look(row.name) is not None:
                self.wake()
        return False

    def learn(self) -> bool:
        """Learn the update that has waited longest; whether there was one."""
        return self._trainer.step()

    def _run(self, job: Callable[[], bool], wake: threading.Event) -> None:
        while not self._stopping.is_set():
            wake.clear()
            start = time.perf_counter()
            try:
                worked = job()
            except Exception:  # what fails now may work the next time; the thread must live
                logger.exception("the worker met an error, and goes on")
                worked = False
            if not worked:
                took = time.perf_counter() - start
                wake.wait(self._idle)
                self._stopping.wait(max(PAUSE, REST * took))
