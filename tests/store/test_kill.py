"""SIGKILL at any moment: what was acknowledged is there, once; what was not is there once or not at all."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from waiting import joined

from lifelong.store import feedback

from .conftest import Place, two_projects

CLIENTS = """
import sys, threading
from functools import partial
from pathlib import Path
from lifelong.store import ingest
from lifelong.store.database import open_store

home, database, life = Path(sys.argv[1]), sys.argv[2] or None, sys.argv[3]
store = open_store(home, database)
door = threading.Lock()

def client(number):
    for each in range(1_000_000):
        key = f"{life}-{number}-{each}"
        row = ingest.NewFeedback(project="digits", key=key, label=each % 10, x=[number, each], received=1.0)
        store.write(partial(ingest.add, row=row)).result(timeout=30)
        with door:
            print(key, flush=True)

print("ready", flush=True)
for number in range(4):
    threading.Thread(target=client, args=(number,), daemon=True).start()
threading.Event().wait()
"""

ONE = """
import os, sys
from functools import partial
from pathlib import Path
from lifelong.store import ingest
from lifelong.store.database import open_store
from lifelong.store.failpoints import VARIABLE

store = open_store(Path(sys.argv[1]), sys.argv[2] or None)
os.environ[VARIABLE] = sys.argv[3]
row = ingest.NewFeedback(project="digits", key="a", label=1, x=[1], received=1.0)
future = store.write(partial(ingest.add, row=row))
future.add_done_callback(lambda done: print(done.result().state, flush=True))  # in the writing thread, at once
store.close()
"""


def live_and_die(place: Place, life: int, seconds: float) -> list[str]:
    """Let four clients write, kill them all, and return the keys that were acknowledged."""
    command = [sys.executable, "-c", CLIENTS, str(place.home), place.database or "", str(life)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        death = threading.Timer(seconds, process.kill)
        death.start()
        lines = process.stdout.read().split("\n")
        joined([death])
    return lines[:-1]  # the last line was not finished


def test_a_killed_server_has_lost_and_doubled_nothing(place: Place) -> None:
    with place.open() as store:
        store.write(two_projects).result(timeout=30)
    chance = random.Random(0)
    acknowledged: list[str] = []
    for life in range(3):
        acknowledged += live_and_die(place, life, chance.uniform(0.05, 0.6))
    with place.open() as store:
        rows = store.read(lambda connection: feedback.listed(connection, "digits", limit=1_000_000))
    keys = [row.key for row in rows]
    assert acknowledged
    assert len(keys) == len(set(keys))
    assert set(acknowledged) <= set(keys)
    assert len(keys) - len(acknowledged) <= 3 * 4  # one that each client still waited for
    assert all(f"{row.x[0]}-{row.x[1]}" == row.key.partition("-")[2] for row in rows)
    assert Path(place.home, "lifelong.db").exists() == (place.database is None)


@pytest.mark.parametrize(
    ("failpoint", "stored"), [("store before commit", []), ("store after commit", ["a"]), ("no such point", ["a"])]
)
def test_the_answer_comes_after_the_commit(place: Place, failpoint: str, stored: list[str]) -> None:
    with place.open() as store:
        store.write(two_projects).result(timeout=30)
    command = [sys.executable, "-c", ONE, str(place.home), place.database or "", failpoint]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=120)
    alive = failpoint == "no such point"
    assert (done.returncode, done.stdout) == ((0, "accepted\n") if alive else (-signal.SIGKILL, ""))
    with place.open() as store:
        assert [row.key for row in store.read(lambda connection: feedback.listed(connection, "digits"))] == stored
