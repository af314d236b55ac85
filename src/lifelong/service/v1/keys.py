"""API keys: who may ask, and for what; the whole audit, with what was done about keys."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response

from lifelong.loop.engine import access
from lifelong.service.v1.answers import Audit, KeyShown, told
from lifelong.service.v1.bodies import SHA256, KeyBody
from lifelong.service.v1.here import Here
from lifelong.service.v1.trail import trail
from lifelong.store import keys
from lifelong.store.keys import ApiKey

__all__ = ["key_routes"]


def key_routes(here: Here) -> APIRouter:
    """The endpoints; all need an admin key."""
    routes = APIRouter(tags=["keys"])

    @routes.post(
        "/keys",
        status_code=201,
        responses=told(KeyShown, status=201),
        summary="Make a key; `key` is the text that opens, told this once",
    )
    async def create(body: KeyBody, request: Request, response: Response) -> dict[str, Any]:
        actor = await here.allowed(request, "admin", None)
        text, row = await here.run(
            lambda: access.create(here.engine, body.name, body.scopes, actor=actor, days=body.days)
        )
        response.headers["Cache-Control"] = "no-store"
        return {**shown(row), "key": text}

    @routes.get("/keys", responses=told(KeyShown, many=True), summary="Every key, the oldest first, without what opens")
    async def listed(request: Request) -> list[dict[str, Any]]:
        await here.allowed(request, "admin", None)
        return [shown(row) for row in await here.run(lambda: here.engine.read(keys.listed))]

    @routes.delete(
        "/keys/{key_id}", responses=told(KeyShown), summary="Revoke a key, by its id; it ends within two seconds"
    )
    async def revoke(key_id: str, request: Request) -> dict[str, Any]:
        actor = await here.allowed(request, "admin", None)
        return shown(await here.run(lambda: access.revoke(here.engine, key_id, actor=actor)))

    @routes.get("/audit", responses=told(Audit), summary="What was done to all projects and to keys, by whom")
    async def whole(
        request: Request,
        after: int = Query(0, ge=0, lt=2**62),
        limit: int = Query(100, ge=1, le=1000),
        verify: bool = False,
        known: str | None = Query(
            None, pattern=SHA256, description="an earlier head, which must still be in the chain"
        ),
    ) -> dict[str, Any]:
        await here.allowed(request, "admin", None)
        return await here.run(lambda: trail(here.engine, None, after, limit, verify, known))

    return routes


def shown(row: ApiKey) -> dict[str, Any]:
    """A key as it may be seen."""
    return {name: value for name, value in asdict(row).items() if name != "hash"}
