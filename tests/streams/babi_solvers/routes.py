"""Tasks 4 and 19: places north, south, east and west of each other, and the way between two of them."""

from __future__ import annotations

from collections import deque

from lifelong.streams.babi.text import Question

from .words import words

__all__ = ["beside", "path"]

OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}


def _neighbours(story: tuple[str, ...]) -> dict[tuple[str, str], str]:
    """(place, direction) → the place that lies there."""
    found: dict[tuple[str, str], str] = {}
    for _, there, _, direction, _, _, here in map(words, story):
        found[here, direction] = there
        found[there, OPPOSITE[direction]] = here
    return found


def beside(question: Question) -> str:
    """What is north of the garden? What is the garden north of?"""
    asked = words(question.question)
    direction = next(word for word in asked if word in OPPOSITE)
    place = asked[asked.index("the") + 1]
    # "what is north of it" lies north; "what it is north of" lies south
    return _neighbours(question.story)[place, direction if asked[-1] == place else OPPOSITE[direction]]


def path(question: Question) -> str:
    """How do you go from the kitchen to the garden? The shortest way, by its directions' first letters."""
    *_, start, _, _, goal = words(question.question)
    near = _neighbours(question.story)
    ways: deque[tuple[str, tuple[str, ...]]] = deque([(start, ())])
    seen = {start}
    while ways:
        here, steps = ways.popleft()
        if here == goal:
            return ",".join(step[0] for step in steps)
        for (place, direction), there in near.items():
            if place == here and there not in seen:
                seen.add(there)
                ways.append((there, (*steps, direction)))
    raise AssertionError(f"no way from {start} to {goal}")
