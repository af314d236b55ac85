"""The story: digits come upright, then turned; what forgets is rejected, what remembers is promoted."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from lifelong.errors import ResourceError
from lifelong.loop.engine.begin import begin
from lifelong.loop.gate import Gate
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import LearnerSettings, MethodChoice, Project
from lifelong.loop.schema import InputSchema
from lifelong.loop.triggers import InputDrift
from lifelong.service.client import Server
from lifelong.service.demonstration.users import Answer, Crowd, User, crowd
from lifelong.service.home import first_key, open_engine, open_home
from lifelong.service.running import announced
from lifelong.service.settings import ServeSettings
from lifelong.service.worker import work_for
from lifelong.streams.sources import digits
from lifelong.streams.transforms import rotate
from lifelong.training import Training
from lifelong.types import Task

__all__ = ["PROJECT", "Shown", "tell_story"]

T = TypeVar("T")

NAME = "digits"
ANGLE = 90.0
UPRIGHT, TURNED = slice(0, 700), slice(700, 1000)
#: seconds that a step of the story may take on a slow machine before it is given up
PATIENCE = 300.0

PROJECT = Project(
    NAME,
    InputSchema((1, 8, 8), 0, 1),
    tuple("0123456789"),
    learner=LearnerSettings("mlp:64", training=Training(epochs=15, lr=0.1)),
    method=MethodChoice("er", {"capacity": 500, "replay_batch": 64}),
    gate=Gate(max_forgetting=0.1),
    triggers=(InputDrift(window=50),),
    exam=ExamSettings(0.3, minimum=40),
)


@dataclass(frozen=True)
class Shown:
    """What the story came to: where the server is, the life of the model, and what its users saw."""

    url: str
    key: str
    life: dict[str, Any]
    rejected: dict[str, Any]
    promoted: dict[str, Any]
    before: dict[str, float]
    after: dict[str, float]
    asked: int
    failures: list[str]
    audit_breaks: int
    seconds: float


@contextlib.contextmanager
def tell_story(home: Path, say: Callable[[str], None], port: int = 0) -> Iterator[Shown]:
    """Tell it in the new folder `home`; inside the block the server goes on answering and learning.

    Raises: `ConflictError` where `home` has a loop already; `ResourceError` where a step does not end in time.
    """
    start = time.monotonic()
    _first_version(home, say)
    settings = ServeSettings()
    with (
        open_home(home, settings, with_worker=False) as opened,
        announced(home, opened.app, settings, "127.0.0.1", port) as url,
    ):
        key = first_key(opened.engine) or ""
        server = Server(url, key)
        say(f"It is online at {url}; four users ask it all the time.")
        with contextlib.ExitStack() as working:
            place = (url, key, NAME)
            with contextlib.closing(User(*place)) as user, crowd(digits().test_x, 4, *place) as users:
                before, task = _the_world_turns(server, user, users, say)
                working.enter_context(_worker(server, home / "demo-worker"))
                rejected = _learned(server, task, {"name": "finetune"})
                say(f"finetune learns the labels and is {rejected['state']}: {_reasons(rejected)}.")
                promoted = _learned(server, task, None)
                say(f"{PROJECT.method.name}, the project's method, is {promoted['state']}: {_reasons(promoted)}.")
                after = _accuracies(user)
            say(f"Of {users.asked} requests in all that time {len(users.failures)} failed.")
            yield Shown(
                url=url,
                key=key,
                life=server.ask("GET", NAME)["life"],
                rejected=rejected,
                promoted=promoted,
                before=before,
                after=after,
                asked=users.asked,
                failures=users.failures,
                audit_breaks=len(server.ask("GET", f"{NAME}/audit?verify=true")["breaks"]),
                seconds=time.monotonic() - start,
            )


def _first_version(home: Path, say: Callable[[str], None]) -> None:
    source = digits()
    say("Version 1 learns upright digits.")
    train = (source.train_x[UPRIGHT], source.train_y[UPRIGHT])
    task = Task.of(1, train=train, test=(source.test_x, source.test_y), name="upright")
    with open_engine(home) as engine:
        begin(engine, PROJECT, [task], actor="lifelong demo loop")


def _the_world_turns(
    server: Server, user: User, users: Crowd, say: Callable[[str], None]
) -> tuple[dict[str, float], int]:
    """Users send turned digits and correct the answers; a trigger fires. What was right before, and the new task."""
    source = digits()
    user.ask(source.train_x[UPRIGHT][:100])
    time.sleep(1.5)  # the triggers are asked in this time
    if _fired(server):
        raise ResourceError("a trigger fired although nothing had changed")
    before = _accuracies(user)
    say(f"Right: {100 * before['upright']:.1f} % of upright digits, {100 * before['turned']:.1f} % of turned ones.")
    x, y = _turned()
    say(f"Now every digit that comes is turned by {ANGLE:.0f} degrees, and users say what {len(y)} of them are.")
    users.x = x
    stored = user.correct(user.ask(x), y.tolist(), source="users")
    fired = _until(lambda: _fired(server), bool, "no trigger fired")
    found = fired[0]
    say(f"{stored} labels are stored, and the trigger {found['kind']} fires: {_numbers(found['evidence'])}.")
    update = server.ask("GET", f"{NAME}/updates/{found['update_id']}")
    reason = "to see first what learning without a method against forgetting would do"
    server.ask("POST", f"{NAME}/updates/{update['id']}:cancel", {"reason": reason})
    say(f"The update that waits is cancelled {reason}.")
    return before, int(update["task"])


def _fired(server: Server) -> list[dict[str, Any]]:
    """The firings of triggers that an update came of, the latest first."""
    found: list[dict[str, Any]] = server.ask("GET", f"{NAME}/triggers")["fired"]
    return [each for each in found if each["update_id"] is not None]  # one may fire before enough labels are stored


def _learned(server: Server, task: int, method: dict[str, Any] | None) -> dict[str, Any]:
    """The update that learns `task`, once it is decided."""
    row = server.ask("POST", f"{NAME}/updates", {"task": task, "method": method})
    return _until(
        lambda: server.ask("GET", f"{NAME}/updates/{row['id']}"),
        lambda found: found["state"] not in ("queued", "training", "examined"),
        "the update was not decided",
    )


@contextlib.contextmanager
def _worker(server: Server, folder: Path) -> Iterator[None]:
    """What `lifelong worker` does, while the block runs."""
    stopping = threading.Event()
    thread = threading.Thread(target=work_for, args=(server, folder, stopping, 0.2), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _turned() -> tuple[Tensor, Tensor]:
    """The digits that users label."""
    source = digits()
    return rotate(source.train_x[TURNED], ANGLE), source.train_y[TURNED]


def _accuracies(user: User) -> dict[str, float]:
    """The fraction of right answers to test digits that nobody has labelled."""
    source = digits()
    both = {"upright": source.test_x, "turned": rotate(source.test_x, ANGLE)}
    return {name: _right(user.ask(x), source.test_y) for name, x in both.items()}


def _right(answers: Sequence[Answer], y: Tensor) -> float:
    return sum(answer.label == str(int(label)) for answer, label in zip(answers, y, strict=True)) / len(y)


def _reasons(update: dict[str, Any]) -> str:
    said = update["decision"]
    return "; ".join(map(str, said.get("reasons") or [said.get("reason")]))


def _numbers(evidence: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in evidence.items() if isinstance(value, int | float))


def _until(ask: Callable[[], T], done: Callable[[T], bool], fault: str) -> T:
    end = time.monotonic() + PATIENCE
    while not done(found := ask()):
        if time.monotonic() > end:
            raise ResourceError(f"{fault} within {PATIENCE:.0f} seconds; is this machine very busy?")
        time.sleep(0.2)
    return found
