"""`lifelong loop init` with what was made in Python: own examples, and a learner that was saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from sqlalchemy import Connection

from lifelong import ER, Learner, Stream
from lifelong.loop.engine import Engine, asking, work
from lifelong.loop.engine.intake import Given, Intake
from lifelong.loop.learning import opened, update
from lifelong.loop.lot import unpack
from lifelong.service.home import open_engine
from lifelong.store import aliases, projects, tasks, versions
from lifelong.types import Task

from .test_loop import called

SHIFTS = (0.0, 3.0)


def clouds(shift: float, seed: int, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Two clouds that lie apart in three dimensions, moved by `shift` in two others."""
    chance = np.random.default_rng(seed)
    y = chance.integers(0, 2, count)
    x = chance.normal(size=(count, 5)) + np.array([0, 0, 0, shift, shift])
    x[:, :3] += 2.0 * y[:, None]
    return x.astype(np.float32), y


@pytest.fixture
def made(tmp_path: Path) -> tuple[Learner, list[Path]]:
    """A learner of two tasks, saved as learner.safetensors, and a file of examples for each task."""
    files, datasets = [], []
    for number, shift in enumerate(SHIFTS, start=1):
        (x, y), (exam_x, exam_y) = clouds(shift, number), clouds(shift, 10 + number)
        files.append(tmp_path / f"task{number}.safetensors")
        save_file({"x": x, "y": y, "exam_x": exam_x, "exam_y": exam_y}, files[-1])
        datasets.append(((x, y), (exam_x, exam_y)))
    stream = Stream.from_datasets(datasets)
    learner = Learner("mlp:16,8", ER(capacity=70), stream.space, epochs=5, lr=0.05, seed=4)
    for task in stream:
        learner.learn(task)
    learner.save(tmp_path / "learner.safetensors")
    return learner, files


def initialised(home: Path, *arguments: object) -> int:
    """The exit code of `loop init` for the project `clouds`."""
    return called("loop", "init", "--home", str(home), "--project", "clouds", *map(str, arguments))


def champion(engine: Engine) -> versions.Version:
    """Who answers."""

    def read(connection: Connection) -> versions.Version:
        alias = aliases.get(connection, "clouds")
        assert alias is not None
        return versions.get(connection, alias.version)

    return engine.read(read)


def test_a_learner_made_in_python_answers_online_and_learns_on(
    made: tuple[Learner, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learner, (one, two) = made
    home = tmp_path / "home"
    brought = ("--learner", tmp_path / "learner.safetensors", "--data", one, "--data", two)
    assert initialised(home, *brought) == 0, capsys.readouterr().err
    assert initialised(home, *brought) == 0, "twice is once"
    assert "version 1" in capsys.readouterr().out
    with open_engine(home) as engine:
        version, project = champion(engine), engine.project("clouds")
        assert (version.number, version.task) == (1, 2)
        assert project.learner.model == "mlp:16,8"
        assert project.method.build() == learner.method
        assert project.seed == 4
        online = opened(engine.blobs.get(version.blob))
        x = torch.from_numpy(clouds(1.0, 99)[0])
        assert torch.equal(online.logits(x), learner.logits(x))
        exam = engine.read(lambda connection: tasks.get(connection, "clouds", 2))
        exam_x, exam_y = unpack(engine.blobs.get(exam.exam_blob))
        right = (learner.predict(torch.from_numpy(exam_x)).numpy() == exam_y).mean()
        assert version.exam_row["accuracy"]["2"] == pytest.approx(right)
        assert right > 0.9
        rows = zip(*(part.tolist() for part in clouds(1.0, 7)), strict=True)
        Intake(engine).add_many("clouds", [Given(key=str(n), label=y, x=x) for n, (x, y) in enumerate(rows)])
        asking.ask(engine, "clouds", actor="ann")
        job = work.claim(engine, "w")
        assert job is not None
        assert (job.champion, job.task, len(job.exams)) == (version.blob, 3, 3)
        part = job.exams[-1]
        parts = [tuple(map(torch.tensor, unpack(engine.blobs.get(name)))) for name in (part.train, part.exam)]
        candidate = update(engine.blobs.get(job.champion), project, Task.of(3, train=parts[0], test=parts[1]))
        assert candidate.learner.tasks == [1, 2, 3]
        assert candidate.learner.state.num_seen == learner.state.num_seen + len(parts[0][1]), "it keeps its memory"


def test_own_examples_are_learned_here(made: tuple[Learner, list[Path]], tmp_path: Path) -> None:
    _, (one, _) = made
    assert initialised(tmp_path / "home", "--data", one, "-m", "ewc") == 0
    with open_engine(tmp_path / "home") as engine:
        assert engine.project("clouds").method.name == "ewc"
        assert champion(engine).exam_row["accuracy"]["1"] > 0.9


def test_what_does_not_fit_is_told(
    made: tuple[Learner, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, (one, two) = made
    home, file = tmp_path / "home", tmp_path / "learner.safetensors"
    own = Learner(torch.nn.Linear(5, 2), epochs=1)
    own.save(tmp_path / "own.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(file.read_bytes()[:-100])
    (tmp_path / "pickled.pt").write_bytes(b"")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "pickled.pt")
    save_file({"x": clouds(0.0, 1)[0]}, tmp_path / "half.safetensors")
    for arguments, words in (
        (("--learner", file, "--data", one), "has learned the tasks [1, 2], expected those of [1]"),
        (("--learner", file, "--stream", "rotated-digits", "--tasks", 2), "made for inputs of shape (5,)"),
        (("--learner", file, "--data", one, "--data", two, "-m", "ewc"), "a saved learner has its method"),
        (("--learner", tmp_path / "own.safetensors", "--data", one), "a server loads no code"),
        (("--learner", tmp_path / "torn.safetensors", "--data", one), "damaged"),
        (("--learner", tmp_path / "pickled.pt", "--data", one), "no saved learner"),
        (("--learner", file), "--stream"),
        (("--data", one, "--stream", "rotated-digits"), "--stream"),
        (("--data", tmp_path / "half.safetensors"), "should hold x, y, exam_x, exam_y, got x"),
        (("--data", tmp_path / "nothing"), "no safetensors file"),
    ):
        assert initialised(home, *arguments) == 2, arguments
        assert words in capsys.readouterr().err.replace("\n", " "), arguments
    with open_engine(home) as engine:
        assert engine.read(projects.listed) == [], "nothing was begun"
