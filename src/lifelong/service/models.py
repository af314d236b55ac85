"""Who answers: load, warm up, switch one reference, forget the old one.

A request takes one `Lineup` and keeps to it. What is switched out is held by the requests that still use it and by
nobody else, so it is freed after the last of them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TypeVar

from lifelong.errors import LifelongError
from lifelong.loop import Project
from lifelong.loop.learning import opened
from lifelong.service.catalogue import Catalogue, Champion
from lifelong.service.loading import Load, Loader
from lifelong.service.metrics import Metrics
from lifelong.service.model import Model
from lifelong.store.errors import DamagedError

__all__ = ["Lineup", "Models"]

logger = logging.getLogger(__name__)

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True, eq=False)
class Lineup:
    """Who answers for a project now, loaded, and the `row` that said so, which was the `look`-th to be read.

    `whole`: nobody is left out whose bytes may be readable the next time.
    """

    project: Project
    row: Champion
    champion: Model
    canary: Model | None = None
    shadow: Model | None = None
    look: int = 0
    whole: bool = True


class Models:
    """The lineup of every project, and the versions that wait beside it for a rollback.

    Arguments: `rows` is the largest batch that will be asked of a model. `keep_asked`: versions kept that were asked
    by name. `load` makes a learner of bytes and the SHA-256 that they must have.
    """

    def __init__(self, catalogue: Catalogue, metrics: Metrics, rows: int, keep_asked: int, load: Load = opened) -> None:
        self._catalogue, self._metrics, self._loader = catalogue, metrics, Loader(catalogue, rows, load)
        self._keep_asked = keep_asked
        self._lineups: dict[str, Lineup] = {}
        # replaced, never changed, as other threads read them: champions of the past and versions asked, the latest last
        self._before: dict[str, dict[str, Model]] = {}
        self._asked: dict[tuple[str, str], Model] = {}
        # the first is held while rows are read, so that looks are numbered as they saw; the second never for long
        self._looking, self._switching = threading.Lock(), threading.Lock()
        self._looks = 0
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
        model = self._held(project.name).get(version) or self._loader.version(project, version)
        if model is not None:
            with self._switching:
                self._asked = latest(self._asked, (project.name, version), model, self._keep_asked)
        return model

    def refresh(self, name: str) -> Lineup | None:
        """Bring the lineup of project `name` up to date; the old one answers until the new one is warm. May wait.

        The champion is switched before a canary or shadow is loaded. One of these that is damaged is left out and
        withdrawn from the traffic; one that cannot be read now is tried again the next time.

        Raises: `StorageError` where the champion cannot be loaded: then everything stays as it was.
        """
        with self._looking:
            project, row = self._catalogue.project(name), self._catalogue.champion(name)
            self._looks += 1
            look = self._looks
        now = self._lineups.get(name)
        if project is None or row is None:
            with self._switching:
                self._lineups.pop(name, None)
            return None
        if now is not None and now.row == row and now.project == project and now.whole and name not in self.failures:
            return now
        try:
            champion = self._wanted(project, row.version)
        except LifelongError as error:
            message = self._failed(name, row.version, error)
            with self._switching:
                if name not in self._lineups or self._lineups[name].look < look:
                    self.failures[name] = message
            raise
        held = self._held(name)
        lineup = Lineup(project, row, champion, held.get(row.canary or ""), held.get(row.shadow or ""), look)
        lineup = self._switched(lineup)
        beside = {version for version in (row.canary, row.shadow) if version is not None and version not in held}
        return self._joined(lineup, beside) if beside and lineup.look == look else lineup

    def preload(self, name: str, ending: threading.Event) -> None:
        """Load the champions of the past that project `name` keeps for rollbacks, the latest first, until the `ending`.

        One that cannot be loaded is passed over. May wait.
        """
        project = self._catalogue.project(name)
        if project is None:
            return
        for version in self._catalogue.past(name, project.keep):
            if ending.is_set():
                return
            try:
                model = self._wanted(project, version)
            except LifelongError as error:
                self._failed(name, version, error)
                continue
            with self._switching:
                past, now = self._before.get(name) or {}, self._lineups.get(name)
                answers = now is not None and now.champion.version == version
                if not answers and version not in past and len(past) < project.keep:
                    self._before[name] = {version: model, **past}

    def _joined(self, lineup: Lineup, beside: set[str]) -> Lineup:
        """The lineup with those `beside` the champion that were not in memory, as far as they can be loaded."""
        name, found, whole = lineup.project.name, dict[str, Model](), True
        for version in sorted(beside):
            try:
                found[version] = self._wanted(lineup.project, version)
            except DamagedError as error:
                whole &= self._withdrawn(name, version, error)
            except LifelongError as error:
                self._failed(name, version, error)
                whole = False
        canary = lineup.canary or found.get(lineup.row.canary or "")
        shadow = lineup.shadow or found.get(lineup.row.shadow or "")
        return self._switched(replace(lineup, canary=canary, shadow=shadow, whole=whole))

    def _withdrawn(self, name: str, version: str, error: LifelongError) -> bool:
        """Take a damaged version out of the traffic; whether that could be stored."""
        try:
            self._catalogue.withdraw(name, version, self._failed(name, version, error))
        except LifelongError as trouble:
            logger.error("version %s of %r stays in the traffic for now: %s", version, name, trouble)
            return False
        return True

    def _switched(self, lineup: Lineup) -> Lineup:
        """Who answers after the switch: `lineup`, or that of a later look."""
        name, project = lineup.project.name, lineup.project
        with self._switching:
            now = self._lineups.get(name)
            if now is not None and now.look > lineup.look:
                return now
            past = self._before.get(name) or {}
            past = {version: model for version, model in past.items() if version != lineup.champion.version}
            if now is not None and now.champion is not lineup.champion:
                past = latest(past, now.champion.version, now.champion, project.keep)
            self._before[name] = past
            self._lineups[name] = lineup  # the switch
            self.failures.pop(name, None)
        self._metrics.swaps.add(name)
        return lineup

    def _wanted(self, project: Project, version: str) -> Model:
        model = self._held(project.name).get(version) or self._loader.version(project, version)
        if model is None:
            raise DamagedError(f"project {project.name!r} has no version {version}; restore the store from a backup")
        return model

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


def latest(models: dict[Name, Model], name: Name, model: Model, keep: int) -> dict[Name, Model]:
    """`models` with this one as the last, and no more than the last `keep` of them."""
    others = {other: held for other, held in models.items() if other != name}
    return dict([*others.items(), (name, model)][-keep:] if keep else [])
