"""What workers on other machines ask for: an update to learn, blobs, and to hand in what they learned."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lifelong.loop.engine import deciding, work
from lifelong.service.v1.bodies import BeatBody, ClaimBody, CompleteBody, FailBody
from lifelong.service.v1.here import Here

__all__ = ["work_routes"]


def work_routes(here: Here) -> APIRouter:
    """The endpoints; all need an admin key."""
    routes = APIRouter(tags=["workers"])

    @routes.post("/work:claim", summary="The oldest queued update, or 204", responses={204: {"description": "none"}})
    async def claim(body: ClaimBody, request: Request) -> Response:
        await here.allowed(request, "admin", None)
        job = await here.run(lambda: work.claim(here.engine, body.owner, body.lease))
        if job is None:
            return Response(status_code=204)
        return Response(msgspec.json.encode(job), media_type="application/json")

    @routes.get("/blobs/{name}", summary="The bytes of that SHA-256", response_class=Response)
    async def blob(name: str, request: Request) -> Response:
        await here.allowed(request, "admin", None)
        data = await here.run(lambda: here.engine.blobs.get(name))
        return Response(data, media_type="application/octet-stream")

    @routes.post("/blobs", status_code=201, summary="Keep the bytes of the body; their SHA-256")
    async def keep(request: Request) -> dict[str, Any]:
        await here.allowed(request, "admin", None)
        data = await request.body()
        return {"name": await here.run(lambda: here.engine.blobs.put(data))}

    @routes.post("/work/{update}:beat", summary="The worker is alive; 409 where it is to stop")
    async def beat(update: str, body: BeatBody, request: Request) -> dict[str, Any]:
        await here.allowed(request, "admin", None)
        row = await here.run(
            lambda: work.beat(here.engine, update, body.owner, body.attempt, body.progress, body.lease)
        )
        return {"state": row.state}

    @routes.post("/work/{update}:fail", summary="It cannot be learned")
    async def fail(update: str, body: FailBody, request: Request) -> dict[str, Any]:
        await here.allowed(request, "admin", None)
        row = await here.run(lambda: work.fail(here.engine, update, body.attempt, body.reason))
        return {"state": row.state}

    @routes.post("/work/{update}:complete", summary="It has learned and sat all exams; both are blobs by name")
    async def complete(update: str, body: CompleteBody, request: Request) -> dict[str, Any]:
        await here.allowed(request, "admin", None)

        def done() -> str:
            blobs = here.engine.blobs
            work.complete(
                here.engine,
                update,
                body.owner,
                body.attempt,
                candidate=blobs.get(body.candidate),
                answers=blobs.get(body.answers),
                latency=body.latency.model_dump(),
            )
            row = deciding.decide(here.engine, update)
            here.changed(row.project)
            return row.state

        return {"state": await here.run(done)}

    return routes
