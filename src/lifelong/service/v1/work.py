"""What workers on other machines ask for: an update to learn, blobs, and to hand in what they learned."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from lifelong.errors import StorageError
from lifelong.loop.engine import deciding, work
from lifelong.service.v1.answers import Kept, State, told
from lifelong.service.v1.bodies import SHA256, BeatBody, ClaimBody, CompleteBody, FailBody
from lifelong.service.v1.here import Here
from lifelong.store.errors import NotFoundError

__all__ = ["work_routes"]

BYTES = "application/octet-stream"


def work_routes(here: Here) -> APIRouter:
    """The endpoints; all need a key of the scope `worker`, for all projects."""
    routes = APIRouter(tags=["workers"])

    @routes.post(
        "/work:claim",
        summary="The oldest queued update, or 204; its holder hears of it again",
        responses={204: {"description": "none"}},
    )
    async def claim(body: ClaimBody, request: Request) -> Response:
        await here.allowed(request, "worker", None)
        job = await here.run(lambda: work.claim(here.engine, body.owner, body.lease))
        if job is None:
            return Response(status_code=204)
        return Response(msgspec.json.encode(job), media_type="application/json")

    @routes.get(
        "/blobs/{name}",
        summary="The bytes of that SHA-256",
        response_class=Response,
        responses={200: {"content": {BYTES: {}}}},
    )
    async def blob(request: Request, name: str = Path(pattern=SHA256)) -> Response:
        await here.allowed(request, "worker", None)
        data = await here.run(lambda: stored(here, name))
        return Response(data, media_type=BYTES)

    @routes.post(
        "/blobs",
        status_code=201,
        summary="Keep the bytes of the body; their SHA-256",
        responses=told(Kept, status=201),
        openapi_extra={"requestBody": {"content": {BYTES: {"schema": {"type": "string", "format": "binary"}}}}},
    )
    async def keep(request: Request) -> dict[str, Any]:
        await here.allowed(request, "worker", None)
        data = await request.body()
        return {"name": await here.run(lambda: here.engine.blobs.put(data))}

    @routes.post("/work/{update}:beat", responses=told(State), summary="The worker is alive; 409 where it is to stop")
    async def beat(update: str, body: BeatBody, request: Request) -> dict[str, Any]:
        await here.allowed(request, "worker", None)
        row = await here.run(
            lambda: work.beat(here.engine, update, body.owner, body.attempt, body.progress, body.lease)
        )
        return {"state": row.state}

    @routes.post(
        "/work/{update}:fail",
        responses=told(State),
        summary="It cannot be learned; 409 from any other than its holder",
    )
    async def fail(update: str, body: FailBody, request: Request) -> dict[str, Any]:
        await here.allowed(request, "worker", None)
        row = await here.run(lambda: work.fail(here.engine, update, body.owner, body.attempt, body.reason))
        await here.run(lambda: here.changed(row.project))
        return {"state": row.state}

    @routes.post(
        "/work/{update}:complete",
        responses=told(State),
        summary="It has learned and sat all exams; both are blobs by name",
    )
    async def complete(update: str, body: CompleteBody, request: Request) -> dict[str, Any]:
        await here.allowed(request, "worker", None)

        def done() -> str:
            work.complete(
                here.engine,
                update,
                body.owner,
                body.attempt,
                candidate=stored(here, body.candidate),
                answers=stored(here, body.answers),
                latency=body.latency.model_dump(),
                steps=body.steps,
            )
            row = deciding.examined(here.engine, update)
            here.changed(row.project)
            return row.state

        return {"state": await here.run(done)}

    return routes


def stored(here: Here, name: str) -> bytes:
    """The blob `name`. Raises: `NotFoundError` where it was never sent; `StorageError` where it cannot be read."""
    try:
        return here.engine.blobs.get(name)
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise NotFoundError(f"no blob {name} is stored; send it by POST /v1/blobs first") from error
        raise
