"""A project whose users begin to send turned digits, and what a server and its worker do with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import torch

from lifelong.loop import exam, learning
from lifelong.loop.engine import Engine, asking, deciding, work
from lifelong.loop.engine.intake import Given, Intake
from lifelong.loop.gate import Gate
from lifelong.loop.job import Job, answers_of, pack_answers
from lifelong.loop.lot import ExamSettings, unpack
from lifelong.loop.project import LearnerSettings, MethodChoice, Project, from_json, to_json
from lifelong.loop.repair import repaired
from lifelong.loop.schema import InputSchema
from lifelong.loop.triggers import Amount
from lifelong.store import aliases, feedback, ingest, projects, updates
from lifelong.streams.sources import digits
from lifelong.streams.transforms import rotate
from lifelong.training import Training
from lifelong.types import Task

PROJECT = Project(
    "digits",
    InputSchema((1, 8, 8), 0, 1),
    tuple("0123456789"),
    learner=LearnerSettings("mlp:64", training=Training(epochs=20, lr=0.1)),
    method=MethodChoice("er", {"capacity": 500, "replay_batch": 64}),
    gate=Gate(max_forgetting=0.1),
    triggers=(Amount(220),),
    exam=ExamSettings(0.3, minimum=40),
    repair=(),
)


def upright() -> Task:
    source = digits()
    return Task.of(1, train=(source.train_x[:700], source.train_y[:700]), test=(source.test_x, source.test_y))


def turned(start: int = 700, count: int = 240) -> list[tuple[Any, int]]:
    source = digits()
    part = slice(start, start + count)
    return list(zip(rotate(source.train_x[part], 90).tolist(), source.train_y[part].tolist(), strict=True))


@dataclass
class Clock:
    """Time goes on a little whenever somebody looks."""

    now: float = 1000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def feed(engine: Engine, rows: list[tuple[Any, int]], name: str = "lot") -> list[str]:
    given = [Given(key=f"{name} {place}", label=label, x=x, source="ann") for place, (x, label) in enumerate(rows)]
    receipts = Intake(engine).take("digits", given).result(timeout=30)
    assert all(isinstance(each, ingest.Receipt) for each in receipts), receipts[:1]
    return [each.state for each in receipts if isinstance(each, ingest.Receipt)]


def champion(engine: Engine) -> aliases.Alias:
    found = engine.read(lambda connection: aliases.get(connection, "digits"))
    assert found is not None
    return found


def counted(engine: Engine) -> dict[str, int]:
    counts = engine.read(lambda connection: feedback.counts(connection, "digits"))
    return {state: count for state, count in counts.items() if count}


def reconfigure(engine: Engine, **changes: Any) -> None:
    config = json.loads(to_json(replace(PROJECT, **changes)))
    engine.write(lambda connection: projects.configure(connection, "digits", config))


def done(engine: Engine, job: Job) -> updates.Update:
    """What the training process does, here."""
    blobs = engine.blobs
    project = from_json(json.dumps(job.project))
    method = None if job.method is None else MethodChoice(**job.method)
    made: list[Task] = []
    for part in job.exams:
        (x, y), (exam_x, exam_y) = unpack(blobs.get(part.train)), unpack(blobs.get(part.exam))
        train, test = (torch.tensor(x), torch.tensor(y)), (torch.tensor(exam_x), torch.tensor(exam_y))
        made.append(replace(Task.of(part.number, train=train, test=test, name=part.name), classes=tuple(part.classes)))
    new = next(task for task in made if task.number == job.task)
    learned = {number: answers_of(blobs.get(each.answers))[each.who][number] for number, each in job.learned.items()}
    old = [task for task in made if task.number != job.task]
    champion = blobs.get(job.champion)
    repair = repaired(project, champion, made, new.number, method, learned, job.beside, lambda: old)
    before = exam.answers(learning.opened(champion), made)
    return work.complete(
        engine,
        job.update,
        job.owner,
        job.attempt,
        candidate=repair.candidate.data,
        answers=pack_answers(repair.candidate.learner, made, repair.answers, before),
        latency={"median": 0.1, "p99": 0.2, "count": 10},
        steps=repair.steps,
    )


def through(engine: Engine, **asked: Any) -> updates.Update:
    asking.ask(engine, "digits", actor="ann", **asked)
    job = work.claim(engine, "w1")
    assert job is not None
    done(engine, job)
    return deciding.decide(engine, job.update)
