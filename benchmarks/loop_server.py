"""A server that can be killed: a home with a small project, and `lifelong serve` on it, as often as one likes.

A process of its own needs seconds until torch is imported. The fork server (this file, run) imports once and forks a
child for every life: a process, sockets, files, a SIGKILL like any other, but ready at once. In a child an update is
learned in the worker's thread, as a process that learns would import torch, too.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import http.client
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from msgspec.structs import replace as with_changes

from lifelong.cli.serve import serve
from lifelong.loop import train
from lifelong.loop.engine.begin import begin
from lifelong.loop.gate import Gate
from lifelong.loop.job import Job
from lifelong.loop.learning import Candidate
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import LearnerSettings, MethodChoice, Project
from lifelong.loop.quarantine import Rules
from lifelong.loop.schema import InputSchema
from lifelong.loop.trainer import Trainer
from lifelong.loop.triggers import ByHand
from lifelong.service.home import first_key, open_engine, open_home
from lifelong.service.running import announced
from lifelong.service.settings import ServeSettings
from lifelong.store import versions
from lifelong.store.failpoints import VARIABLE, reach
from lifelong.streams.sources import digits
from lifelong.training import Training
from lifelong.types import Task

__all__ = ["PROJECT", "Forked", "Life", "Own", "Servers", "fork_server", "prepare", "ready", "started"]

PATIENCE = 60.0

#: learned in a tenth of a second, and promoted unless it forgets half of what it knew
PROJECT = Project(
    "digits",
    InputSchema((1, 8, 8), 0, 1),
    tuple("0123456789"),
    learner=LearnerSettings("mlp:16", training=Training(epochs=2, lr=0.1)),
    method=MethodChoice("er", {"capacity": 200, "replay_batch": 32}),
    gate=Gate(min_gain=-0.5, max_forgetting=0.5, power=0.0),
    rules=Rules(rate=0, outlier=0, suspicion=0),
    triggers=(ByHand(),),
    exam=ExamSettings(0.3, cap=60, minimum=20),
    repair=(),
)


def prepare(home: Path, database: str | None = None, project: Project = PROJECT, second: bool = False) -> str:
    """Make the project with its version 1 (`second`: another version, too), and an admin key, which is returned."""
    source = digits()
    first = Task.of(1, train=(source.train_x[:500], source.train_y[:500]), test=(source.test_x, source.test_y))
    with open_engine(home, database) as engine:
        begin(engine, project, [first], actor="the harness")
        if second:
            one = engine.read(lambda connection: versions.listed(connection, project.name))[0]
            other = Candidate.of(replace(project, seed=1).new_learner())
            row = with_changes(one.content(), parent=one.id, blob=engine.blobs.put(other.data))
            engine.write(lambda connection: versions.add(connection, row, 5.0))
        key = first_key(engine)
    assert key is not None
    return key


@dataclass(frozen=True)
class Life:
    """A server that is ready; `seconds` is how long that took since it was started."""

    pid: int
    url: str
    seconds: float


@dataclass(frozen=True)
class Servers(ABC):
    """Starts servers on one home, one after the other."""

    home: Path

    @abstractmethod
    def fork(self, failpoint: str = "") -> int:
        """Start one, in a process group of its own; its pid."""

    @abstractmethod
    def ended(self, pid: int) -> int:
        """Wait until it has ended by itself; the exit code, or minus the signal."""

    def end(self, pid: int, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to all its processes and wait until it has ended; the exit code, or minus the signal."""
        os.killpg(pid, how)
        return self.ended(pid)


def ready(servers: Servers, pid: int, start: float) -> Life:
    """Wait until the server `pid`, which was started at `start` (of `time.perf_counter`), answers that it is ready.

    Raises: `TimeoutError` with what it told at last; the log then has where each of its threads was.
    """
    told: dict[str, Any] = {}
    end, seen = start + PATIENCE, "nothing"
    while time.perf_counter() < end:
        try:
            told = json.loads((servers.home / "server.json").read_bytes())
            if told["pid"] == pid:
                connection = http.client.HTTPConnection(told["url"].removeprefix("http://"), timeout=10)
                with contextlib.closing(connection):
                    connection.request("GET", "/v2/health/ready")
                    answer = connection.getresponse()
                    seen = f"{answer.status} {answer.read().decode(errors='replace')}"
                    if answer.status == 200:
                        return Life(pid, told["url"], time.perf_counter() - start)
        except (OSError, ValueError, http.client.HTTPException) as error:
            seen = repr(error)
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGABRT)
    raise TimeoutError(f"server {pid} is not ready after {PATIENCE:g} seconds; server.json: {told}, seen: {seen}")


def started(servers: Servers, failpoint: str = "") -> Life:
    """A server that is ready."""
    start = time.perf_counter()
    return ready(servers, servers.fork(failpoint), start)


@dataclass(frozen=True)
class Own(Servers):
    """`lifelong serve` as everybody starts it."""

    home: Path
    options: tuple[str, ...] = ()
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def fork(self, failpoint: str = "") -> int:
        command = [sys.executable, "-c", "from lifelong.cli import main; main()", "serve", "--port", "0"]
        with (self.home.parent / "log").open("ab") as log:
            process = subprocess.Popen(
                [*command, "--home", str(self.home), *self.options],
                stdout=log,
                stderr=log,
                env={**os.environ, VARIABLE: failpoint, "PYTHONFAULTHANDLER": "1"},
                start_new_session=True,
            )
        self.running[process.pid] = process
        return process.pid

    def ended(self, pid: int) -> int:
        return self.running.pop(pid).wait(PATIENCE)


@dataclass(frozen=True)
class Forked(Servers):
    """Children of a fork server (`process`); `options` go to `lifelong.cli.serve.serve`."""

    home: Path
    process: subprocess.Popen[bytes]
    options: dict[str, Any] = field(default_factory=dict)

    def fork(self, failpoint: str = "") -> int:
        return self._ask({"home": str(self.home), "failpoint": failpoint, "options": self.options})

    def ended(self, pid: int) -> int:
        return self._ask({"wait": pid})

    def arm(self, pid: int, failpoint: str) -> None:
        """Let the server die there from now on; for places that it also comes by when it starts."""
        note = self.home / "failpoint"
        note.write_text(failpoint)
        os.kill(pid, signal.SIGUSR1)
        end = time.perf_counter() + PATIENCE
        while note.exists():
            assert time.perf_counter() < end
            time.sleep(0.001)

    def _ask(self, order: dict[str, Any]) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()
        return int(heard(self.process, f"the order {order}"))


def heard(process: subprocess.Popen[bytes], after: str) -> bytes:
    """The next line that the process says. Raises: `TimeoutError` where it says none."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], 2 * PATIENCE)[0]:
        raise TimeoutError(f"the fork server has said nothing for {2 * PATIENCE:g} seconds after {after}")
    return process.stdout.readline()


@contextlib.contextmanager
def fork_server(logged: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A fork server, and where it and its children write what they have to say."""
    command = [sys.executable, __file__]
    with logged.open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    with process:
        assert heard(process, "its start") == b"0\n", "the fork server did not start; its log says why"
        yield process
        assert process.stdin is not None
        process.stdin.close()  # it ends, and what it started


def learn_here(trainer: Trainer, job: Job) -> None:
    """What the training process does, in this thread."""
    train._learn(trainer._folder, job, os.getppid(), lambda: trainer.fetch_lots(job))


def live(order: dict[str, Any]) -> None:
    """The child's part: serve until a signal."""
    os.setpgid(0, 0)
    home = Path(order["home"])

    def arm(_: int, __: object) -> None:
        note = home / "failpoint"
        os.environ[VARIABLE] = note.read_text()
        note.unlink()

    signal.signal(signal.SIGUSR1, arm)
    faulthandler.enable()
    os.environ[VARIABLE] = order["failpoint"]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the orders' answers are no place for what a server says
    code = 1
    try:
        serve(home=home, port=0, **order["options"])
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it was, this process must not go on as a fork server
        traceback.print_exc()
    finally:
        os._exit(code)


def warm_up() -> None:
    """Do once what a child does first, so that all that is imported late, and every cache, is there before it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        prepare(home)
        settings = ServeSettings()
        with open_home(home, settings) as opened, announced(home, opened.app, settings, "127.0.0.1", 0):
            pass
    assert threading.active_count() == 1, "a thread would be missing in the children"
    gc.freeze()


def main() -> None:
    """Take orders from stdin, a line each, and answer each with a number."""
    torch.set_num_threads(1)
    cast("Any", Trainer)._trained = learn_here
    train.tell = lambda news: reach("training")  # said at the first step, and before the exams
    warm_up()
    tell(0)
    children: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
            children.discard(order["wait"])
        elif (answer := os.fork()) == 0:
            live(order)
        else:
            with contextlib.suppress(PermissionError):  # the child did it, whoever comes first
                os.setpgid(answer, answer)
            children.add(answer)
        tell(answer)
    for pid in children:
        os.killpg(pid, signal.SIGKILL)


def tell(answer: int) -> None:
    """The answer to an order."""
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
