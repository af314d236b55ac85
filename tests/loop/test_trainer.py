"""A worker keeps its lease while blobs are on their way, and stops where it has lost it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lifelong.errors import ConflictError, StorageError
from lifelong.loop.job import Job, Part
from lifelong.loop.trainer import Trainer


@dataclass
class Slow:
    """Hands out one job, whose blobs come and go no sooner than the worker has beaten."""

    lost: bool = False
    stages: list[object] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    beaten: threading.Event = field(default_factory=threading.Event)

    def claim(self, owner: str, lease: float) -> Job | None:
        parts = [Part(1, "one", [0, 1], "train", "exam")]
        return Job("u", owner, 1, {}, None, "champion", 1, parts)

    def blob(self, name: str) -> bytes:
        self.wait()
        self.fetched.append(name)
        return b"bytes"

    def beat(self, job: Job, progress: Mapping[str, Any], lease: float) -> None:
        self.stages.append(progress["stage"])
        self.beaten.set()
        if self.lost:
            raise ConflictError("another worker has it")

    def complete(self, job: Job, candidate: bytes, answers: bytes, latency: Mapping[str, float]) -> None:
        self.wait()
        self.ended.append("complete")

    def fail(self, job: Job, reason: str) -> None:
        self.ended.append(reason)

    def wait(self) -> None:
        self.beaten.clear()
        if not self.beaten.wait(20):
            raise StorageError("no beat came")


#: four seconds of work without a word
BUSY = "end = time.process_time() + 4\nwhile time.process_time() < end: pass"


def trained(trainer: Trainer, job: Job) -> None:
    """What the process leaves behind."""
    folder = trainer._folder
    for name, data in (("candidate", b"c"), ("answers", b"a"), ("result.json", b'{"latency": {}}')):
        (folder / name).write_bytes(data)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Slow], None]:
    monkeypatch.setattr(Trainer, "_trained", trained)

    def step(jobs: Slow) -> None:
        before = threading.active_count()
        assert Trainer(jobs, tmp_path, "w", threading.Event(), lease=0.03).step()
        assert threading.active_count() == before, "nobody beats any more"

    return step


@pytest.mark.parametrize(("ends", "code"), [("os.kill(os.getpid(), 9)", -9), ("raise OSError('no room')", 1)])
def test_a_process_that_ends_without_a_word_costs_an_attempt(
    ends: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, told = Slow(), list[Mapping[str, Any]]()
    monkeypatch.setattr(jobs, "beat", lambda job, progress, lease: (told.append(progress), jobs.beaten.set()))
    run = [sys.executable, "-c", f"import os; {ends}"]
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **settings: popen(run, **settings))
    assert Trainer(jobs, tmp_path, "w", threading.Event(), lease=0.3).step()
    assert jobs.ended == [], "neither handed in nor given up: the lease runs out, and it is tried again"
    assert told[-1]["stage"] == "broken off"
    assert told[-1]["why"].startswith(f"the training process ended with code {code}")


@pytest.mark.parametrize(
    ("does", "ends"), [("time.sleep(60)", "told nothing and computed nothing for 0.5 s"), (BUSY, "ended with code 0")]
)
def test_a_process_that_hangs_is_broken_off_and_one_that_computes_is_not(
    does: str, ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, told = Slow(), list[Mapping[str, Any]]()
    monkeypatch.setattr(jobs, "beat", lambda job, progress, lease: (told.append(progress), jobs.beaten.set()))
    monkeypatch.setattr("lifelong.loop.trainer.SILENCE", 0.5 if does != BUSY else 2.5)
    popen, started = subprocess.Popen, list[subprocess.Popen[bytes]]()

    def run(command: object, **settings: Any) -> subprocess.Popen[bytes]:
        started.append(popen([sys.executable, "-c", f"import time; {does}"], **settings))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", run)
    trainer = Trainer(jobs, tmp_path, "w", threading.Event(), lease=0.3)
    if does == BUSY:
        with pytest.raises(OSError, match="result"):
            trainer.step()  # it ended well, and handed nothing in
        return
    assert trainer.step()
    assert told[-1]["why"].endswith(ends)
    assert started[0].returncode == -9
    assert jobs.ended == []


def test_blobs_that_come_and_go_slowly_cost_no_lease(work: Callable[[Slow], None]) -> None:
    jobs = Slow()
    work(jobs)
    assert jobs.ended == ["complete"]
    assert sorted(jobs.fetched) == ["champion", "exam", "train"]
    assert {*jobs.stages} == {"fetching", "handing in"}


def test_a_lease_that_is_lost_ends_the_fetching(work: Callable[[Slow], None]) -> None:
    jobs = Slow(lost=True)
    work(jobs)
    assert jobs.ended == []
    assert len(jobs.fetched) == 1
