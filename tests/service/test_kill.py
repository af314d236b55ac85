"""SIGKILL of a server, at every named place and at random moments: nothing lost, nothing doubled, one champion."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from loop_clients import AT, Account, Caller, LostError, RefusedError, examples
from loop_kills import kills
from loop_server import Forked, Life, started
from loop_verify import Verifier, at_rest
from waiting import decided

from lifelong.store.failpoints import VARIABLE

SOON = 3.0  # seconds until a server is ready again, without the import of torch, which the fork server has done

LABELS = [{**body, "key": f"k{number}"} for number, body in enumerate(examples()[:120])]

FEEDBACK = ("feedback before commit", "store before commit", "store after commit")
UPDATE = (
    "update claimed", "blob written", "blob renamed", "lot stored", "training", "candidate stored", "examined",
    "decided before commit", "decided",
)  # fmt: skip
PROMOTE = ("promote before commit", "promote after commit")
ROLLBACK = ("rollback before commit", "rollback after commit")


def again(server: Life, key: str, servers: Forked, work: Callable[[Caller], Any]) -> Any:
    """What `work` gives on another server of the same home, after one that died."""
    assert server.seconds <= SOON
    with Caller(server.url, key) as caller:
        done = work(caller)
    assert servers.end(server.pid) == -9
    return done


@dataclass(frozen=True)
class Scene:
    """A home to be broken: servers on it, an admin key, and its database where that is not SQLite."""

    servers: Forked
    key: str
    database: str | None = None

    def actors(self) -> tuple[str, Forked, Account, Verifier]:
        """The key, the servers, a client's account, and who verifies it."""
        return self.key, self.servers, Account(), Verifier(self.servers.home)

    def at_rest(self) -> list[str]:
        """What is wrong with it when its server has ended."""
        return at_rest(self.servers.home, self.database)


@pytest.fixture
def scene(loop_home: tuple[Path, str], forking: subprocess.Popen[bytes]) -> Scene:
    return Scene(Forked(loop_home[0], forking), loop_home[1])


@pytest.mark.parametrize("failpoint", FEEDBACK)
def test_feedback_at_every_place(scene: Scene, failpoint: str) -> None:
    key, servers, account, verifier = scene.actors()
    server = started(servers)
    with Caller(server.url, key) as caller:
        account.send(caller, LABELS[:20])
        servers.arm(server.pid, failpoint)
        account.send(caller, LABELS[20:])
    assert servers.ended(server.pid) == -9
    assert (len(account.acknowledged), len(account.unknown)) == (20, 100), "nobody heard that it was stored"

    def resend(caller: Caller) -> int:
        verifier.look(caller, account)
        stored = verifier.stored - 20
        known = account.send(caller, LABELS[20:])
        assert known == stored
        verifier.look(caller, account, whole=True)
        return stored

    stored = again(started(servers), key, servers, resend)
    assert stored == 0 or failpoint == "store after commit"
    assert stored in (0, 100), "a batch is stored as a whole"
    assert verifier.faults + scene.at_rest() + account.wrong == []


@pytest.mark.parametrize("failpoint", UPDATE)
def test_an_update_at_every_place(scene: Scene, failpoint: str) -> None:
    key, servers, account, verifier = scene.actors()
    server = started(servers, failpoint)
    with Caller(server.url, key) as caller, contextlib.suppress(LostError, RefusedError):
        account.send(caller, LABELS)
        caller.ask("POST", f"{AT}/updates", {"key": "once"})  # it may die as soon as that is queued
    assert servers.ended(server.pid) == -9

    def go_on(caller: Caller) -> dict[str, Any]:
        asked = caller.ask("POST", f"{AT}/updates", {"key": "once"})
        done = decided(caller, asked["id"])
        verifier.look(caller, account)
        status = caller.ask("GET", AT)
        assert [row["number"] for row in status["life"]["versions"]] == [1, 2, 3], "made twice, it is one version"
        assert status["champion"] == {"version": done["candidate"], "number": 3, "revision": 2}
        assert status["feedback"]["used"] == 120
        return done

    done = again(started(servers), key, servers, go_on)
    assert (done["state"], done["task"]) == ("promoted", 2), done["decision"]
    assert verifier.faults + scene.at_rest() + account.wrong == []


@pytest.mark.parametrize("failpoint", [*PROMOTE, *ROLLBACK])
def test_the_champion_at_every_place(scene: Scene, failpoint: str) -> None:
    key, servers, account, verifier = scene.actors()
    server = started(servers, failpoint)
    path, body = (f"{AT}/versions/2:promote", {}) if failpoint in PROMOTE else (f"{AT}:rollback", {"version": "2"})
    with Caller(server.url, key) as caller, pytest.raises(LostError):
        caller.ask("POST", path, body, **{"If-Match": '"1"'})
    assert servers.ended(server.pid) == -9
    revision = 2 if "after" in failpoint else 1

    def see(caller: Caller) -> None:
        champion = caller.ask("GET", f"{AT}/aliases/champion")
        assert champion["revision"] == revision
        verifier.look(caller, account)
        if revision == 2:  # who asks again on the old ETag learns that it moved
            with pytest.raises(RefusedError, match=r"412 .*revision 2"):
                caller.ask("POST", path, body, **{"If-Match": '"1"'})
        else:
            assert caller.ask("POST", path, body, **{"If-Match": '"1"'})["revision"] == 2
        verifier.look(caller, account)

    again(started(servers), key, servers, see)
    assert verifier.faults + scene.at_rest() == []


def test_every_failpoint_is_tried() -> None:
    source = Path(__file__).parents[2] / "src"
    text = "".join(path.read_text() for path in source.rglob("*.py"))
    tried = {*FEEDBACK, *UPDATE, *PROMOTE, *ROLLBACK}
    for name in tried:
        assert f'reach("{name}")' in text or name in {*PROMOTE, *ROLLBACK}
    assert text.count("reach(") - text.count("def reach(") - text.count(">>> reach(") == len(tried) - 2, VARIABLE


def test_a_hundred_random_moments(scene: Scene) -> None:
    """`python benchmarks/loop.py --kills 1000` does the same for longer."""
    outcome = kills(scene.servers, scene.key, 100, seed=0, longest=0.2, often=0.4)
    print(outcome.told())
    assert outcome.faults == []
    assert outcome.kills == 100
    assert len(outcome.account.acknowledged) > 100
    assert max(outcome.seconds) <= SOON, f"ready after {max(outcome.seconds)} seconds"
    assert outcome.revision > 1
    assert outcome.were_stored > 0, "some were killed between the commit and the answer"
