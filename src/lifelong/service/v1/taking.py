"""Taking labels in: the path that must be fast. What comes at the same time is judged and stored together."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import orjson
from msgspec.structs import asdict
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lifelong.errors import DataError, LifelongError
from lifelong.loop.engine.intake import Given, Intake
from lifelong.service.front import Bare
from lifelong.service.limits import read_body
from lifelong.service.problems import ProblemError, answer, as_problem
from lifelong.service.v1.here import Here
from lifelong.store.ingest import Receipt

__all__ = ["Gathering", "Line", "Taking"]

LARGEST = 1000
#: lines of a batch in one transaction: some hundredths of a second, for which others wait
PIECE = 1000
MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NOTHING = msgspec.Raw(b"null")


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """One label as clients send it; the same names as in `FeedbackBody`."""

    label: int | str
    prediction_id: str | None = None
    x: msgspec.Raw = NOTHING
    key: str | None = None
    source: str | None = None
    supersedes: str | None = None

    def given(self, actor: str, key: str | None = None) -> Given:
        """What the loop takes; a label without a name of its own gets one, and counts each time it is sent.

        Raises: `msgspec.ValidationError` where x is no list.
        """
        if self.x != NOTHING and not bytes(self.x).startswith(b"["):
            raise msgspec.ValidationError("Expected `array | null` - at `$.x`")
        return Given(
            key=self.key or key or uuid.uuid4().hex,
            label=self.label,
            prediction_id=self.prediction_id,
            x=None if self.x == NOTHING else self.x,
            source=actor if self.source is None else self.source,
            actor=actor,
            supersedes=self.supersedes,
        )


class Waiting(NamedTuple):
    """One label, and who waits for its receipt."""

    project: str
    given: Given
    then: asyncio.Future[Receipt]


class Gathering:
    """Labels that come while others are being stored are stored together, in one look at the project and one COMMIT."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._waiting: list[Waiting] = []
        self._running: asyncio.Task[None] | None = None

    async def add(self, project: str, given: Given) -> Receipt:
        """The receipt, once the label is durable. Raises: what `Intake.add` raises."""
        then: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(project, given, then))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await then

    async def _run(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
                mine: dict[str, list[Waiting]] = defaultdict(list)
                for waiting in group:
                    mine[waiting.project].append(waiting)
                await asyncio.gather(*(self._store(project, own) for project, own in mine.items()))
        finally:
            self._running = None

    async def _store(self, project: str, own: Sequence[Waiting]) -> None:
        outcomes: Sequence[Receipt | Exception]
        try:
            if not self._intake.ready(project):
                await asyncio.to_thread(self._intake.prepare, project)
            outcomes = await asyncio.wrap_future(self._intake.take(project, [waiting.given for waiting in own]))
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            outcomes = [error] * len(own)
        for waiting, outcome in zip(own, outcomes, strict=True):
            if waiting.then.done():  # its client went away
                continue
            if isinstance(outcome, Exception):
                waiting.then.set_exception(outcome)
            else:
                waiting.then.set_result(outcome)


class Taking:
    """The two ways in: one label, or one per line."""

    def __init__(self, here: Here) -> None:
        self._here = here
        self._gathering = Gathering(here.intake)
        self._decoder = msgspec.json.Decoder(Line)

    def routes(self) -> Sequence[Route]:
        """Routes that spare what FastAPI does around a request; they go before the mount of the API."""
        ways = {"feedback": self.one, "examples": self.example, "feedback:batch": self.many}
        return [
            Route(f"/v1/projects/{{project}}/{name}", Bare(self._bare(handle)), methods=["POST"])
            for name, handle in ways.items()
        ]

    async def one(self, request: Request) -> Response:
        """One label; answered when it is durable. Raises: `ProblemError`, `LifelongError`."""
        return await self._one(request)

    async def example(self, request: Request) -> Response:
        """One labelled example that belongs to no prediction. Raises: like `one`."""
        return await self._one(request, with_x=True)

    async def _one(self, request: Request, *, with_x: bool = False) -> Response:
        here, project = self._here, request.path_params["project"]
        actor = await here.allowed(request, "feedback", project)
        body = await read_body(request, here.settings.max_body)
        try:
            line = self._decoder.decode(body)
            given = line.given(actor, None if line.key else request.headers.get("idempotency-key"))
        except MALFORMED as error:
            raise ProblemError(422, f"the body is not one label as JSON: {error}; see /v1/openapi.json") from error
        if with_x and (given.x is None or given.prediction_id is not None):
            raise ProblemError(
                422, "an example brings its own x and names no prediction; send labels of those to feedback"
            )
        receipt = await self._gathering.add(project, given)
        here.wake()
        return Response(orjson.dumps(asdict(receipt)), 200 if receipt.duplicate else 201, media_type="application/json")

    async def many(self, request: Request) -> Response:
        """Labels, one JSON object per line; a line of result for each. Raises: like `one`.

        They are stored in pieces, between which others have their turn. Where the store fails after the first piece,
        each later line says that it was not stored.
        """
        here, project = self._here, request.path_params["project"]
        actor = await here.allowed(request, "feedback", project)
        lines = _lines(await read_body(request, here.settings.max_body), here.settings.max_lines)
        results: list[dict[str, Any]] = []
        try:
            for start in range(0, len(lines), PIECE) or [0]:  # without any line the project is looked at all the same
                results += await here.run(lambda start=start: self._results(project, lines, start, actor))
        except LifelongError as error:
            if not results:
                raise
            fault = f"not stored: {as_problem(error).message}"
            results += [{"error": f"line {number}: {fault}"} for number in range(len(results) + 1, len(lines) + 1)]
        here.wake()
        return Response(b"".join(orjson.dumps(each) + b"\n" for each in results), media_type="application/x-ndjson")

    def _results(self, project: str, lines: Sequence[bytes], start: int, actor: str) -> list[dict[str, Any]]:
        """Store a piece of the lines in one transaction; what became of each."""
        found: list[Given | LifelongError] = []
        for number, line in enumerate(lines[start : start + PIECE], start=start + 1):
            try:
                found.append(self._decoder.decode(line).given(actor))
            except MALFORMED as error:
                found.append(DataError(f"line {number}: {error}"))
        good = [each for each in found if isinstance(each, Given)]
        outcomes = iter(self._here.intake.add_many(project, good))
        return [_result(next(outcomes) if isinstance(each, Given) else each) for each in found]

    def _bare(self, handle: Any) -> Any:
        async def run(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive)
            try:
                response = await handle(request)
            except ClientDisconnect:
                response = Response(status_code=499)  # nobody reads it
            except (ProblemError, LifelongError) as error:
                response = await answer(request, error)
            await response(scope, receive, send)

        return run


def _lines(body: bytes, most: int) -> list[bytes]:
    """The lines that are not blank; `ProblemError` 413 for more than `most`, blank ones too."""
    count = body.count(b"\n") + (not body.endswith(b"\n"))
    if count > most:
        raise ProblemError(413, f"{count} lines in one request, {most} are taken; send them in several requests")
    return [line for line in body.split(b"\n") if line.strip()]


def _result(outcome: Receipt | LifelongError) -> dict[str, Any]:
    return asdict(outcome) if isinstance(outcome, Receipt) else {"error": str(outcome)}
