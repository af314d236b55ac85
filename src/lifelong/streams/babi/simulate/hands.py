"""Tasks 5, 7 and 8: who gave what to whom, and how many things, and which, somebody carries."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from lifelong.streams.babi.simulate.script import Asked, Fact, Line, paced, pick
from lifelong.streams.babi.simulate.words import ACTORS, GIVERS, NUMBERS
from lifelong.streams.babi.simulate.world import Event, Verb, World

__all__ = ["gift", "how_many", "what_carried"]

# gifts are tried often, as most of them fail: it takes somebody with a thing, and somebody beside them
DEEDS: tuple[Verb, ...] = ("move", "take", "put", "give", "give", "give", "give")


def gift(rng: np.random.Generator) -> Iterator[Line]:
    """Task 5: What did Bill give to Fred? Who gave the milk? Who received it? One supporting fact, the gift.

    Differs from the official files in four of their 2,000 questions: when Bill has given Fred two things, they may ask
    "What did Bill give to Fred?" and mean the first. Here it is always the last.
    """
    world = World(rng, GIVERS, DEEDS)

    def ask() -> Asked | None:
        gifts = [event for event in world.recent if event.verb == "give"]
        last = {event.thing: event for event in gifts}
        return _about(rng, pick(rng, tuple(last.values())), gifts) if gifts else None

    return paced(world.two, ask)


def _about(rng: np.random.Generator, one: Event, gifts: list[Event]) -> Asked:
    """A question about a gift whose answer is this gift's and no later one's."""
    giver, thing, receiver = one.actor, one.thing, one.receiver
    last = [event for event in gifts if (event.actor, event.receiver) == (giver, receiver)][-1] is one
    match pick(rng, ("thing", "giver", "receiver") if last else ("giver", "receiver")):
        case "thing":
            text, answer = f"What did {giver} give to {receiver}?", thing
        case "giver":
            text, answer = pick(rng, (f"Who gave the {thing}?", f"Who gave the {thing} to {receiver}?")), giver
        case _:
            text, answer = pick(rng, (f"Who received the {thing}?", f"Who did {giver} give the {thing} to?")), receiver
    return Asked(text, answer, (one.fact,))


def how_many(rng: np.random.Generator) -> Iterator[Line]:
    """Task 7: How many objects is Mary carrying? Supported by everything that passed through her hands."""
    world = World(rng, ACTORS, DEEDS)

    def about(actor: str) -> Asked:
        support = tuple(event.fact for event in world.touched[actor])
        return Asked(f"How many objects is {actor} carrying?", NUMBERS[len(world.carried(actor))], support)

    return _carrying(world, about)


def what_carried(rng: np.random.Generator) -> Iterator[Line]:
    """Task 8: What is Mary carrying? A list in the order in which she first had each thing in hand, or "nothing"."""
    world = World(rng, ACTORS, ("move", "take", "put"))

    def about(actor: str) -> Asked:
        facts: dict[str, list[Fact]] = {}
        for event in world.touched[actor]:
            facts.setdefault(event.thing, []).append(event.fact)
        held = [thing for thing in facts if world.holder.get(thing) == actor]
        support = tuple(fact for one in facts.values() for fact in one)
        return Asked(f"What is {actor} carrying?", ",".join(held) or "nothing", support)

    return _carrying(world, about)


def _carrying(world: World, about: Callable[[str], Asked]) -> Iterator[Line]:
    """A story with questions about people who have just had something in hand."""

    def ask() -> Asked | None:
        hands = [event.actor for event in world.recent if event.thing]
        return about(pick(world.rng, hands)) if hands else None

    return paced(world.two, ask)
