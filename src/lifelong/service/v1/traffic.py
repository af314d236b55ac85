"""Traffic: who answers beside the champion."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Header
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response

from lifelong.loop.engine import traffic
from lifelong.service.problems import swapped
from lifelong.service.v1.answers import Traffic, TrafficSeen, told
from lifelong.service.v1.bodies import TrafficBody
from lifelong.service.v1.here import Here, wanted_revision
from lifelong.store import traffic as stored

__all__ = ["traffic_routes"]

AT = "/projects/{project}/traffic"


def traffic_routes(here: Here) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(tags=["traffic"])

    @routes.get(
        AT,
        responses=told(TrafficSeen),
        summary="Who answers beside the champion, what they answered, and the verdict on the canary",
    )
    async def seen(project: str, request: Request, response: Response) -> dict[str, Any]:
        await here.allowed(request, "admin", project)
        found = await here.run(lambda: traffic.seen(here.engine, project))
        response.headers["ETag"] = f'"{found["revision"]}"'
        return found

    @routes.put(
        AT,
        responses=told(Traffic),
        summary="Give a percentage of the keys to a canary, and the same questions to a shadow",
    )
    async def put(
        project: str, body: TrafficBody, request: Request, response: Response, if_match: str | None = Header(None)
    ) -> dict[str, Any]:
        actor = await here.allowed(request, "admin", project)
        at = wanted_revision(if_match)
        await here.run(
            lambda: swapped(
                at,
                lambda: traffic.put(
                    here.engine,
                    project,
                    canary=body.canary,
                    percent=body.percent,
                    shadow=body.shadow,
                    actor=actor,
                    reason=body.reason,
                    revision=at,
                ),
            )
        )
        await here.run(lambda: here.changed(project))
        row = await here.run(lambda: here.engine.read(lambda connection: stored.get(connection, project)))  # after that
        response.headers["ETag"] = f'"{row.revision}"'
        return asdict(row)

    return routes
