"""A home put together: store, blobs, engine, the application with all its routes, the worker."""

from __future__ import annotations

import contextlib
import gc
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from lifelong.errors import StorageError
from lifelong.loop.engine import Engine
from lifelong.loop.engine.access import first_key
from lifelong.loop.engine.intake import Intake
from lifelong.loop.engine.steady import SteadyClock
from lifelong.loop.engine.worker import Worker
from lifelong.service.app import create_app
from lifelong.service.auth import Keys
from lifelong.service.catalogue import Catalogue
from lifelong.service.dashboard import create_dashboard
from lifelong.service.late import Late
from lifelong.service.limits import Buckets
from lifelong.service.settings import ServeSettings
from lifelong.service.stalls import Stalls
from lifelong.service.stored import StoredCatalogue
from lifelong.service.v1.here import Here
from lifelong.service.v1.taking import Taking
from lifelong.service.workplace import own_folder
from lifelong.store import audit
from lifelong.store.blobs import open_blobs
from lifelong.store.database import open_store

__all__ = ["Home", "check_home", "first_key", "open_engine", "open_home"]

logger = logging.getLogger(__name__)

if find_spec("fastapi") is None:  # it is imported late, see `_api`, and should be missed now
    raise ModuleNotFoundError("No module named 'fastapi'", name="fastapi")


@dataclass(frozen=True, eq=False)
class Home:
    """What is served, and what works behind it."""

    engine: Engine
    app: Starlette
    worker: Worker


def check_home(home: Path, database: str | None = None) -> None:
    """Raise `StorageError` where nothing is kept in `home`, nor in a `database`: no mistyped folder is made."""
    if database is None and not (home / "lifelong.db").exists():
        raise StorageError(
            f"{home} is no home of a loop, and no server is announced there; make one with: lifelong loop init --home "
            f"{home}; or name the --database of a loop that is kept elsewhere"
        )


@contextlib.contextmanager
def open_engine(home: Path, database: str | None = None, blobs: str | None = None) -> Iterator[Engine]:
    """The engine over the folder `home`, or over a PostgreSQL and wherever the blobs are.

    Raises: `StorageError` where another server has the folder, or the place does not answer.
    """
    with open_store(home, database) as store:
        clock = SteadyClock(store.read(audit.latest))
        if (behind := clock() - time.time()) > 1:
            logger.warning("the clock is %.0f s behind what is stored; time goes on from the latter", behind)
        yield Engine(store, open_blobs(home / "blobs" if blobs is None else blobs), clock)


@contextlib.contextmanager
def open_home(
    home: Path,
    settings: ServeSettings,
    *,
    database: str | None = None,
    blobs: str | None = None,
    with_worker: bool = True,
    start_worker: bool = True,
    catalogue: type[StoredCatalogue] = StoredCatalogue,
) -> Iterator[Home]:
    """All of it, from the lock on the folder to the last write.

    Arguments: `with_worker` False lets others learn: the worker only looks at triggers and leases. `start_worker` False
        leaves it to the caller to start `Home.worker`.
    Raises: like `open_engine`.
    """
    with open_engine(home, database, blobs) as engine, own_folder(home / "work") as folder:
        intake = Intake(engine)
        served: Catalogue = catalogue(engine.store, engine.blobs, intake.judge, engine.clock)
        running: list[Worker] = []

        def changed(project: str) -> None:
            app.state.models.refresh(project)
            stalls.look(project)

        def wake() -> None:
            for each in running:
                each.wake()

        def loaded(project: str, version: str) -> bool:
            return app.state.models.loaded(project, version) is not None

        here = Here(
            engine,
            intake,
            settings,
            Keys(served, settings.keys, engine.clock),
            Buckets(settings.rate, settings.burst, time.monotonic),
            changed,
            wake,
            loaded,
            lambda: app.state.serving().predictor.settled(),
        )
        dashboard = create_dashboard(here, lambda: app.state.serving())
        taking = Taking(here)
        api = Late(lambda: _api(here, taking))
        beside = [*taking.routes(), Mount("/v1", api), *dashboard]
        app = create_app(
            served,
            settings,
            beside=beside,
            clock=engine.clock,
            keys=here.keys,
            buckets=here.buckets,
            afterwards=api.begin,
        )
        stalls = Stalls(engine, app.state.metrics, settings.webhook)
        for name in served.projects():
            stalls.look(name)
        worker = Worker(engine, folder, changed, alone=database is None, learns=with_worker, judge=intake.judge)
        running.append(worker)
        if start_worker:
            worker.start()
        try:
            yield Home(engine, app, worker)
        finally:
            worker.stop()


def _api(here: Here, taking: Taking) -> ASGIApp:
    """What is under /v1 beside the labels; FastAPI takes half a second, for which no prediction is to wait."""
    from lifelong.service.v1.app import create_api

    api = create_api(here, taking)
    gc.freeze()  # like `running.announced`, which did not see it
    return api
