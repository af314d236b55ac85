"""How much each of many names sent lately; what is older than the window is forgotten."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque

__all__ = ["Recent"]


class Recent:
    """Counts per name, within a window of `seconds`; any thread may ask.

    >>> recent = Recent()
    >>> [recent.count("ann", now, most=2, seconds=60.0) for now in (0.0, 1.0, 2.0, 61.5)]
    [0, 1, 2, 1]
    >>> recent.count("bob", 200.0, most=2, seconds=60.0), len(recent)
    (0, 1)
    """

    def __init__(self) -> None:
        self._sent: OrderedDict[str, deque[float]] = OrderedDict()  # who was silent for longest goes first
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many names are remembered."""
        return len(self._sent)

    def count(self, name: str, now: float, *, most: int, seconds: float) -> int:
        """How much `name` sent in the window before this, `most` at the highest; this is counted, too."""
        with self._lock:
            times = self._sent.setdefault(name, deque())
            while times and not now - seconds < times[0] <= now:  # a clock that goes back forgets, too
                times.popleft()
            before = min(len(times), most)
            times.append(now)
            if len(times) > most:
                times.popleft()
            self._sent.move_to_end(name)
            while len(self._sent) > 1 and not now - seconds < next(iter(self._sent.values()))[-1] <= now:
                self._sent.popitem(last=False)
            return before
