"""The story: twelve lots of labels from users, and what the loop makes of each."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from lifelong.errors import ResourceError
from lifelong.loop.engine.begin import begin
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import LearnerSettings, MethodChoice, Project
from lifelong.loop.schema import InputSchema
from lifelong.loop.triggers import ByHand
from lifelong.service.client import Server
from lifelong.service.demonstration.users import Answer, Crowd, User, crowd
from lifelong.service.home import first_key, open_engine, open_home
from lifelong.service.running import announced
from lifelong.service.settings import ServeSettings
from lifelong.service.worker import work_for
from lifelong.streams.sources import digits
from lifelong.streams.transforms import rotate
from lifelong.types import Task

__all__ = ["PROJECT", "Scene", "Shown", "scenes", "tell_story"]

T = TypeVar("T")

NAME = "digits"
LOT, LATE, USERS = 240, 9, 12
#: digits that version 1 learns from; of the eleven lots of right labels so many should be promoted or known
FIRST, ENOUGH = 560, 8
#: seconds that a step of the story may take on a slow machine before it is given up
PATIENCE = 300.0

PROJECT = Project(
    NAME,
    InputSchema((1, 8, 8), 0, 1),
    tuple("0123456789"),
    learner=LearnerSettings("mlp:64"),
    method=MethodChoice("er", {"capacity": 500}),
    triggers=(ByHand(),),
    exam=ExamSettings(0.4, minimum=60),
)


class Scene(NamedTuple):
    """One lot: what users send in words, their digits `x` with the labels `y`, and which states the story expects."""

    told: str
    x: Tensor
    y: Tensor
    expected: tuple[str, ...] = ("promoted", "known", "rejected")
    retrain: bool = False


@dataclass(frozen=True)
class Shown:
    """What the story came to: where the server is, the life of the model, its updates, and what its users saw."""

    url: str
    key: str
    told: list[str]
    life: dict[str, Any]
    updates: list[dict[str, Any]]
    surprises: list[str]
    before: dict[str, float]
    after: dict[str, float]
    asked: int
    failures: list[str]
    audit_breaks: int
    seconds: float


def scenes() -> Iterator[Scene]:
    """Twelve lots: what is known, drift that comes back, a class that comes late, and wrong labels.

    Digits of the training split that version 1 has not seen; lots are drawn anew from them each time.
    """
    source, luck = digits(), torch.Generator().manual_seed(0)
    rest = torch.arange(FIRST, len(source.train_y))

    def lot(among: Tensor = rest, count: int = LOT) -> tuple[Tensor, Tensor]:
        rows = among[torch.randperm(len(among), generator=luck)[:count]]
        return source.train_x[rows], source.train_y[rows]

    def turned(degrees: float) -> tuple[Tensor, Tensor]:
        x, y = lot()
        return rotate(x, degrees), y

    def inverted() -> tuple[Tensor, Tensor]:
        x, y = lot()
        return 1 - x, y

    early = rest[source.train_y[rest] != LATE]
    good = ("promoted", "known")
    yield Scene("upright digits, as before", *lot(early), good)
    yield Scene("digits turned by 90 degrees", *turned(90))
    yield Scene(f"upright digits, among them the first {LATE}s", *lot())
    yield Scene("digits turned by 30 degrees", *turned(30))
    yield Scene("digits turned by 90 degrees, again", *turned(90))
    x, y = lot()
    yield Scene("a poisoned lot: every label is one too high", x, (y + 1) % 10, ("rejected", "known"))
    yield Scene("upright digits, as before", *lot())
    yield Scene("white digits on black became black ones on white", *inverted())
    yield Scene("digits upside down", *turned(180), good, retrain=True)
    yield Scene("black digits on white, again", *inverted())
    yield Scene("digits upside down, again", *turned(180))
    yield Scene("upright digits, as before", *lot())


@contextlib.contextmanager
def tell_story(
    home: Path, say: Callable[[str], None], port: int = 0, only: Collection[int] | None = None
) -> Iterator[Shown]:
    """Tell it in the new folder `home`; inside the block the server goes on answering and learning.

    `only` some of the lots, by their place from 1; all by default.

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
        server, place = Server(url, key), (url, key, NAME)
        say(f"It is online at {url}; four users ask it all the time.")
        chance = ", ".join(f"{each:.2f}" for each in server.ask("GET", NAME)["gate"]["power"].values())
        say(
            f"A candidate as good as the champion passes its gate with probability {chance} (now, after 10, 30, 100 "
            "tasks)."
        )
        with (
            _worker(server, home / "demo-worker"),
            contextlib.closing(User(*place)) as user,
            crowd(digits().test_x, 4, *place) as users,
        ):
            before = _accuracies(user)
            rows, surprises = list[dict[str, Any]](), list[str]()
            lots = [scene for place, scene in enumerate(scenes(), start=1) if only is None or place in only]
            for number, scene in enumerate(lots, start=1):
                row = _lived(server, user, users, scene)
                say(f"{number:2}. {scene.told}: {_verdict(row)}")
                rows.append(row)
                if row["state"] not in scene.expected:
                    surprises.append(f"update {number} is {row['state']}, expected {' or '.join(scene.expected)}")
            after = _accuracies(user)
            kept = sum(row["state"] in ("promoted", "known") for row in rows)
            if only is None and kept < ENOUGH:
                surprises.append(f"{kept} of 11 lots of right labels were promoted or known, expected {ENOUGH} or more")
        say(f"Of {users.asked} requests in all that time {len(users.failures)} failed.")
        yield Shown(
            url=url,
            key=key,
            told=[scene.told for scene in lots],
            life=server.ask("GET", NAME)["life"],
            updates=rows,
            surprises=surprises,
            before=before,
            after=after,
            asked=users.asked,
            failures=users.failures,
            audit_breaks=len(server.ask("GET", f"{NAME}/audit?verify=true")["breaks"]),
            seconds=time.monotonic() - start,
        )


def _first_version(home: Path, say: Callable[[str], None]) -> None:
    source = digits()
    say(f"Version 1 learns upright digits, but no {LATE}.")
    train, test = source.train_y[:FIRST] != LATE, source.test_y != LATE
    task = Task.of(
        1,
        train=(source.train_x[:FIRST][train], source.train_y[:FIRST][train]),
        test=(source.test_x[test], source.test_y[test]),
        name="upright",
    )
    with open_engine(home) as engine:
        begin(engine, PROJECT, [replace(task, classes=tuple(range(10)))], actor="lifelong demo loop")


def _lived(server: Server, user: User, users: Crowd, scene: Scene) -> dict[str, Any]:
    """Users ask, correct what was answered, and an update learns their labels; the update once it is decided."""
    users.x = scene.x
    answers = user.ask(scene.x)
    for number in range(USERS):
        user.correct(answers[number::USERS], scene.y[number::USERS].tolist(), source=f"user {number + 1}")
    for number in range(USERS):
        if server.ask("GET", NAME)["feedback"]["quarantined"]:  # inputs unlike any before: a person looks at them
            body = {"source": f"user {number + 1}", "reason": "the world has changed: these are right"}
            server.ask("POST", f"{NAME}/quarantine:accept", body)
    row = server.ask("POST", f"{NAME}/updates", {"retrain": scene.retrain})
    return _until(
        lambda: server.ask("GET", f"{NAME}/updates/{row['id']}"),
        lambda found: found["state"] not in ("queued", "training", "examined"),
        "the update was not decided",
    )


def _verdict(row: dict[str, Any]) -> str:
    """The state of an update, how it was repaired, and why."""
    said = row["decision"]
    steps = [step["step"] for step in said.get("steps") or []]
    repairs = [step for place, step in enumerate(steps) if step != "learned" and step not in steps[:place]]
    how = f" after {' and '.join(repairs)}" if repairs else ""
    reasons = [str(reason) for reason in said.get("reasons") or [said.get("reason")]]
    return f"{row['state']}{how}: {reasons[0]}."


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


def _accuracies(user: User) -> dict[str, float]:
    """The fraction of right answers to test digits that nobody has labelled."""
    source = digits()
    worlds = {
        "upright": source.test_x,
        "turned by 90 degrees": rotate(source.test_x, 90),
        "inverted": 1 - source.test_x,
        "upside down": rotate(source.test_x, 180),
    }
    return {name: _right(user.ask(x), source.test_y) for name, x in worlds.items()}


def _right(answers: Sequence[Answer], y: Tensor) -> float:
    return sum(answer.label == str(int(label)) for answer, label in zip(answers, y, strict=True)) / len(y)


def _until(ask: Callable[[], T], done: Callable[[T], bool], fault: str) -> T:
    end = time.monotonic() + PATIENCE
    while not done(found := ask()):
        if time.monotonic() > end:
            raise ResourceError(f"{fault} within {PATIENCE:.0f} seconds; is this machine very busy?")
        time.sleep(0.1)
    return found
