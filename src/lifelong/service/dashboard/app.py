"""The dashboard put together: its routes, to be mounted beside those of the APIs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from lifelong.service.dashboard.actions import Actions
from lifelong.service.dashboard.guard import Guard
from lifelong.service.dashboard.log_in import LogIn
from lifelong.service.dashboard.page import HEADERS, Pages
from lifelong.service.dashboard.reading import Reading
from lifelong.service.dashboard.session import Attempts, Sessions
from lifelong.service.dashboard.trying import Trying
from lifelong.service.routes import Serving
from lifelong.service.v1.here import Here

__all__ = ["create_dashboard"]


class Static(StaticFiles):
    """Our own script, style and icon, asked for anew each time they may have changed."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """See `StaticFiles.file_response`; with the headers of every page."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update({**HEADERS, "Cache-Control": "no-cache"})
        return response


def create_dashboard(here: Here, serving: Callable[[], Serving]) -> Sequence[BaseRoute]:
    """The pages under `/`, for the store behind `here`.

    Arguments: `serving` gives what predictions are made with; it is asked at each of them.
    """
    pages, sessions = Pages(), Sessions(here.engine.clock)
    guard = Guard(here.keys, sessions, needed=here.settings.keys)
    log_in = LogIn(here.keys, sessions, Attempts(time.monotonic), pages, needed=here.settings.keys)
    reading, actions, trying = Reading(here, guard, pages), Actions(here, guard), Trying(here, guard, pages, serving)
    at = "/projects/{project}"
    gets = {
        "/": reading.projects,
        "/login": log_in.ask,
        at: reading.home,
        f"{at}/versions/{{version}}": reading.version,
        f"{at}/quarantine": reading.quarantine,
        f"{at}/live": reading.live,
        f"{at}/try": trying.page,
    }
    posts = {
        "/login": log_in.enter,
        "/logout": log_in.leave,
        f"{at}/versions/{{version}}/{{action:str}}": actions.move,
        f"{at}/updates": actions.update,
        f"{at}/updates/{{update}}/cancel": actions.cancel,
        f"{at}/quarantine/{{action:str}}": actions.review_all,
        f"{at}/quarantine/{{feedback}}/{{action:str}}": actions.review,
        f"{at}/try/predict": trying.predict,
        f"{at}/try/feedback": trying.correct,
    }
    return [
        Mount("/static", Static(directory=Path(__file__).parent / "static")),
        *(Route(path, pages.guarded(endpoint), methods=["GET"]) for path, endpoint in gets.items()),
        *(Route(path, pages.guarded(endpoint), methods=["POST"]) for path, endpoint in posts.items()),
    ]
