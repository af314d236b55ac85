"""Versions from bytes to memory: each is loaded by one thread, and who else wants it waits for that one alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from lifelong.errors import LifelongError
from lifelong.loop import Project
from lifelong.loop.learning import opened
from lifelong.service.catalogue import Catalogue
from lifelong.service.model import Model, warmed
from lifelong.store.errors import DamagedError
from lifelong.training import Learner

__all__ = ["Load", "Loader"]

Load = Callable[[bytes, str], Learner]


class Loader:
    """Loads versions of `catalogue` and warms them up.

    Arguments: `rows` is the largest batch that will be asked of a model. `load` makes a learner of bytes and the
    SHA-256 that they must have.
    """

    def __init__(self, catalogue: Catalogue, rows: int, load: Load = opened) -> None:
        self._catalogue, self._rows, self._load = catalogue, rows, load
        self._coming: dict[tuple[str, str], Future[Model | None]] = {}
        self._door = threading.Lock()

    def version(self, project: Project, version: str) -> Model | None:
        """The version of that id, None where the project has none. May wait.

        Raises: `StorageError` where it cannot be read now; `DamagedError` where it never will.
        """
        key, mine = (project.name, version), Future[Model | None]()
        with self._door:
            coming = self._coming.setdefault(key, mine)
        if coming is mine:
            try:
                mine.set_result(self._made(project, version))
            except BaseException as error:  # noqa: BLE001 - it is raised below, in each thread that waits
                mine.set_exception(error)
            finally:
                with self._door:
                    del self._coming[key]
        return coming.result()

    def _made(self, project: Project, version: str) -> Model | None:
        blob = self._catalogue.blob(project.name, version)
        if blob is None:
            return None
        learner = self._load(blob.data, blob.digest)
        learner.model.eval()
        try:
            return warmed(Model(version, project.classes, learner, rows=self._rows), project.input.shape)
        except LifelongError:
            raise
        except Exception as error:
            raise DamagedError(
                f"it fails on inputs of shape {project.input.shape}: {type(error).__name__}: {error}"
            ) from error
