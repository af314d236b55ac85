"""Versions in memory, and who of them answers: load, warm up, switch one reference, forget the old one.

A request takes one `Lineup` and keeps to it. What is switched out is held by the requests that still use it and by
nobody else, so it is freed after the last of them. Suffixes: N inputs, C outputs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from lifelong.errors import LifelongError, StorageError
from lifelong.loop import Project
from lifelong.loop.learning import opened
from lifelong.loop.schema import Inputs
from lifelong.service.catalogue import Catalogue, Champion
from lifelong.service.metrics import Metrics
from lifelong.training import Learner

__all__ = ["Answers", "Lineup", "Model", "Models"]

logger = logging.getLogger(__name__)

Name = TypeVar("Name", bound=Hashable)


class Answers(NamedTuple):
    """Of N inputs the likeliest output (N,), its probability (N,), and all probabilities (N, C)."""

    output_N: NDArray[np.int64]
    confidence_N: NDArray[np.float32]
    probability_NC: NDArray[np.float32]

    def at(self, rows: slice) -> Answers:
        """The answers to some of the inputs."""
        return Answers(self.output_N[rows], self.confidence_N[rows], self.probability_NC[rows])


@dataclass(frozen=True, eq=False)
class Model:
    """A version that can answer. `seconds` is what one input took when it was warmed up, and what `rows` of them took.

    It is used by one thread at a time, which `Batcher` sees to.
    """

    version: str
    classes: tuple[str, ...]
    learner: Learner = field(repr=False)
    seconds: tuple[float, float] = (0.0, 0.0)
    rows: int = 1

    @property
    def tasks(self) -> list[int] | None:
        """The tasks of which one must be named with every request; None where none is needed."""
        learner = self.learner
        needed = learner.outputs.scenario == "task" or "task number at test" in learner.method.needs
        return sorted(learner.outputs.classes) if needed else None

    def answer(self, x_N: Inputs, task: int | None = None) -> Answers:
        """Answers to inputs (N, *shape) that were checked; the softmax of `Learner.logits`, bit for bit.

        It is written out here, as `Learner.logits` first sets every module to evaluation, which `Models` did for good:
        for a small model that takes as long as the answer.
        """
        learner = self.learner
        with torch.inference_mode(), learner.autocast():
            x = torch.from_numpy(x_N).to(learner.training.device)
            logits_NC = learner.method.predict(learner.state, learner, x, task or 0)
            probability_NC = torch.softmax(learner.outputs.masked(logits_NC.float(), task or 0), dim=1).cpu()
            confidence_N, output_N = probability_NC.max(dim=1)
        return Answers(output_N.numpy(), confidence_N.numpy(), probability_NC.numpy())

    def expected_seconds(self, rows: int) -> float:
        """How long `rows` inputs will take, on the line through what was measured."""
        one, many = self.seconds
        return one + (many - one) * (rows - 1) / max(1, self.rows - 1)


@dataclass(frozen=True, eq=False)
class Lineup:
    """Who answers for a project now, loaded, and the `row` that said so."""

    project: Project
    row: Champion
    champion: Model
    canary: Model | None = None
    shadow: Model | None = None


class Models:
    """The lineup of every project, and the versions that wait beside it for a rollback.

    Arguments: `rows` is the largest batch that will be asked of a model. `keep_asked`: versions kept that were asked
    by name. `load` makes a learner of bytes and the SHA-256 that they must have.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        metrics: Metrics,
        rows: int,
        keep_asked: int,
        load: Callable[[bytes, str], Learner] = opened,
    ) -> None:
        self._catalogue, self._metrics, self._load = catalogue, metrics, load
        self._rows, self._keep_asked = rows, keep_asked
        self._lineups: dict[str, Lineup] = {}
        # replaced, never changed, as other threads read them: champions of the past and versions asked, the latest last
        self._before: dict[str, dict[str, Model]] = {}
        self._asked: dict[tuple[str, str], Model] = {}
        self._loading = threading.Lock()
        self.failures: dict[str, str] = {}  # project → why its champion could not be loaded the last time

    @property
    def ready(self) -> bool:
        """Whether every project that has a champion has someone who answers."""
        return all(name in self._lineups for name in list(self.failures))

    def projects(self) -> list[str]:
        """The projects for which someone answers."""
        return sorted(self._lineups)

    def lineup(self, project: str) -> Lineup | None:
        """Who answers for `project`; never waits."""
        return self._lineups.get(project)

    def loaded(self, project: str, version: str) -> Model | None:
        """The version where it is in memory; never waits."""
        return self._held(project).get(version)

    def versions(self, project: str) -> list[str]:
        """The versions of `project` that are in memory."""
        return list(self._held(project))

    def version(self, project: Project, version: str) -> Model | None:
        """The version of that id, loaded where it is not; None where the project has none of that id. May wait.

        Raises: `StorageError` where it cannot be loaded.
        """
        with self._loading:
            model = self._held(project.name).get(version) or self._made(project, version)
            if model is not None:
                self._asked = latest(self._asked, (project.name, version), model, self._keep_asked)
            return model

    def refresh(self, name: str) -> Lineup | None:
        """Bring the lineup of project `name` up to date; the old one answers until the new one is warm. May wait.

        A canary or shadow that cannot be loaded is left out.

        Raises: `StorageError` where the champion cannot be loaded: then everything stays as it was.
        """
        with self._loading:
            project, row = self._catalogue.project(name), self._catalogue.champion(name)
            now = self._lineups.get(name)
            if project is None or row is None:
                self._lineups.pop(name, None)
                return None
            if now is not None and now.row == row and now.project == project and name not in self.failures:
                return now
            try:
                champion = self._wanted(project, row.version)
            except LifelongError as error:
                self.failures[name] = self._failed(name, row.version, error)
                raise
            self.failures.pop(name, None)
            lineup = Lineup(project, row, champion, self._extra(project, row.canary), self._extra(project, row.shadow))
            self._lineups[name] = lineup  # the switch
            self._keep(project, now, lineup)
            self._metrics.swaps.add(name)
            return lineup

    def _keep(self, project: Project, before: Lineup | None, now: Lineup) -> None:
        past = self._before.get(project.name) or {}
        past = {version: model for version, model in past.items() if version != now.champion.version}
        if before is not None and before.champion is not now.champion:
            past = latest(past, before.champion.version, before.champion, project.keep)
        self._before[project.name] = past

    def _extra(self, project: Project, version: str | None) -> Model | None:
        if version is None:
            return None
        try:
            return self._wanted(project, version)
        except LifelongError as error:
            self._failed(project.name, version, error)
            return None

    def _wanted(self, project: Project, version: str) -> Model:
        model = self._held(project.name).get(version) or self._made(project, version)
        if model is None:
            raise StorageError(f"project {project.name!r} has no version {version}; restore the store from a backup")
        return model

    def _made(self, project: Project, version: str) -> Model | None:
        blob = self._catalogue.blob(project.name, version)
        if blob is None:
            return None
        learner = self._load(blob.data, blob.digest)
        learner.model.eval()
        return warmed(Model(version, project.classes, learner, rows=self._rows), project.input.shape)

    def _held(self, project: str) -> dict[str, Model]:
        lineup = self._lineups.get(project)
        answering = (lineup.champion, lineup.canary, lineup.shadow) if lineup else ()
        past = (self._before.get(project) or {}).values()
        asked = [model for (name, _), model in self._asked.items() if name == project]
        return {model.version: model for model in (*answering, *past, *asked) if model is not None}

    def _failed(self, project: str, version: str, error: LifelongError) -> str:
        message = f"version {version} of {project!r} cannot be loaded: {error}"
        self._metrics.load_failures.add(project)
        logger.error("%s", message)
        return message


def warmed(model: Model, shape: tuple[int, ...]) -> Model:
    """The model after its first answers, which are slow, with the time that the next ones took."""
    taken: list[float] = []
    for rows in (1, model.rows):
        x_N = np.zeros((rows, *shape), dtype=np.float32)
        tasks = model.tasks
        least = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            model.answer(x_N, tasks[0] if tasks else None)
            least = min(least, time.perf_counter() - start)
        taken.append(least)
    return Model(model.version, model.classes, model.learner, (taken[0], taken[1]), model.rows)


def latest(models: dict[Name, Model], name: Name, model: Model, keep: int) -> dict[Name, Model]:
    """`models` with this one as the last, and no more than the last `keep` of them."""
    others = {other: held for other, held in models.items() if other != name}
    return dict([*others.items(), (name, model)][-keep:] if keep else [])
