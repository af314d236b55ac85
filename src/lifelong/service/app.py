"""The application: what starts, what is mounted, and what ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from lifelong.errors import LifelongError
from lifelong.loop.learning import opened
from lifelong.service.auth import Keys
from lifelong.service.catalogue import Catalogue
from lifelong.service.front import Front
from lifelong.service.infer import Predictor
from lifelong.service.limits import Buckets
from lifelong.service.loading import Load
from lifelong.service.local import Local
from lifelong.service.metrics import Metrics
from lifelong.service.models import Models
from lifelong.service.problems import ProblemError, answer
from lifelong.service.routes import Serving, inference_routes
from lifelong.service.settings import ServeSettings

__all__ = ["create_app"]

logger = logging.getLogger(__name__)


def create_app(
    catalogue: Catalogue,
    settings: ServeSettings | None = None,
    *,
    beside: Sequence[BaseRoute] = (),
    clock: Callable[[], float] = time.time,
    load: Load = opened,
    keys: Keys | None = None,
    buckets: Buckets | None = None,
    afterwards: Callable[[], Awaitable[object]] | None = None,
) -> Starlette:
    """The service over `catalogue`.

    Arguments: `beside` are further routes (the API under /v1, the dashboard), looked at after those of predictions.
        `clock` gives seconds since the epoch. `load` makes a learner of bytes and the SHA-256 that they must have.
        `keys` and `buckets`: those of `beside`, so that a request counts once wherever it goes. `afterwards` is begun
        once predictions can be answered.

    `app.state.models` holds the `Models`: after a promotion call its `refresh(project)`, in a thread that may wait.
    `app.state.serving()` is what the routes of predictions work with, from start to shutdown.
    """
    settings = settings or ServeSettings()
    metrics = Metrics()
    models = Models(catalogue, metrics, settings.batch_rows, settings.keep_asked, load)
    keys = keys or Keys(catalogue, settings.keys, clock)
    buckets = buckets or Buckets(settings.rate, settings.burst, time.monotonic)
    running: list[Serving] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(refresh_all, models, catalogue)
        predictor = Predictor(catalogue, settings, models, metrics, clock)
        running.append(Serving(settings, keys, buckets, predictor))
        ending = threading.Event()
        begun: list[asyncio.Future[Any]] = [
            asyncio.create_task(asyncio.to_thread(preload_all, models, catalogue, ending))
        ]
        if afterwards is not None:
            begun.append(asyncio.ensure_future(afterwards()))
        watching = asyncio.create_task(watch(models, catalogue, settings.poll_seconds))
        try:
            yield
        finally:
            ending.set()
            watching.cancel()
            await asyncio.gather(*begun, return_exceptions=True)  # they are in the log
            await predictor.close()
            keys.close()
            running.clear()

    def serving() -> Serving:
        return running[0]

    app = Starlette(
        routes=[*inference_routes(serving), *beside],
        exception_handlers=dict.fromkeys((ProblemError, LifelongError, HTTPException, Exception), answer),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # it would name http:// behind a proxy that ends TLS
    front = Front(app.build_middleware_stack(), app.routes)
    app.middleware_stack = front if settings.keys else Local(front)
    app.state.token = secrets.token_hex(32)  # proves to commands of this machine that it is this server
    app.state.models, app.state.metrics, app.state.keys, app.state.serving = models, metrics, keys, serving
    return app


async def watch(models: Models, catalogue: Catalogue, seconds: float) -> None:
    """Look now and then for what other servers have changed."""
    while True:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(refresh_all, models, catalogue)


def refresh_all(models: Models, catalogue: Catalogue) -> None:
    """Bring every lineup up to date; what fails is noted in `models.failures` and tried again the next time."""
    try:
        for name in catalogue.projects():
            with contextlib.suppress(LifelongError):
                models.refresh(name)
    except LifelongError as error:
        logger.error("the projects cannot be read: %s", error)


def preload_all(models: Models, catalogue: Catalogue, ending: threading.Event) -> None:
    """Load what rollbacks may go to, project by project, until the server ends."""
    try:
        for name in catalogue.projects():
            models.preload(name, ending)
    except LifelongError as error:
        logger.error("past champions are not loaded: %s", error)
