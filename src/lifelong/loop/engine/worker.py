"""The embedded worker: a thread of the server that looks at triggers, and learns updates in a process of their own."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lifelong.errors import LifelongError
from lifelong.loop.engine import deciding, traffic, work
from lifelong.loop.engine.asking import Watch
from lifelong.loop.engine.base import Engine
from lifelong.loop.job import Job
from lifelong.loop.trainer import Trainer
from lifelong.store import projects, review

__all__ = ["Direct", "Worker", "rest"]

EMBEDDED = "embedded-"
#: seconds, times what the look took, and seconds at most: labels that come by the thousand each wake the worker, and it
#: should not look as often, nor take more than a thirtieth of a core from those who answer; but leases do not wait
PAUSE, REST, LONGEST_REST = 0.1, 30.0, 5.0

logger = logging.getLogger(__name__)


def rest(took: float) -> float:
    """The seconds until the next look after one that took so long.

    >>> [rest(took) for took in (0.001, 0.1, 2.0)]
    [0.1, 3.0, 5.0]
    """
    return min(LONGEST_REST, max(PAUSE, REST * took))


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

    def complete(self, job: Job, candidate: bytes, answers: bytes, result: Mapping[str, Any]) -> None:
        """See `work.complete`; the gate decides at once."""
        work.complete(
            self._engine,
            job.update,
            job.owner,
            job.attempt,
            candidate=candidate,
            answers=answers,
            latency=result["latency"],
            steps=result.get("steps", ()),
        )
        deciding.examined(self._engine, job.update)
        self._changed(str(job.project["name"]))

    def fail(self, job: Job, reason: str) -> None:
        """See `work.fail`."""
        work.fail(self._engine, job.update, job.owner, job.attempt, reason)
        with suppress(LifelongError):  # it is failed, whoever hears of it
            self._changed(str(job.project["name"]))


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
        judge: review.Judge | None = None,
    ) -> None:
        self._engine, self._changed, self._idle = engine, changed, idle
        self._judge = judge
        self._alone = alone
        self._watch = Watch(engine)
        self._troubled: set[tuple[str, str]] = set()
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
        work.expire(self._engine)
        for row in self._engine.read(projects.listed):
            for step in (self._join, self._decide, self._ask_canary, self._ask_triggers):
                self._try(step, row.name)
        return False

    def _try(self, step: Callable[[str], None], name: str) -> None:
        """Do one step for one project; where it fails the others go on, and the log says so once until it succeeds."""
        place = (name, step.__name__)
        try:
            step(name)
            self._troubled.discard(place)
        except Exception:  # what fails now may work the next time
            if place not in self._troubled:
                logger.exception("project %r: %s failed, and is tried again", name, step.__name__.strip("_"))
            self._troubled.add(place)

    def _join(self, name: str) -> None:
        if not self._alone:  # a label and its prediction, stored by two servers at one moment, can miss each other
            self._engine.write(lambda connection: review.join(connection, name, self._judge))

    def _decide(self, name: str) -> None:
        for _ in deciding.finish(self._engine, name):
            self._changed(name)

    def _ask_canary(self, name: str) -> None:
        if traffic.look(self._engine, name) is not None:
            self._changed(name)

    def _ask_triggers(self, name: str) -> None:
        if self._watch.look(name) is not None:
            self.wake()

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
                self._stopping.wait(rest(took))
