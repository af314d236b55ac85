"""Tasks 1, 2, 3 and 6: where somebody or something is, was, or is said to be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lifelong.streams.babi.simulate.script import Asked, Line, paced, pick
from lifelong.streams.babi.simulate.words import ACTORS, HOUSE
from lifelong.streams.babi.simulate.world import Event, World

__all__ = ["is_there", "where_is_it", "where_is_who", "where_was_it"]


def where_is_who(rng: np.random.Generator) -> Iterator[Line]:
    """Task 1: Where is Mary? One supporting fact, her last move."""
    world = World(rng, ACTORS, ("move",))

    def ask() -> Asked:
        came = world.arrival[pick(rng, list(world.recent)).actor]
        return Asked(f"Where is {came.actor}?", came.place, (came.fact,))

    return paced(world.two, ask)


def where_is_it(rng: np.random.Generator) -> Iterator[Line]:
    """Task 2: Where is the milk? Two supporting facts: who took it, and where they went with it; or who left it, and
    how they had come there.
    """
    world = World(rng, ACTORS, ("move", "take", "put"))

    def came(last: Event) -> Event | None:
        """The move that tells where a thing is since the last event with it."""
        if last.verb == "put":
            return last.came
        return world.journey[last.thing][-1] if world.journey[last.thing] else None

    def ask() -> Asked | None:
        known = [(last, move) for last in world.recent if last is world.last.get(last.thing) and (move := came(last))]
        if not known:
            return None
        last, move = pick(rng, known)
        return Asked(f"Where is the {last.thing}?", move.place, (last.fact, move.fact))

    return paced(world.two, ask)


def where_was_it(rng: np.random.Generator) -> Iterator[Line]:
    """Task 3: Where was the milk before the garden? Three supporting facts: the last that was done with it, and two
    moves in a row of the one who carried it. "Before the garden" means before it came there last.
    """
    world = World(rng, ACTORS, ("move", "take", "put"), there=0.2)

    def pairs(event: Event) -> list[tuple[Event, Event]]:
        """Moves one after the other with a thing in hand, the second one to a place where it did not come back."""
        moves = world.journey[event.thing]
        later = [{move.place for move in moves[n + 1 :]} for n in range(len(moves))]
        return [(moves[n - 1], moves[n]) for n in range(1, len(moves)) if moves[n].place not in later[n]]

    def ask() -> Asked | None:
        known = [
            (last, found) for last in world.recent if last is world.last.get(last.thing) and (found := pairs(last))
        ]
        if not known:
            return None
        last, found = pick(rng, known)
        before, after = pick(rng, found)
        text = f"Where was the {last.thing} before the {after.place}?"
        return Asked(text, before.place, (last.fact, after.fact, before.fact))

    return paced(world.two, ask)


def is_there(rng: np.random.Generator) -> Iterator[Line]:
    """Task 6: Is Mary in the garden? Yes or no, each as likely, by her last move."""
    world = World(rng, ACTORS, ("move", "take", "put"))

    def ask() -> Asked | None:
        moves = [event for event in world.recent if event.verb == "move"]
        if not moves:
            return None
        came = world.arrival[pick(rng, moves).actor]
        truth = rng.random() < 0.5
        place = came.place if truth else pick(rng, [place for place in HOUSE if place != came.place])
        return Asked(f"Is {came.actor} in the {place}?", "yes" if truth else "no", (came.fact,))

    return paced(world.two, ask)
