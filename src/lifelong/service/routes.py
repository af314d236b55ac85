"""The addresses of the Open Inference Protocol v2, MLflow's, and Prometheus'."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

import lifelong
from lifelong.errors import LifelongError
from lifelong.loop import Project
from lifelong.loop.schema import InputSchema
from lifelong.service import auth, tensors
from lifelong.service.client import proof
from lifelong.service.front import Bare
from lifelong.service.infer import Predictor, no_version
from lifelong.service.limits import Buckets, read_body
from lifelong.service.problems import ProblemError, answer
from lifelong.service.settings import ServeSettings

__all__ = ["Serving", "inference_routes"]

#: a client's own name for one of its users, so that the canary answers all or none of that user's requests
STICKY = "sticky-key"


#: bytes of a body from which on it is read beside the event loop
LARGE = 2**16


class Form(NamedTuple):
    """A protocol: how its questions are read, and its answers written."""

    read: Callable[[bytes, InputSchema, int], tensors.Question]
    write: Callable[[Project, tensors.Answered, tensors.Question], bytes]


INFER = Form(tensors.read_infer, tensors.write_infer)
INVOCATION = Form(tensors.read_invocation, tensors.write_invocation)


@dataclass(frozen=True, eq=False)
class Serving:
    """What the routes work with; `predictor` is there from start to shutdown."""

    settings: ServeSettings
    keys: auth.Keys
    buckets: Buckets
    predictor: Predictor


def inference_routes(serving: Callable[[], Serving]) -> Sequence[Route]:
    """All routes, the one that must be fast first. `serving` is asked at each request."""

    async def infer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        place = scope["path_params"]
        response = await predict(serving(), request, INFER, place["model"], place.get("version"))
        await response(scope, receive, send)

    async def invocations(request: Request) -> Response:
        return await predict(serving(), request, INVOCATION, request.query_params.get("model"))

    async def server(request: Request) -> Response:
        return reply({"name": "lifelong", "version": lifelong.__version__, "extensions": []})

    async def live(request: Request) -> Response:
        nonce = request.query_params.get("nonce")
        return reply(
            {"live": True} if nonce is None else {"live": True, "proof": proof(request.app.state.token, nonce)}
        )

    async def ready(request: Request) -> Response:
        is_ready = serving().predictor.models.ready
        return reply({"ready": is_ready}, 200 if is_ready else 503)

    async def model(request: Request) -> Response:
        here, name = await asked(request)
        lineup = await here.predictor.lineup(name)
        version = request.path_params.get("version")
        if version is not None:
            await here.predictor.version(lineup.project, version)
        versions = here.predictor.models.versions(name) if version is None else [version]
        return reply(tensors.describe(lineup.project, versions))

    async def model_ready(request: Request) -> Response:
        here, name = await asked(request)
        lineup = await here.predictor.lineup(name)
        version = request.path_params.get("version") or lineup.champion.version
        if not await here.predictor.known(name, version):
            raise no_version(name, version)
        is_ready = here.predictor.models.loaded(name, version) is not None
        return reply({"name": name, "ready": is_ready}, 200 if is_ready else 503)

    async def metrics(request: Request) -> Response:
        here = serving()
        here.buckets.take((await here.keys.of(request)).name)
        text = here.predictor.metrics.text()
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def asked(request: Request) -> tuple[Serving, str]:
        here = serving()
        key, name = await here.keys.of(request), request.path_params["model"]
        auth.allow(key, "predict", name)
        here.buckets.take(key.name)
        return here, name

    at = "/v2/models/{model}"
    return [
        Route(f"{at}/infer", Bare(infer), methods=["POST"]),
        Route(f"{at}/versions/{{version}}/infer", Bare(infer), methods=["POST"]),
        Route("/invocations", invocations, methods=["POST"]),
        Route("/v2", server),
        Route("/v2/health/live", live),
        Route("/v2/health/ready", ready),
        Route("/ping", ready),
        Route(at, model),
        Route(f"{at}/ready", model_ready),
        Route(f"{at}/versions/{{version}}", model),
        Route(f"{at}/versions/{{version}}/ready", model_ready),
        Route("/metrics", metrics),
    ]


async def predict(
    here: Serving, request: Request, form: Form, name: str | None, version: str | None = None
) -> Response:
    """One prediction from its bytes to its bytes, counted and timed."""
    start, label = time.perf_counter(), ""  # a name that anyone may invent is no label
    try:
        key = await here.keys.of(request)
        name = name or key.project or only_project(here)
        auth.allow(key, "predict", name)
        here.buckets.take(key.name)
        lineup = here.predictor.models.lineup(name) or await here.predictor.lineup(name)
        label = name
        body = await read_body(request, here.settings.max_body)
        start = time.perf_counter()  # what a slow client took is not ours
        read = partial(form.read, body, lineup.project.input, here.settings.max_rows)
        question = read() if len(body) < LARGE else await asyncio.to_thread(read)
        sticky = request.headers.get(STICKY) or key.name
        given = await here.predictor.predict(lineup, question, sticky, version)
        response = Response(form.write(lineup.project, given, question), media_type="application/json")
    except ClientDisconnect:
        response = Response(status_code=499)  # nobody reads it
    except (ProblemError, LifelongError) as error:
        response = await answer(request, error)
    except Exception:
        here.predictor.metrics.requests.add(label, "500")
        raise
    here.predictor.metrics.requests.add(label, str(response.status_code))
    here.predictor.metrics.seconds.add(time.perf_counter() - start, label)
    return response


def only_project(here: Serving) -> str:
    """The project that is meant where none is named."""
    known = here.predictor.models.projects()
    if len(known) != 1:
        raise ProblemError(400, f"which model? send /invocations?model=…; known: {', '.join(known) or 'none'}")
    return known[0]


def reply(content: dict[str, Any], status: int = 200) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(content), status, media_type="application/json")
