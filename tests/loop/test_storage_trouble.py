"""Storage that does not answer for a moment costs an update an attempt at most, and its lot never."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lifelong.errors import DataError, LifelongError, StorageError
from lifelong.loop.job import Job
from lifelong.loop.trainer import Trainer
from lifelong.store.errors import DamagedError


@dataclass
class Failing:
    """Hands out one job again and again, whose first blob cannot be had."""

    error: LifelongError
    failed: list[str] = field(default_factory=list)
    claimed: int = 0

    def claim(self, owner: str, lease: float) -> Job | None:
        self.claimed += 1
        return Job("u1", owner, self.claimed, {"name": "digits"}, None, "champion", 2, [])

    def blob(self, name: str) -> bytes:
        raise self.error

    def beat(self, job: Job, progress: Mapping[str, Any], lease: float) -> None:
        return None

    def complete(self, job: Job, candidate: bytes, answers: bytes, latency: Mapping[str, float]) -> None:
        raise AssertionError("nothing was learned")

    def fail(self, job: Job, reason: str) -> None:
        self.failed.append(reason)


@pytest.mark.parametrize(
    ("error", "fails"),
    [(StorageError("the disk is full"), False), (DamagedError("damaged"), True), (DataError("no such class"), True)],
)
def test_only_what_trying_again_cannot_mend_fails_at_once(tmp_path: Path, error: LifelongError, fails: bool) -> None:
    jobs = Failing(error)
    trainer = Trainer(jobs, tmp_path, "w1", threading.Event(), lease=0.05)
    assert trainer.step()
    assert jobs.failed == ([str(error)] if fails else [])
    assert list(tmp_path.iterdir()) == []
