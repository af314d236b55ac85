"""The pages that show and change nothing: projects, a project's home, a version, the quarantine, and their stream."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from lifelong.loop.engine.base import version_of
from lifelong.service.dashboard.facts import Facts, facts, stamp
from lifelong.service.dashboard.guard import Guard, Visitor
from lifelong.service.dashboard.live import Stamps, changes
from lifelong.service.dashboard.page import HEADERS, Pages
from lifelong.service.dashboard.picture import frame, picture
from lifelong.service.dashboard.views import home_view, running, version_view
from lifelong.service.dashboard.words import SAID
from lifelong.service.v1.here import Here
from lifelong.store import feedback, predictions, projects, updates
from lifelong.store.database import Connection
from lifelong.store.errors import NotFoundError
from lifelong.store.feedback import Feedback
from lifelong.store.predictions import Prediction
from lifelong.store.updates import Update
from lifelong.store.versions import Version

__all__ = ["Reading"]

PAGE = 25


class Reading:
    """The endpoints."""

    def __init__(self, here: Here, guard: Guard, pages: Pages) -> None:
        self._here, self._guard, self._pages = here, guard, pages
        self._stamps = Stamps(lambda project: here.run(lambda: stamp(here.engine, project)))

    async def projects(self, request: Request) -> Response:
        """All projects that the visitor may see; where that is one, its page."""
        visitor = await self._guard.visitor(request)
        rows = await self._here.run(lambda: self._here.engine.read(projects.listed))
        names = [row.name for row in rows if _sees(visitor, row.name)]
        if len(names) == 1:
            return RedirectResponse(_first_page(visitor, names[0]), 303, {**HEADERS, "Cache-Control": "no-store"})
        found = []
        for name in names:
            known = await self._here.run(lambda name=name: facts(self._here.engine, name))
            busy = None if known.active is None else running(known.active)
            found.append({"facts": known, "running": busy, "href": _first_page(visitor, name)})
        return self._pages.show("projects.html.j2", visitor, projects=found)

    async def home(self, request: Request) -> Response:
        """The life of a project."""
        visitor, known = await self._known(request)
        return self._show("home.html.j2", request, visitor, known, **home_view(known))

    async def version(self, request: Request) -> Response:
        """A version beside the champion."""
        visitor, known = await self._known(request)
        text = request.path_params["version"]
        name = known.project.name

        def work(connection: Connection) -> tuple[Version, Update | None]:
            row = version_of(connection, name, text)
            return row, None if row.update_id is None else updates.get(connection, row.update_id)

        found, made = await self._here.run(lambda: self._here.engine.read(work))
        return self._show("version.html.j2", request, visitor, known, **version_view(known, found, made))

    async def quarantine(self, request: Request) -> Response:
        """Labels that wait for a person."""
        visitor, known = await self._known(request)
        text = request.query_params.get("after", "0")
        after = int(text) if text.isdecimal() and len(text) < 19 else 0
        rows = await self._here.run(lambda: self._here.engine.read(lambda link: _doubted(link, known, after)))
        more = rows[PAGE - 1]["row"].seq if len(rows) > PAGE else None
        return self._show(
            "quarantine.html.j2", request, visitor, known, rows=rows[:PAGE], more=more, after=after, stamp=known.stamp,
            count=known.counts["quarantined"],
        )  # fmt: skip

    async def live(self, request: Request) -> Response:
        """The stream of a project's changes, while the session holds."""
        name = request.path_params["project"]

        async def look() -> str:
            await self._guard.allowed(request, name, "admin", "predict", "feedback")
            return await self._stamps.of(name)

        await look()  # an error before the stream begins
        ending = request.scope.get("lifelong.ending") or asyncio.Event()
        headers = {**HEADERS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(changes(look, ending), 200, headers, "text/event-stream")

    async def _known(self, request: Request) -> tuple[Visitor, Facts]:
        name = request.path_params["project"]
        visitor = await self._guard.allowed(request, name, "admin")
        return visitor, await self._here.run(lambda: facts(self._here.engine, name))

    def _show(self, template: str, request: Request, visitor: Visitor, known: Facts, **values: Any) -> Response:
        said = SAID.get(request.query_params.get("said", ""))
        images = frame(known.project.input) is not None
        project = known.project.name
        return self._pages.show(
            template, visitor, project=project, images=images, said=said, counts=known.counts,
            **{name: value for name, value in values.items() if name != "counts"},
        )  # fmt: skip


def _sees(visitor: Visitor, name: str) -> bool:
    return any(visitor.may(scope, name) for scope in ("admin", "predict", "feedback"))


def _first_page(visitor: Visitor, name: str) -> str:
    return f"/projects/{name}" if visitor.may("admin", name) else f"/projects/{name}/try"


def _doubted(connection: Connection, known: Facts, after: int) -> list[dict[str, Any]]:
    """A page of the quarantine and the first row of the next."""
    project = known.project
    found = []
    for row in feedback.listed(connection, project.name, state="quarantined", after=after, limit=PAGE + 1):
        answer = _answer(connection, row)
        x = row.x if row.x is not None else None if answer is None else answer.x
        label = project.classes[row.label] if isinstance(row.label, int) else str(row.label)
        told = f"the input of {row.id}, labelled {label}"
        found.append({
            "row": row,
            "label": label,
            "answer": None if answer is None else project.classes[answer.output],
            "confidence": None if answer is None else answer.confidence,
            "picture": None if x is None else picture(x, project.input, told),
        })  # fmt: skip
    return found


def _answer(connection: Connection, row: Feedback) -> Prediction | None:
    if row.prediction is None:
        return None
    try:
        return predictions.get(connection, row.prediction)
    except NotFoundError:
        return None
