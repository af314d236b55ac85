"""A clock that never goes back: what was stored after something also bears a later time."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["SteadyClock"]


class SteadyClock:
    """Seconds since the epoch, that go on where the machine's clock is set back, and follow it where it is set forward.

    Arguments: `latest`: no time before it is told, as of what an earlier server has stored. `wall` is the machine's
        clock, `running` seconds that never go back.

    >>> wall, running = [1000.0], [0.0]
    >>> clock = SteadyClock(0.0, lambda: wall[0], lambda: running[0])
    >>> wall[0], running[0] = 400.0, 5.0
    >>> clock()
    1005.0
    >>> wall[0], running[0] = 2000.0, 6.0
    >>> clock()
    2000.0
    """

    def __init__(
        self, latest: float = 0.0, wall: Callable[[], float] = time.time, running: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall, self._running = wall, running
        self._since = max(wall(), latest), running()  # one tuple, as several threads ask

    def __call__(self) -> float:
        wall, running = self._wall(), self._running()
        told, then = self._since
        now = told + running - then
        if wall > now:
            self._since = wall, running
        return max(now, wall)
