"""Tasks 9 and 10: yes, no and maybe, from the last that was said of somebody."""

from __future__ import annotations

from lifelong.streams.babi.text import Question

from .words import MOVED, words

__all__ = ["is_there_surely"]


def is_there_surely(question: Question) -> str:
    """Is Mary in the park? By the last sentence about her, whatever was said before it."""
    _, who, *_, place = words(question.question)
    said = next(said for said in map(words, reversed(question.story)) if said[0] == who)
    if "either" in said:
        return "maybe" if place in said[-4:] else "no"
    if said[1] in MOVED or said[1:4] == ("is", "in", "the"):
        return "yes" if said[-1] == place else "no"
    # "is not in" and "is no longer in" say nothing about other places
    return "no" if said[-1] == place else "unknown"
