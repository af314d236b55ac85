"""Projects whose life stalls are told of: in the log, in the metrics, and to a webhook."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

from lifelong.errors import LifelongError
from lifelong.loop.engine import Engine
from lifelong.loop.engine.judged import stalled
from lifelong.service.metrics import Metrics
from lifelong.store import updates

__all__ = ["Stalls"]

LOOKED_AT = 20
#: seconds before each try to reach the webhook
TRIES = (0.0, 2.0, 10.0)
PATIENCE = 10.0

logger = logging.getLogger(__name__)


class Stalls:
    """Says once of a stall that a project stalls, why, and what would help.

    Args:
        engine: Where the updates are.
        metrics: Of the server; `lifelong_stalled` is 1 where a project stalls.
        webhook: An address that is sent a JSON object with `event`, `project`, `why`, `help` and `updates`; None sends
            nothing. Its answer is not looked at.
    """

    def __init__(self, engine: Engine, metrics: Metrics, webhook: str | None = None) -> None:
        self._engine, self._metrics, self._webhook = engine, metrics, webhook
        self._told: dict[str, list[str]] = {}

    def look(self, project: str) -> None:
        """Look at `project` after a decision; where the store does not answer, the next look tells."""
        try:
            found = stalled(self._engine.read(lambda connection: updates.listed(connection, project, limit=LOOKED_AT)))
        except LifelongError:
            return
        self._metrics.stalled.set(0 if found is None else 1, project)
        if found is None:
            self._told.pop(project, None)
        elif project not in self._told:
            self._told[project] = found["updates"]
            logger.warning("project %r stalls: %s; what helps: %s", project, found["why"], found["help"])
            if self._webhook is not None:
                news = {"event": "stalled", "project": project, **found}
                threading.Thread(target=_send, args=(self._webhook, news), name="lifelong-webhook", daemon=True).start()


def _send(url: str, news: Mapping[str, Any]) -> None:
    data, fault = json.dumps(news).encode(), ""
    for pause in TRIES:
        time.sleep(pause)
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE):
                return
        except OSError as error:
            fault = str(error)
    logger.warning("the webhook %s was not reached: %s", url, fault)
