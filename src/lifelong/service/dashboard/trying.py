"""The page to try a project of images: what was drawn is predicted, and the correction is feedback."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from lifelong.loop.engine.intake import Given
from lifelong.loop.lot import unpack
from lifelong.loop.project import Project
from lifelong.loop.schema import Inputs
from lifelong.service.dashboard.facts import Facts, facts
from lifelong.service.dashboard.guard import Guard, Visitor
from lifelong.service.dashboard.page import Pages, is_part
from lifelong.service.dashboard.picture import SIDE, Manner, frame, manner_of, picture, scanned
from lifelong.service.limits import read_body
from lifelong.service.local import check_origin
from lifelong.service.models import Lineup
from lifelong.service.problems import ProblemError
from lifelong.service.routes import Serving
from lifelong.service.tensors import Answered, Question
from lifelong.service.v1.here import Here
from lifelong.store import tasks, versions

__all__ = ["Trying"]


class Trying:
    """The endpoints. `serving` gives what predictions are made with."""

    def __init__(self, here: Here, guard: Guard, pages: Pages, serving: Callable[[], Serving]) -> None:
        self._here, self._guard, self._pages, self._serving = here, guard, pages, serving
        self._manners: dict[str, Manner] = {}

    async def page(self, request: Request) -> Response:
        """The sheet to draw on."""
        name = request.path_params["project"]
        visitor = await self._guard.allowed(request, name, "predict", "feedback")
        known = await self._here.run(lambda: facts(self._here.engine, name))
        lineup = await self._serving().predictor.lineup(name)
        return self._show(visitor, known, lineup, None)

    async def predict(self, request: Request) -> Response:
        """The answer to a drawing (SIDE × SIDE bytes), by the way of every prediction: it has an id, and is stored."""
        check_origin(request)
        name = request.path_params["project"]
        visitor = await self._guard.allowed(request, name, "predict")
        visitor.session.check(request.headers.get("x-token"))
        self._here.buckets.take(visitor.key.name)
        body = await read_body(request, SIDE * SIDE)
        predictor = self._serving().predictor
        lineup = await predictor.lineup(name)
        manner = await self._here.run(lambda: self._manner(lineup.project))
        x = scanned(body, lineup.project.input, manner)
        task = request.query_params.get("task", "")
        question = Question(x[None], int(task) if task.isdecimal() and len(task) < 10 else None)
        given = await predictor.predict(lineup, question, visitor.key.name)
        engine = self._here.engine
        row = await self._here.run(lambda: engine.read(lambda connection: versions.get(connection, given.version)))
        return self._answered(visitor, lineup.project, given, x, row.number)

    async def correct(self, request: Request) -> Response:
        """A correction or confirmation of a prediction: feedback like all other; durable when this answers."""
        name = request.path_params["project"]
        visitor, fields = await self._guard.sent(request, name, "feedback")
        self._here.buckets.take(visitor.key.name)
        prediction, label = fields.get("prediction_id", ""), fields.get("label", "")
        if not prediction:
            raise ProblemError(400, "draw something first: feedback is for a prediction")
        who = visitor.key.name
        given = Given(key=uuid.uuid4().hex, label=label, prediction_id=prediction, source=who, actor=who)
        receipt = await asyncio.wrap_future(self._here.intake.add(name, given))
        self._here.wake()
        said = {"label": label, "state": receipt.state, "id": receipt.id}
        if is_part(request):
            return self._pages.show("thanks_part.html.j2", visitor, said=said)
        known = await self._here.run(lambda: facts(self._here.engine, name))
        return self._show(visitor, known, await self._serving().predictor.lineup(name), said)

    def _show(self, visitor: Visitor, known: Facts, lineup: Lineup, said: dict[str, str] | None) -> Response:
        size = frame(known.project.input)
        if size is None:
            shape = list(known.project.input.shape)
            message = f"inputs of shape {shape} cannot be drawn; only images of one channel, up to 64 × 64, can"
            raise ProblemError(404, message)
        return self._pages.show(
            "try.html.j2", visitor, project=known.project.name, images=True, thanks=said, counts=known.counts,
            champion=known.present, stamp=known.stamp, side=SIDE, size=size, classes=known.project.classes,
            tasks=lineup.champion.tasks, may_predict=visitor.may("predict", known.project.name), said=None,
        )  # fmt: skip

    def _answered(self, visitor: Visitor, project: Project, given: Answered, x: Inputs, number: int) -> Response:
        answers = given.answers
        shares = [
            {"name": name, "share": float(share)}
            for name, share in zip(project.classes, answers.probability_NC[0], strict=True)
        ]
        best = int(answers.output_N[0])
        return self._pages.show(
            "prediction_part.html.j2", visitor, project=project.name, shares=shares, best=best,
            confidence=float(answers.confidence_N[0]), prediction=given.ids[0], version=given.version,
            number=number, variant=given.variant,
            seen=picture(x, project.input, "what the model sees"),
            may_correct=visitor.may("feedback", project.name),
        )  # fmt: skip

    def _manner(self, project: Project) -> Manner:
        """How the project's known images are drawn, from the exam of its first task; looked up once."""
        found = self._manners.get(project.name)
        if found is None:
            engine = self._here.engine
            row = engine.read(lambda connection: tasks.get(connection, project.name, 1))
            found = self._manners[project.name] = manner_of(unpack(engine.blobs.get(row.exam_blob))[0], project.input)
        return found
