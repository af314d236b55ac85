"""SIGKILL at random moments under concurrent clients, and an account of what was lost, which should be nothing."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from loop_clients import Account, Caller, Crowd, LostError, RefusedError, examples
from loop_server import Servers, ready, started
from loop_verify import Verifier, at_rest

__all__ = ["Outcome", "kills"]

PATIENCE = 20.0  # seconds that a life waits for the champion's move, which chance brings sooner or later


@dataclass
class Outcome:
    """What a run of kills has shown. `seconds`: from the start of a process to ready, for each life."""

    faults: list[str] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    stored: int = 0
    kills: int = 0
    while_starting: int = 0
    resent: int = 0
    were_stored: int = 0
    revision: int = 0
    seconds: list[float] = field(default_factory=list)

    def told(self) -> str:
        """In some lines."""
        it = self.account
        return "\n".join(
            (
                f"{self.kills} kills ({self.while_starting} of them while it started), {len(self.faults)} faults",
                f"feedback: {len(it.acknowledged)} acknowledged, {self.stored} stored; refused {it.refused}, "
                f"broken {it.broken}, timed out {it.timed_out}; of {self.resent} that were sent again "
                f"{self.were_stored} had been stored",
                f"predictions answered: {it.answered}; the champion moved {self.revision} times",
                f"start to ready: median {median(self.seconds):.3f} s, at most {max(self.seconds):.3f} s",
                *self.faults[:20],
            )
        )


def kills(
    servers: Servers,
    key: str,
    count: int,
    *,
    seed: int = 0,
    database: str | None = None,
    longest: float = 0.25,
    often: float = 1.0,
    on_life: Callable[[int], None] = lambda life: None,
) -> Outcome:
    """Let a server live for up to `longest` seconds and kill it, `count` times; see that nothing is lost.

    Every tenth first lives until the champion was moved. That nothing is lost is seen in the end, and before that after
    so many of the kills as `often` says.
    """
    chance, bodies = random.Random(seed), examples()
    outcome, verifier = Outcome(), Verifier(servers.home)
    account = outcome.account
    for life in range(count):
        on_life(life)
        start = time.perf_counter()
        pid = servers.fork()
        if chance.random() < 0.15:  # before it is ready
            time.sleep(chance.uniform(0, 0.15))
            outcome.while_starting += 1
        else:
            server = ready(servers, pid, start)
            outcome.seconds.append(server.seconds)
            if chance.random() < often:
                look(server.url, key, verifier, outcome, chance)
            crowd = Crowd(server.url, key, f"life-{life}", bodies)
            if life % 10 == 0:  # on a slow machine `longest` is too short for anything but the first requests
                crowd.moved.wait(PATIENCE)
            time.sleep(chance.uniform(0.01, longest))
            servers.end(pid)
            time.sleep(0.01)  # who comes now is refused
            account.add(crowd.end())
            outcome.kills += 1
            continue
        servers.end(pid)
        outcome.kills += 1
    server = started(servers)
    outcome.seconds.append(server.seconds)
    look(server.url, key, verifier, outcome, chance, whole=True)
    code = servers.end(server.pid, signal.SIGTERM)
    outcome.faults += account.wrong + verifier.faults + at_rest(servers.home, database)
    if code != 0:
        outcome.faults.append(f"it ended by SIGTERM with code {code}")
    outcome.stored = verifier.stored
    outcome.revision = verifier.revision
    return outcome


def look(url: str, key: str, verifier: Verifier, outcome: Outcome, chance: random.Random, whole: bool = False) -> None:
    """Verify, and send half of what nobody knows about again (all of it in the end)."""
    account = outcome.account
    try:
        with Caller(url, key) as caller:
            again = [account.unknown.pop(name) for name in list(account.unknown) if whole or chance.random() < 0.5]
            outcome.resent += len(again)
            outcome.were_stored += account.send(caller, again)
            verifier.look(caller, account, whole)
    except (RefusedError, LostError) as error:
        outcome.faults.append(f"a server that was ready gave no answer: {error!r}")
