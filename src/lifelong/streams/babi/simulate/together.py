"""Tasks 11, 12 and 13: "she", "Mary and John", and "they"."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lifelong.streams.babi.simulate.script import RECENT, Asked, Fact, Line, paced, pick, shuffled
from lifelong.streams.babi.simulate.words import ACTORS, HOUSE, MOVING

__all__ = ["basic_coreference", "compound_coreference", "conjunction"]

PRONOUNS = {"Mary": "she", "Sandra": "she", "John": "he", "Daniel": "he"}
ADVERBS = ("After that", "Afterwards", "Following that", "Then")


def basic_coreference(rng: np.random.Generator) -> Iterator[Line]:
    """Task 11: Mary went here. Then she went there. Where is Mary? Both sentences support the answer."""
    return _story(rng, actors=1, pronoun=True)


def conjunction(rng: np.random.Generator) -> Iterator[Line]:
    """Task 12: Mary and John went there. Where is John? The last sentence with his name supports the answer."""
    return _story(rng, actors=2, pronoun=False)


def compound_coreference(rng: np.random.Generator) -> Iterator[Line]:
    """Task 13: Mary and John went here. Then they went there. Where is Mary? Both sentences support the answer."""
    return _story(rng, actors=2, pronoun=True)


def _story(rng: np.random.Generator, actors: int, pronoun: bool) -> Iterator[Line]:
    """Moves of `actors` people at a time, each followed by one with a `pronoun` or by one of other people."""
    place: dict[str, str] = {}
    support: dict[str, tuple[Fact, ...]] = {}
    moved: list[str] = []  # a name for each move of each person

    def move(names: list[str], subject: str, before: tuple[Fact, ...] = ()) -> Fact:
        there = pick(rng, [one for one in HOUSE if one not in {place.get(name) for name in names}])
        fact = Fact(f"{subject} {pick(rng, MOVING)} the {there}.")
        for name in names:
            place[name], support[name] = there, (*before, fact)
        moved.extend(names)
        return fact

    def some() -> list[str]:
        return shuffled(rng, ACTORS)[:actors]

    def tell() -> list[Fact]:
        names = some()
        first = move(names, " and ".join(names))
        if not pronoun:
            others = some()
            return [first, move(others, " and ".join(others))]
        they = PRONOUNS[names[0]] if actors == 1 else "they"
        return [first, move(names, f"{pick(rng, ADVERBS)} {they}", (first,))]

    def ask() -> Asked:
        name = pick(rng, moved[-RECENT:])
        return Asked(f"Where is {name}?", place[name], support[name])

    return paced(tell, ask)
