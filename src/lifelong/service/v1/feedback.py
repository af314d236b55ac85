"""Feedback, one label or many at once, and the quarantine."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
from fastapi import APIRouter, Header, Query
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response

from lifelong.errors import DataError, LifelongError
from lifelong.loop.engine.base import project_of
from lifelong.loop.engine.intake import Given
from lifelong.service.v1.bodies import FeedbackBody, ReasonBody
from lifelong.service.v1.here import Here
from lifelong.store import audit, feedback, review
from lifelong.store.database import Connection
from lifelong.store.errors import NotFoundError
from lifelong.store.ingest import Receipt

__all__ = ["feedback_routes"]

AT = "/projects/{project}"


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """One line of `feedback:batch`; the same names as in `FeedbackBody`."""

    label: int | str
    prediction_id: str | None = None
    x: list[Any] | None = None
    key: str | None = None
    source: str | None = None
    supersedes: str | None = None


def feedback_routes(here: Here) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(tags=["feedback"])

    @routes.post(f"{AT}/feedback", status_code=201, summary="Store one label; it is durable when this answers")
    async def one(
        project: str,
        body: FeedbackBody,
        request: Request,
        response: Response,
        idempotency_key: str | None = Header(None),
    ) -> dict[str, Any]:
        actor = await here.allowed(request, "feedback", project)
        given = _given(body, actor, body.key or idempotency_key)
        stored = await here.run(lambda: here.intake.add(project, given))
        receipt = await asyncio.wrap_future(stored)
        response.status_code = 200 if receipt.duplicate else 201
        here.wake()
        return asdict(receipt)

    @routes.post(
        f"{AT}/feedback:batch",
        summary="Store many labels, one JSON object per line; a line of result for each",
        response_class=Response,
        responses={200: {"content": {"application/x-ndjson": {}}}},
        openapi_extra={"requestBody": {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
    )
    async def many(project: str, request: Request) -> Response:
        actor = await here.allowed(request, "feedback", project)
        lines = [line for line in (await request.body()).split(b"\n") if line.strip()]
        results = await here.run(lambda: _stored(here, project, lines, actor))
        here.wake()
        return Response(b"".join(orjson.dumps(each) + b"\n" for each in results), media_type="application/x-ndjson")

    @routes.get(f"{AT}/feedback", summary="A page of feedback, by the order in which it came")
    async def listed(
        project: str,
        request: Request,
        state: str | None = None,
        after: int = Query(0, ge=0, lt=2**62),
        limit: int = Query(100, ge=1, le=1000),
    ) -> list[dict[str, Any]]:
        await here.allowed(request, "admin", project)
        return await here.run(lambda: here.engine.read(_page(project, state, after, limit)))

    @routes.get(f"{AT}/quarantine", summary="What waits for a person")
    async def quarantine(
        project: str,
        request: Request,
        after: int = Query(0, ge=0, lt=2**62),
        limit: int = Query(100, ge=1, le=1000),
    ) -> list[dict[str, Any]]:
        await here.allowed(request, "admin", project)
        return await here.run(lambda: here.engine.read(_page(project, "quarantined", after, limit)))

    @routes.post(f"{AT}/quarantine/{{feedback_id}}:accept", summary="Let a label out of quarantine")
    async def accept(project: str, feedback_id: str, body: ReasonBody, request: Request) -> dict[str, Any]:
        actor = await here.allowed(request, "admin", project)
        done = await here.run(lambda: _reviewed(here, project, feedback_id, actor, body.reason, accept=True))
        here.wake()
        return asdict(done)

    @routes.post(f"{AT}/quarantine/{{feedback_id}}:refuse", summary="Keep a label out for good")
    async def refuse(project: str, feedback_id: str, body: ReasonBody, request: Request) -> dict[str, Any]:
        actor = await here.allowed(request, "admin", project)
        return asdict(await here.run(lambda: _reviewed(here, project, feedback_id, actor, body.reason, accept=False)))

    return routes


def _given(body: FeedbackBody | Line, actor: str, key: str | None) -> Given:
    return Given(
        key=key or uuid.uuid4().hex,
        label=body.label,
        prediction_id=body.prediction_id,
        x=body.x,
        source=actor if body.source is None else body.source,
        supersedes=body.supersedes,
    )


def _stored(here: Here, project: str, lines: list[bytes], actor: str) -> list[dict[str, Any]]:
    decoder = msgspec.json.Decoder(Line)
    found: list[Given | LifelongError] = []
    for number, line in enumerate(lines, start=1):
        try:
            body = decoder.decode(line)
            found.append(_given(body, actor, body.key))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            found.append(DataError(f"line {number}: {error}"))
    good = [each for each in found if isinstance(each, Given)]
    outcomes = iter(here.intake.add_many(project, good))
    return [_result(next(outcomes) if isinstance(each, Given) else each) for each in found]


def _result(outcome: Receipt | LifelongError) -> dict[str, Any]:
    return asdict(outcome) if isinstance(outcome, Receipt) else {"error": str(outcome)}


def _page(project: str, state: str | None, after: int, limit: int) -> Callable[[Connection], list[dict[str, Any]]]:
    def page(connection: Connection) -> list[dict[str, Any]]:
        project_of(connection, project)
        return [asdict(row) for row in feedback.listed(connection, project, state=state, after=after, limit=limit)]

    return page


def _reviewed(here: Here, project: str, row_id: str, actor: str, reason: str, *, accept: bool) -> feedback.Feedback:
    def work(connection: Connection) -> feedback.Feedback:
        before = feedback.get(connection, row_id)
        if before.project != project:
            raise NotFoundError(f"no feedback {row_id!r} is stored in project {project!r}; see its quarantine")
        row = review.accept(connection, row_id) if accept else review.refuse(connection, row_id, reason)
        if row.state != before.state:
            detail = {"feedback": row_id, "reason": reason}
            action = "accept" if accept else "refuse"
            now = here.engine.clock()
            audit.append(connection, at=now, project=project, actor=actor, action=action, detail=detail)
        return row

    return here.engine.write(work)
