"""One update at a time in a process of its own, for whoever hands out jobs: the engine itself, or a server."""

from __future__ import annotations

import json
import logging
import os
import selectors
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec
import psutil

from lifelong.errors import ConflictError, LifelongError, StorageError
from lifelong.loop.job import HOPELESS, Job
from lifelong.store.errors import DamagedError, NotFoundError
from lifelong.store.failpoints import reach

__all__ = ["Jobs", "Trainer"]

logger = logging.getLogger(__name__)


#: seconds without a word and without a second of computing, after which a training process hangs
SILENCE = 600.0


class BrokenOffError(LifelongError):
    """The training process ended before its time: killed, out of memory or disk, or it hung."""


class Silence:
    """How long a process has neither told anything nor computed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process, self._computed = psutil.Process(process.pid), 0.0
        self._since = time.monotonic()

    def broken(self) -> None:
        """It has told something."""
        self._since = time.monotonic()

    def seconds(self) -> float:
        """Seconds since it told something, or had computed for another second."""
        with suppress(psutil.Error):  # it ends just now
            times = self._process.cpu_times()
            if times.user + times.system > self._computed + 1:
                self._computed = times.user + times.system
                self.broken()
        return time.monotonic() - self._since


class Jobs(Protocol):
    """Where updates come from, and where what was learned goes."""

    def claim(self, owner: str, lease: float) -> Job | None:
        """The next update, leased to `owner` for so many seconds."""
        ...

    def blob(self, name: str) -> bytes:
        """The bytes of that hash."""
        ...

    def beat(self, job: Job, progress: Mapping[str, Any], lease: float) -> None:
        """The worker is alive. Raises: `ConflictError` where the lease is lost: the work is to be stopped."""
        ...

    def complete(self, job: Job, candidate: bytes, answers: bytes, result: Mapping[str, Any]) -> None:
        """It has learned and sat all exams; `result` holds the latency and the steps of a repair."""
        ...

    def fail(self, job: Job, reason: str) -> None:
        """It cannot be learned."""
        ...


class Trainer:
    """Learns what `jobs` hands out, in files under `folder`, until `stopping` is set."""

    def __init__(self, jobs: Jobs, folder: Path, owner: str, stopping: threading.Event, lease: float) -> None:
        self.owner = owner
        self._jobs, self._folder, self._stopping, self._lease = jobs, folder / "update", stopping, lease
        self._pause = min(1.0, lease / 3)  # seconds between two beats

    def step(self) -> bool:
        """Claim an update and learn it; whether there was one."""
        job = self._jobs.claim(self.owner, self._lease)
        if job is None:
            return False
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        try:
            self._learn(job)
        except (ConflictError, NotFoundError) as error:
            logger.info("update %s was taken away: %s", job.update, error)
        except StorageError as error:
            if isinstance(error, DamagedError):
                self._jobs.fail(job, str(error))
            else:
                logger.warning("update %s waits for the storage: %s", job.update, error)
                self._rest()
        except BrokenOffError as error:
            logger.warning("update %s was broken off: %s", job.update, error)
            with suppress(LifelongError):  # nobody may hear it now
                self._jobs.beat(job, {"stage": "broken off", "why": str(error)}, self._lease)
            self._rest()
        except LifelongError as error:
            self._jobs.fail(job, str(error))
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        return True

    def _rest(self) -> None:
        """It may be over soon: once the lease is taken away, the update is tried again, as another attempt."""
        self._stopping.wait(1.5 * self._lease)

    def _learn(self, job: Job) -> None:
        folder = self._folder
        names = [job.champion, *(each.answers for each in job.learned.values())]
        for part in job.exams:
            names += [part.exam] + [part.train] * (part.number == job.task or part.number in job.beside)
        self._fetch(job, names, "fetching")
        (folder / "job.json").write_bytes(msgspec.json.encode(job))
        reason = self._trained(job)
        if reason is not None:
            self._jobs.fail(job, reason)
            return
        result = json.loads((folder / "result.json").read_text())
        with self._beating(job, "handing in"):
            self._jobs.complete(job, (folder / "candidate").read_bytes(), (folder / "answers").read_bytes(), result)

    def fetch_lots(self, job: Job) -> None:
        """Bring what the old tasks were learned from. Raises: like `_fetch`."""
        self._fetch(job, [part.train for part in job.exams], "fetching the old lots")

    def _fetch(self, job: Job, names: Sequence[str], stage: str) -> None:
        """Bring the blobs that the process needs. Raises: `ConflictError` where the lease is lost meanwhile."""
        with self._beating(job, stage) as lost:
            for name in sorted(set(names)):
                if (self._folder / name).exists():
                    continue
                (self._folder / name).write_bytes(self._jobs.blob(name))
                if self._stopping.is_set():
                    raise ConflictError("this worker stops")
                if lost:
                    raise lost[0]

    @contextmanager
    def _beating(self, job: Job, stage: str) -> Iterator[list[LifelongError]]:
        """Beat in a thread while the block runs, as blobs may take long on their way; what a beat raised is yielded."""
        done, lost = threading.Event(), list[LifelongError]()

        def beat() -> None:
            while not lost and not done.wait(self._pause):
                try:
                    self._jobs.beat(job, {"stage": stage}, self._lease)
                except LifelongError as error:
                    lost.append(error)

        thread = threading.Thread(target=beat, name="lifelong-beat", daemon=True)
        thread.start()
        try:
            yield lost
        finally:
            done.set()
            thread.join()

    def _trained(self, job: Job) -> str | None:
        """Let the process learn; None where it has, else why it cannot.

        Raises: `ConflictError` where the lease is lost; `BrokenOffError` where the process ended without a word.
        """
        command = [sys.executable, "-m", "lifelong.loop.train", str(self._folder), str(os.getpid())]
        log = self._folder / "log"
        with log.open("wb") as written:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=written)
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            progress = self._follow(job, process, process.stdout, process.stdin)
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            with suppress(OSError):  # it may be gone with something unread
                process.stdin.close()
        if code == 0:
            return None
        if code == HOPELESS and "failed" in progress:
            return str(progress["failed"])
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise BrokenOffError(": ".join([f"the training process ended with code {code}", *last]))

    def _follow(
        self, job: Job, process: subprocess.Popen[bytes], lines: IO[bytes], answers: IO[bytes]
    ) -> dict[str, Any]:
        """Note the process's progress until it ends or is to be stopped; the last of it. What it needs is brought."""
        progress: dict[str, Any] = {"stage": "starting"}
        noted, pending, silence = 0.0, b"", Silence(process)
        with selectors.DefaultSelector() as selector:
            selector.register(lines, selectors.EVENT_READ)
            while not self._stopping.is_set():
                if selector.select(timeout=0.2):
                    silence.broken()
                    piece = os.read(lines.fileno(), 65536)
                    if not piece:
                        return progress
                    *whole, pending = (pending + piece).split(b"\n")
                    for line in whole:
                        progress = json.loads(line)
                        reach("training")
                        if progress.get("need") == "lots":
                            self.fetch_lots(job)
                            with suppress(OSError):  # it ended meanwhile
                                answers.write(b"lots\n")
                                answers.flush()
                if time.monotonic() - noted >= self._pause:
                    if silence.seconds() > SILENCE:
                        raise BrokenOffError(
                            f"the training process told nothing and computed nothing for {SILENCE:g} s"
                        )
                    noted = time.monotonic()
                    self._jobs.beat(job, progress, self._lease)
        raise ConflictError("this worker stops")
