"""Tasks 4 and 19: places north, south, east and west of each other, and the way from one to another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lifelong.streams.babi.simulate.script import Asked, Fact, Line, pick, shuffled
from lifelong.streams.babi.simulate.words import HOUSE

__all__ = ["path_finding", "two_arguments"]

OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}
STEPS = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}


def two_arguments(rng: np.random.Generator) -> Iterator[Line]:
    """Task 4: What is north of the kitchen? What is the kitchen north of? Three places in a row, two facts."""
    before, middle, after = shuffled(rng, HOUSE)[:3]
    direction = pick(rng, tuple(OPPOSITE))
    facts = {before: _fact(rng, before, direction, middle, 1 / 3), after: _fact(rng, middle, direction, after, 2 / 3)}
    yield from shuffled(rng, facts.values())
    # before lies `direction` of middle, and middle of after; each place is the answer as often
    answer = pick(rng, (before, middle, after))
    end = answer if answer != middle else pick(rng, (before, after))
    place = middle if answer != middle else end
    towards = direction if (answer, place) in {(before, middle), (middle, after)} else OPPOSITE[direction]
    what = pick(rng, (f"What is {towards} of the {place}?", f"What is the {place} {OPPOSITE[towards]} of?"))
    yield Asked(what, answer, (facts[end],))


def path_finding(rng: np.random.Generator) -> Iterator[Line]:
    """Task 19: How do you go from the kitchen to the garden? Six places on a grid, joined by five facts into a tree,
    and a way of two steps by the first letters of their directions.
    """
    places = shuffled(rng, HOUSE)
    where = {places[0]: (0, 0)}
    steps: dict[str, dict[str, tuple[str, Fact]]] = {place: {} for place in places}
    for there in places[1:]:
        here, direction, point = _free(rng, where)
        where[there] = point
        fact = _fact(rng, there, direction, here, 0.5)
        steps[here][there] = direction, fact
        steps[there][here] = OPPOSITE[direction], fact
    facts = [fact for here in places for there, (_, fact) in steps[here].items() if here < there]
    yield from shuffled(rng, facts)
    ways = [(start, via, goal) for via in places for start in steps[via] for goal in steps[via] if start != goal]
    start, via, goal = pick(rng, ways)
    (first, one), (second, two) = steps[start][via], steps[via][goal]
    yield Asked(f"How do you go from the {start} to the {goal}?", f"{first[0]},{second[0]}", (one, two))


def _free(rng: np.random.Generator, where: dict[str, tuple[int, int]]) -> tuple[str, str, tuple[int, int]]:
    """A place on the grid, a direction, and the free point that lies there."""
    while True:
        here, direction = pick(rng, tuple(where)), pick(rng, tuple(STEPS))
        (x, y), (dx, dy) = where[here], STEPS[direction]
        if (x + dx, y + dy) not in where.values():
            return here, direction, (x + dx, y + dy)


def _fact(rng: np.random.Generator, there: str, direction: str, here: str, turn: float) -> Fact:
    """`there` lies `direction` of `here`, said the other way round with probability `turn`."""
    if rng.random() < turn:
        there, direction, here = here, OPPOSITE[direction], there
    return Fact(f"The {there} is {direction} of the {here}.")
