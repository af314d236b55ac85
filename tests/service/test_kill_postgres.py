"""SIGKILL of a server on PostgreSQL, at some of the named places and at random moments: the same as on SQLite holds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from loop_kills import kills
from loop_server import Forked, prepare

from . import test_kill
from .test_kill import SOON, Scene


@pytest.fixture
def scene(database: str, forking: subprocess.Popen[bytes], tmp_path: Path) -> Scene:
    home = tmp_path / "home"
    key = prepare(home, database, second=True)
    return Scene(Forked(home, forking, {"database": database}), key, database)


@pytest.mark.parametrize("failpoint", ["store before commit", "store after commit"])
def test_feedback(scene: Scene, failpoint: str) -> None:
    test_kill.test_feedback_at_every_place(scene, failpoint)


#: not while it holds a lease, which beside other servers is waited for, half a minute; `tests/loop` sets the clock
@pytest.mark.parametrize("failpoint", ["examined", "decided before commit"])
def test_an_update(scene: Scene, failpoint: str) -> None:
    test_kill.test_an_update_at_every_place(scene, failpoint)


@pytest.mark.parametrize("failpoint", ["promote before commit", "promote after commit"])
def test_the_champion(scene: Scene, failpoint: str) -> None:
    test_kill.test_the_champion_at_every_place(scene, failpoint)


def test_random_moments(scene: Scene) -> None:
    outcome = kills(scene.servers, scene.key, 10, database=scene.database, longest=0.2)
    print(outcome.told())
    assert outcome.faults == []
    assert outcome.kills == 10
    assert len(outcome.account.acknowledged) > 10
    assert max(outcome.seconds) <= SOON, f"ready after {max(outcome.seconds)} seconds"
