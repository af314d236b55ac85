"""Twenty small solvers, one for each skill, that read only the sentences.

Written from the official files alone: they share nothing with the simulator, whose answers they check.
"""

from __future__ import annotations

from collections.abc import Callable

from lifelong.streams.babi.text import Question

from .animals import colour, fear
from .certainty import is_there_surely
from .days import where_before
from .hands import count, gift, inventory
from .measures import fits, lies
from .motives import motive
from .people import is_there, where_is, where_was
from .routes import beside, path

__all__ = ["SOLVERS"]

SOLVERS: dict[int, Callable[[Question], str]] = {
    1: where_is,
    2: where_is,
    3: where_was,
    4: beside,
    5: gift,
    6: is_there,
    7: count,
    8: inventory,
    9: is_there_surely,
    10: is_there_surely,
    11: where_is,
    12: where_is,
    13: where_is,
    14: where_before,
    15: fear,
    16: colour,
    17: lies,
    18: fits,
    19: path,
    20: motive,
}
