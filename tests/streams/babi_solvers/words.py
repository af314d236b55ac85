"""Reading: a sentence as its words in small letters, without its punctuation."""

from __future__ import annotations

import re
from functools import cache

__all__ = ["GAVE", "MOVED", "PUT", "TOOK", "words"]

MOVED = frozenset({"went", "moved", "travelled", "journeyed"})
TOOK = frozenset({"grabbed", "got", "picked", "took"})
PUT = frozenset({"dropped", "left", "discarded", "put"})
GAVE = frozenset({"gave", "handed", "passed"})


@cache
def words(sentence: str) -> tuple[str, ...]:
    """The words of a sentence, in small letters."""
    return tuple(re.findall(r"[a-z]+", sentence.lower()))
