"""Updates: asked for, looked at, cancelled; what fired; and the state of everything."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lifelong.loop.engine import asking, deciding
from lifelong.loop.engine.base import project_of
from lifelong.loop.engine.exams import retire
from lifelong.loop.engine.status import status
from lifelong.loop.plain import plain
from lifelong.service.v1.answers import Learned, Project, Triggers, Update, told
from lifelong.service.v1.bodies import ReasonBody, UpdateBody
from lifelong.service.v1.events import events
from lifelong.service.v1.here import Here
from lifelong.store import firings, updates
from lifelong.store.database import Connection
from lifelong.store.errors import NotFoundError
from lifelong.store.tables import LARGEST

__all__ = ["update_routes"]

AT = "/projects/{project}"

Number = Annotated[int, Path(ge=1, le=LARGEST)]


def update_routes(here: Here) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(tags=["updates"])

    @routes.get(
        AT,
        responses=told(Project),
        summary="The champion, feedback, the running update, the last decisions, the matrix R over versions",
    )
    async def whole(project: str, request: Request) -> dict[str, Any]:
        await here.allowed(request, "admin", project)
        return await here.run(lambda: status(here.engine, project))

    @routes.post(
        f"{AT}/updates",
        status_code=202,
        responses=told(Update, status=202),
        summary="Learn what waits, or a task again",
    )
    async def ask(
        project: str,
        body: UpdateBody,
        request: Request,
        response: Response,
        idempotency_key: str | None = Header(None),
    ) -> dict[str, Any]:
        actor = await here.allowed(request, "admin", project)
        method = None if body.method is None else body.method.model_dump()
        key = body.key or idempotency_key
        await here.settled()
        row = await here.run(
            lambda: asking.ask(
                here.engine,
                project,
                actor=actor,
                method=method,
                task=body.task,
                merge=body.merge,
                retrain=body.retrain,
                key=key,
            )
        )
        here.wake()
        response.headers["Location"] = f"/v1/projects/{project}/updates/{row.id}"
        return asdict(row)

    @routes.get(f"{AT}/updates", responses=told(Update, many=True), summary="The latest updates, newest first")
    async def listed(project: str, request: Request, limit: int = Query(100, ge=1, le=1000)) -> list[dict[str, Any]]:
        await here.allowed(request, "admin", project)

        def page(connection: Connection) -> list[dict[str, Any]]:
            project_of(connection, project)
            return [asdict(row) for row in updates.listed(connection, project, limit=limit)]

        return await here.run(lambda: here.engine.read(page))

    async def counted(project: str, task: int, body: ReasonBody, request: Request, *, restore: bool) -> dict[str, Any]:
        """Let the exam of a task count no more, or again."""
        actor = await here.allowed(request, "admin", project)

        def work(connection: Connection) -> dict[str, Any]:
            project_of(connection, project)
            now, reason = here.engine.clock(), body.reason
            row = retire(connection, project, task, actor=actor, reason=reason, now=now, restore=restore)
            return {"number": row.number, "name": row.name, "retired": row.retired}

        return await here.run(lambda: here.engine.write(work))

    @routes.post(f"{AT}/tasks/{{task}}:retire", responses=told(Learned), summary="Let its exam count no more")
    async def retire_exam(project: str, task: Number, body: ReasonBody, request: Request) -> dict[str, Any]:
        return await counted(project, task, body, request, restore=False)

    @routes.post(f"{AT}/tasks/{{task}}:restore", responses=told(Learned), summary="Let its exam count again")
    async def restore_exam(project: str, task: Number, body: ReasonBody, request: Request) -> dict[str, Any]:
        return await counted(project, task, body, request, restore=True)

    def stored(project: str, update: str) -> updates.Update:
        row = here.engine.read(lambda connection: updates.get(connection, update))
        if row.project != project:
            raise NotFoundError(f"no update {update!r} is stored in project {project!r}; see the list of updates")
        return row

    @routes.get(
        f"{AT}/updates/{{update}}", responses=told(Update), summary="One update: state, progress, evidence, decision"
    )
    async def one(project: str, update: str, request: Request) -> dict[str, Any]:
        await here.allowed(request, "admin", project)
        return asdict(await here.run(lambda: stored(project, update)))

    @routes.get(
        f"{AT}/updates/{{update}}/events",
        summary="The same as a stream of events (SSE), until it is decided",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def follow(project: str, update: str, request: Request) -> StreamingResponse:
        await here.allowed(request, "admin", project)
        await here.run(lambda: stored(project, update))  # 404 before the stream begins
        ending = request.scope.get("lifelong.ending")  # see `server.Patient`
        stream = events(lambda: here.run(lambda: stored(project, update)), ending=ending)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @routes.post(
        f"{AT}/updates/{{update}}:cancel", responses=told(Update), summary="Stop an update that is queued or training"
    )
    async def cancel(project: str, update: str, body: ReasonBody, request: Request) -> dict[str, Any]:
        actor = await here.allowed(request, "admin", project)
        return asdict(
            await here.run(lambda: deciding.cancel(here.engine, project, update, actor=actor, reason=body.reason))
        )

    @routes.get(
        f"{AT}/triggers", responses=told(Triggers), summary="The triggers, and when they fired with what evidence"
    )
    async def fired(project: str, request: Request, limit: int = Query(100, ge=1, le=1000)) -> dict[str, Any]:
        await here.allowed(request, "admin", project)

        def page(connection: Connection) -> dict[str, Any]:
            rows = firings.listed(connection, project, limit=limit)
            return {"triggers": plain(project_of(connection, project).triggers), "fired": [asdict(row) for row in rows]}

        return await here.run(lambda: here.engine.read(page))

    return routes
