"""Task 14: where somebody was before, by the times of day that the sentences name in any order."""

from __future__ import annotations

from lifelong.streams.babi.text import Question

from .words import words

__all__ = ["where_before"]

TIMES = ("yesterday", "morning", "afternoon", "evening")


def where_before(question: Question) -> str:
    """Where was Julie before the school? Before she was there last, that is."""
    _, _, who, *_, place = words(question.question)
    visited: dict[int, str] = {}
    for said in map(words, question.story):
        if who in said:
            when = next(n for n, time in enumerate(TIMES) if time in said)
            visited[when] = said[said.index("the") + 1]
    order = [visited[when] for when in sorted(visited)]
    last = max(n for n, one in enumerate(order) if one == place)
    return order[last - 1]
