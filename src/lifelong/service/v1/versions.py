"""Versions, who of them is the champion, and the audit of all that was done."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Header, Query
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response

from lifelong.loop.engine import deciding
from lifelong.loop.engine.base import project_of, version_of
from lifelong.loop.engine.status import evaluation, lineage, version_json
from lifelong.service.problems import ProblemError, swapped
from lifelong.service.v1.answers import Ancestor, Audit, Evaluation, Move, Update, Version, told
from lifelong.service.v1.bodies import SHA256, MoveBody, ReasonBody
from lifelong.service.v1.here import Here, wanted_revision
from lifelong.service.v1.trail import trail
from lifelong.store import aliases, versions
from lifelong.store.aliases import Alias
from lifelong.store.database import Connection

__all__ = ["version_routes"]

AT = "/projects/{project}"


def version_routes(here: Here) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(tags=["versions"])

    async def moved(project: str, response: Response, alias: Alias) -> dict[str, Any]:
        await here.run(lambda: here.changed(project))
        response.headers["ETag"] = f'"{alias.revision}"'
        return asdict(alias)

    @routes.get(f"{AT}/versions", responses=told(Version, many=True), summary="Every version, by number")
    async def listed(project: str, request: Request) -> list[dict[str, Any]]:
        await here.allowed(request, "admin", project)

        def page(connection: Connection) -> list[dict[str, Any]]:
            project_of(connection, project)
            champion = aliases.get(connection, project)
            name = None if champion is None else champion.version
            return [version_json(row, name) for row in versions.listed(connection, project)]

        return await here.run(lambda: here.engine.read(page))

    @routes.get(f"{AT}/versions/{{version}}", responses=told(Version), summary="One version, by its id or number")
    async def one(project: str, version: str, request: Request) -> dict[str, Any]:
        await here.allowed(request, "admin", project)

        def page(connection: Connection) -> dict[str, Any]:
            champion = aliases.get(connection, project)
            found = version_of(connection, project, version)
            return version_json(found, None if champion is None else champion.version)

        return await here.run(lambda: here.engine.read(page))

    @routes.get(
        f"{AT}/versions/{{version}}/lineage",
        responses=told(Ancestor, many=True),
        summary="The version and all it comes from, with what each was made of",
    )
    async def line(project: str, version: str, request: Request) -> list[dict[str, Any]]:
        await here.allowed(request, "admin", project)
        return await here.run(lambda: lineage(here.engine, project, version))

    @routes.get(
        f"{AT}/versions/{{version}}/evaluation",
        responses=told(Evaluation),
        summary="Its exams, and what was decided with what evidence",
    )
    async def exams(project: str, version: str, request: Request) -> dict[str, Any]:
        await here.allowed(request, "admin", project)
        return await here.run(lambda: evaluation(here.engine, project, version))

    @routes.post(f"{AT}/versions/{{version}}:promote", responses=told(Alias), summary="Make it the champion")
    async def promote(
        project: str,
        version: str,
        body: ReasonBody,
        request: Request,
        response: Response,
        if_match: str | None = Header(None),
    ) -> dict[str, Any]:
        actor = await here.allowed(request, "admin", project)
        at = wanted_revision(if_match)
        alias = await here.run(
            lambda: swapped(
                at,
                lambda: deciding.promote(
                    here.engine, project, version, actor=actor, reason=body.reason, revision=at, loaded=here.loaded
                ),
            )
        )
        return await moved(project, response, alias)

    @routes.post(
        f"{AT}/versions/{{version}}:reject",
        responses=told(Update),
        summary="Say no to a candidate that waits for a person",
    )
    async def reject(project: str, version: str, body: ReasonBody, request: Request) -> dict[str, Any]:
        actor = await here.allowed(request, "admin", project)
        return asdict(
            await here.run(lambda: deciding.reject(here.engine, project, version, actor=actor, reason=body.reason))
        )

    @routes.post(
        f"{AT}:rollback",
        responses=told(Alias),
        summary="Go back to a version; without one, to what the champion was made from",
    )
    async def rollback(
        project: str, body: MoveBody, request: Request, response: Response, if_match: str | None = Header(None)
    ) -> dict[str, Any]:
        actor = await here.allowed(request, "admin", project)
        at = wanted_revision(if_match)
        alias = await here.run(
            lambda: swapped(
                at,
                lambda: deciding.rollback(
                    here.engine,
                    project,
                    body.version,
                    actor=actor,
                    reason=body.reason,
                    revision=at,
                    loaded=here.loaded,
                ),
            )
        )
        return await moved(project, response, alias)

    @routes.get(f"{AT}/aliases/champion", responses=told(Alias), summary="The champion; its revision is the ETag")
    async def champion(project: str, request: Request, response: Response) -> dict[str, Any]:
        await here.allowed(request, "admin", project)

        def page(connection: Connection) -> Alias | None:
            project_of(connection, project)
            return aliases.get(connection, project)

        alias = await here.run(lambda: here.engine.read(page))
        if alias is None:
            raise ProblemError(404, f"project {project!r} has no champion yet")
        response.headers["ETag"] = f'"{alias.revision}"'
        return asdict(alias)

    @routes.put(
        f"{AT}/aliases/champion",
        responses=told(Alias),
        summary="Make a version the champion if the ETag is still that of If-Match",
    )
    async def put(
        project: str, body: MoveBody, request: Request, response: Response, if_match: str | None = Header(None)
    ) -> dict[str, Any]:
        actor = await here.allowed(request, "admin", project)
        if if_match is None:
            raise ProblemError(428, "send If-Match with the ETag of the champion, as GET tells it")
        if body.version is None:
            raise ProblemError(422, "version should be a version's id or number")
        at, version = wanted_revision(if_match), body.version
        alias = await here.run(
            lambda: swapped(
                at,
                lambda: deciding.promote(
                    here.engine, project, version, actor=actor, reason=body.reason, revision=at, loaded=here.loaded
                ),
            )
        )
        return await moved(project, response, alias)

    @routes.get(
        f"{AT}/aliases/champion/history",
        responses=told(Move, many=True),
        summary="Every move of the champion, the first first",
    )
    async def history(project: str, request: Request) -> list[dict[str, Any]]:
        await here.allowed(request, "admin", project)

        def page(connection: Connection) -> list[dict[str, Any]]:
            project_of(connection, project)
            return [asdict(row) for row in aliases.moves(connection, project)]

        return await here.run(lambda: here.engine.read(page))

    @routes.get(
        f"{AT}/audit",
        responses=told(Audit),
        summary="What was done, by whom; verify=true checks the whole chain of hashes",
    )
    async def audited(
        project: str,
        request: Request,
        after: int = Query(0, ge=0, lt=2**62),
        limit: int = Query(100, ge=1, le=1000),
        verify: bool = False,
        known: str | None = Query(
            None, pattern=SHA256, description="an earlier head, which must still be in the chain"
        ),
    ) -> dict[str, Any]:
        await here.allowed(request, "admin", project)
        return await here.run(lambda: trail(here.engine, project, after, limit, verify, known))

    return routes
