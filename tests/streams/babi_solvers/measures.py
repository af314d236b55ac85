"""Tasks 17 and 18: where shapes lie on a grid, and which box fits in which."""

from __future__ import annotations

import re

from lifelong.streams.babi.text import Question

__all__ = ["fits", "lies"]

STEPS = {"to the left of": (-1, 0), "to the right of": (1, 0), "above": (0, 1), "below": (0, -1)}
RELATION = "|".join(STEPS)


def lies(question: Question) -> str:
    """Is the red square above the triangle? Each sentence is one step on a grid."""
    offsets: dict[tuple[str, str], tuple[int, int]] = {}
    for sentence in question.story:
        found = re.match(rf"the (.+) is ({RELATION}) the ([a-z ]+)", sentence.lower())
        assert found is not None
        x, y = STEPS[found[2]]
        offsets[found[1], found[3].strip()] = (x, y)
        offsets[found[3].strip(), found[1]] = (-x, -y)
    asked = re.match(rf"is the (.+) ({RELATION}) the ([a-z ]+)", question.question.lower())
    assert asked is not None
    places = {asked[3].strip(): (0, 0)}
    while asked[1] not in places:
        for (one, other), (x, y) in offsets.items():
            if other in places:
                places.setdefault(one, (places[other][0] + x, places[other][1] + y))
    (x, y), (step_x, step_y) = places[asked[1]], STEPS[asked[2]]
    return "yes" if x * step_x + y * step_y > 0 else "no"


def fits(question: Question) -> str:
    """Does the box fit in the chest? Is the chest bigger than the box?"""
    smaller: dict[str, set[str]] = {}
    for sentence in question.story:
        text = sentence.lower().rstrip(". ")
        if found := re.match(r"the (.+) is bigger than the (.+)", text):
            big, small = found[1], found[2]
        else:
            found = re.match(r"the (.+) fits inside the (.+)", text)
            assert found is not None
            small, big = found[1], found[2]
        smaller.setdefault(big, set()).add(small)
    text = question.question.lower().rstrip("? ")
    if found := re.match(r"is the (.+) bigger than the (.+)", text):
        big, small = found[1], found[2]
    else:
        found = re.match(r"does the (.+) fit in the (.+)", text)
        assert found is not None
        small, big = found[1], found[2]
    if small in _below(smaller, big):
        return "yes"
    assert big in _below(smaller, small), f"nothing in the story tells whether {big} or {small} is bigger"
    return "no"


def _below(smaller: dict[str, set[str]], big: str) -> set[str]:
    """All that is smaller than `big`, by however many steps."""
    below, new = set[str](), {big}
    while new:
        new = set[str]().union(*(smaller.get(one, ()) for one in new)) - below
        below |= new
    return below
