"""Feedback, one label or many at once, and the quarantine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Header, Query
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response

from lifelong.loop.engine import reviewing
from lifelong.loop.engine.base import project_of
from lifelong.service.problems import ProblemError
from lifelong.service.v1.answers import Example, Feedback, Reviewed, told
from lifelong.service.v1.bodies import ExampleBody, FeedbackBody, ReasonBody, ReceiptBody, ReviewBody
from lifelong.service.v1.here import Here
from lifelong.service.v1.taking import Taking
from lifelong.store import feedback, lots, tasks
from lifelong.store.database import Connection
from lifelong.store.errors import NotFoundError
from lifelong.store.tables import LARGEST

__all__ = ["feedback_routes"]

AT = "/projects/{project}"


def feedback_routes(here: Here, taking: Taking) -> APIRouter:
    """The endpoints; a server answers those of `taking` before they come here, see `Taking.routes`."""
    routes = APIRouter(tags=["feedback"])

    @routes.post(
        f"{AT}/feedback",
        status_code=201,
        summary="Store one label; it is durable when this answers",
        responses={200: {"description": "it was stored before", "model": ReceiptBody}, 201: {"model": ReceiptBody}},
        response_class=Response,
        openapi_extra=takes("application/json", FeedbackBody.model_json_schema()),
    )
    async def one(project: str, request: Request, idempotency_key: str | None = Header(None)) -> Response:
        return await taking.one(request)

    @routes.post(
        f"{AT}/examples",
        status_code=201,
        summary="Store one labelled example that belongs to no prediction",
        responses={200: {"description": "it was stored before", "model": ReceiptBody}, 201: {"model": ReceiptBody}},
        response_class=Response,
        openapi_extra=takes("application/json", ExampleBody.model_json_schema()),
    )
    async def example(project: str, request: Request, idempotency_key: str | None = Header(None)) -> Response:
        return await taking.example(request)

    @routes.get(
        f"{AT}/examples",
        responses=told(Example, many=True),
        summary="The labelled examples of a task that was made of feedback",
    )
    async def examples(project: str, request: Request, task: int = Query(ge=1, le=LARGEST)) -> list[dict[str, Any]]:
        await here.allowed(request, "admin", project)

        def page(connection: Connection) -> list[dict[str, Any]]:
            project_of(connection, project)
            rows = lots.taken(connection, project, task)
            if not rows and task not in tasks.numbers(connection, project):
                raise NotFoundError(f"project {project!r} has no task {task}; see the list of updates")
            return [asdict(row) for row in rows]

        return await here.run(lambda: here.engine.read(page))

    @routes.post(
        f"{AT}/feedback:batch",
        summary="Store many labels, one JSON object per line; a line of result for each",
        response_class=Response,
        responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
        openapi_extra=takes("application/x-ndjson", {"type": "string"}),
    )
    async def many(project: str, request: Request) -> Response:
        return await taking.many(request)

    @routes.get(
        f"{AT}/feedback",
        responses=told(Feedback, many=True),
        summary="A page of feedback, by the order in which it came",
    )
    async def listed(
        project: str,
        request: Request,
        state: str | None = Query(None, pattern=f"^({'|'.join(feedback.CHANGES)})$"),
        after: int = Query(0, ge=0, lt=2**62),
        limit: int = Query(100, ge=1, le=1000),
    ) -> list[dict[str, Any]]:
        await here.allowed(request, "admin", project)
        return await here.run(lambda: here.engine.read(_page(project, state, after, limit)))

    @routes.get(f"{AT}/quarantine", responses=told(Feedback, many=True), summary="What waits for a person")
    async def quarantine(
        project: str,
        request: Request,
        after: int = Query(0, ge=0, lt=2**62),
        limit: int = Query(100, ge=1, le=1000),
    ) -> list[dict[str, Any]]:
        await here.allowed(request, "admin", project)
        return await here.run(lambda: here.engine.read(_page(project, "quarantined", after, limit)))

    @routes.post(
        f"{AT}/quarantine/{{feedback_id}}:accept", responses=told(Feedback), summary="Let a label out of quarantine"
    )
    async def accept(project: str, feedback_id: str, body: ReasonBody, request: Request) -> dict[str, Any]:
        actor = await here.allowed(request, "admin", project)
        done = await here.run(
            lambda: reviewing.review(here.engine, project, feedback_id, actor=actor, reason=body.reason, accept=True)
        )
        here.wake()
        return asdict(done)

    @routes.post(
        f"{AT}/quarantine/{{feedback_id}}:refuse", responses=told(Feedback), summary="Keep a label out for good"
    )
    async def refuse(project: str, feedback_id: str, body: ReasonBody, request: Request) -> dict[str, Any]:
        actor = await here.allowed(request, "admin", project)
        return asdict(
            await here.run(
                lambda: reviewing.review(
                    here.engine, project, feedback_id, actor=actor, reason=body.reason, accept=False
                )
            )
        )

    async def reviewed(project: str, body: ReviewBody, request: Request, accept: bool) -> list[dict[str, Any]]:
        actor = await here.allowed(request, "admin", project)
        ids, source = body.ids, body.source
        if [ids is not None, source is not None, body.all].count(True) != 1:
            raise ProblemError(422, "name the labels by ids, all in quarantine of one by source, or all by all")

        def work() -> list[dict[str, Any]]:
            named = reviewing.quarantined(here.engine, project, source) if ids is None else ids
            return reviewing.review_many(here.engine, project, named, actor=actor, reason=body.reason, accept=accept)

        done = await here.run(work)
        here.wake()
        return done

    @routes.post(
        f"{AT}/quarantine:accept",
        responses=told(Reviewed, many=True),
        summary="Let labels out of quarantine; a result for each",
    )
    async def accept_many(project: str, body: ReviewBody, request: Request) -> list[dict[str, Any]]:
        return await reviewed(project, body, request, accept=True)

    @routes.post(
        f"{AT}/quarantine:refuse",
        responses=told(Reviewed, many=True),
        summary="Keep labels out for good; a result for each",
    )
    async def refuse_many(project: str, body: ReviewBody, request: Request) -> list[dict[str, Any]]:
        return await reviewed(project, body, request, accept=False)

    return routes


def takes(media: str, schema: dict[str, Any]) -> dict[str, Any]:
    """What the OpenAPI document says of a body that FastAPI does not read itself."""
    return {"requestBody": {"required": True, "content": {media: {"schema": schema}}}}


def _page(project: str, state: str | None, after: int, limit: int) -> Callable[[Connection], list[dict[str, Any]]]:
    def page(connection: Connection) -> list[dict[str, Any]]:
        project_of(connection, project)
        return [asdict(row) for row in feedback.listed(connection, project, state=state, after=after, limit=limit)]

    return page
