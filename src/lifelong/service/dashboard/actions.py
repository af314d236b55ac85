"""What a person does: promote, reject, roll back, ask for an update, cancel it, review the quarantine."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lifelong.loop.engine import asking, deciding, reviewing
from lifelong.service.dashboard.guard import Guard
from lifelong.service.dashboard.page import HEADERS
from lifelong.service.problems import ProblemError
from lifelong.service.v1.here import Here

__all__ = ["Actions"]

LONGEST_REASON = 2000


class Actions:
    """The endpoints; each does what the one of /v1 does, with the same audit, and leads back to a page."""

    def __init__(self, here: Here, guard: Guard) -> None:
        self._here, self._guard = here, guard

    async def move(self, request: Request) -> Response:
        """Promote, reject or roll back to a version.

        The form brings the champion's revision that its page showed: where it was moved since, nothing is done (409).
        """
        project, version = request.path_params["project"], request.path_params["version"]
        action = request.path_params["action"]
        engine = self._here.engine
        visitor, fields = await self._guard.sent(request, project, "admin")
        actor, reason, revision = visitor.key.name, reason_of(fields), number_of(fields, "revision")
        if action == "reject":
            await self._here.run(lambda: deciding.reject(engine, project, version, actor=actor, reason=reason))
            return back(f"/projects/{project}/versions/{version}?said=rejected")
        moves = {"promote": deciding.promote, "rollback": deciding.rollback}
        if action not in moves:
            raise ProblemError(404, f"a version can be promoted, rejected or rolled back to, not {action!r}")
        await self._here.run(
            lambda: moves[action](
                engine, project, version, actor=actor, reason=reason, revision=revision, loaded=self._here.loaded
            )
        )
        await self._here.run(lambda: self._here.changed(project))
        return back(f"/projects/{project}?said={'promoted' if action == 'promote' else 'rolled-back'}")

    async def update(self, request: Request) -> Response:
        """Ask for an update with what waits, or with a task again; with the project's method, or another."""
        project = request.path_params["project"]
        visitor, fields = await self._guard.sent(request, project, "admin")
        method = {"name": fields["method"]} if fields.get("method") else None
        task = number_of(fields, "task")
        await self._here.settled()
        await self._here.run(
            lambda: asking.ask(self._here.engine, project, actor=visitor.key.name, method=method, task=task)
        )
        self._here.wake()
        return back(f"/projects/{project}?said=asked")

    async def cancel(self, request: Request) -> Response:
        """Stop an update that is queued or training."""
        project, update = request.path_params["project"], request.path_params["update"]
        visitor, fields = await self._guard.sent(request, project, "admin")
        actor, reason = visitor.key.name, reason_of(fields)
        await self._here.run(lambda: deciding.cancel(self._here.engine, project, update, actor=actor, reason=reason))
        return back(f"/projects/{project}?said=cancelled")

    async def review(self, request: Request) -> Response:
        """Accept or refuse a label that is in quarantine."""
        project, feedback = request.path_params["project"], request.path_params["feedback"]
        action = request.path_params["action"]
        if action not in ("accept", "refuse"):
            raise ProblemError(404, f"a label can be accepted or refused, not {action!r}")
        visitor, fields = await self._guard.sent(request, project, "admin")
        accept, actor, engine = action == "accept", visitor.key.name, self._here.engine
        reason = fields.get("reason", "").strip()[:LONGEST_REASON]
        await self._here.run(
            lambda: reviewing.review(engine, project, feedback, actor=actor, reason=reason, accept=accept)
        )
        if accept:
            self._here.wake()
        return back(f"/projects/{project}/quarantine?said={'accepted' if accept else 'refused'}")

    async def review_all(self, request: Request) -> Response:
        """Accept or refuse all labels that are in quarantine, or all of one source."""
        project, action = request.path_params["project"], request.path_params["action"]
        if action not in ("accept", "refuse"):
            raise ProblemError(404, f"labels can be accepted or refused, not {action!r}")
        visitor, fields = await self._guard.sent(request, project, "admin")
        reason, engine = reason_of(fields), self._here.engine

        def work() -> None:
            named = reviewing.quarantined(engine, project, fields.get("source") or None)
            accept, actor = action == "accept", visitor.key.name
            reviewing.review_many(engine, project, named, actor=actor, reason=reason, accept=accept)

        await self._here.run(work)
        self._here.wake()
        return back(f"/projects/{project}/quarantine?said=all-{'accepted' if action == 'accept' else 'refused'}")


def reason_of(fields: dict[str, str]) -> str:
    """The reason in a form; `ProblemError` 400 where none is given.

    >>> reason_of({"reason": " too slow "})
    'too slow'
    """
    reason = fields.get("reason", "").strip()
    if not reason:
        raise ProblemError(400, "give a reason; it is kept with the decision")
    if len(reason) > LONGEST_REASON:
        raise ProblemError(400, f"the reason has {len(reason)} letters, {LONGEST_REASON} are kept; shorten it")
    return reason


def number_of(fields: dict[str, str], name: str) -> int | None:
    """A whole number in a form; None where it is left out."""
    text = fields.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def back(path: str) -> Response:
    """Lead to a page, so that loading it again does nothing twice."""
    return RedirectResponse(path, 303, {**HEADERS, "Cache-Control": "no-store"})
