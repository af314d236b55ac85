"""Tasks 15 and 16: what an animal fears, by its kind, and which colour it has, by others of its kind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lifelong.streams.babi.simulate.script import Asked, Fact, Line, pick, shuffled
from lifelong.streams.babi.simulate.words import COLOURS, SPECIES

__all__ = ["deduction", "induction"]

NAMES = ("Gertrude", "Winona", "Jessica", "Emily")
PETS = ("Lily", "Bernhard", "Brian", "Julius", "Greg")
KINDS = ("frog", "lion", "rhino", "swan")


def deduction(rng: np.random.Generator) -> Iterator[Line]:
    """Task 15: What is gertrude afraid of? Every kind fears another kind, and nobody is of a kind of which that was not
    told before; four of the names are asked for.
    """
    is_a: dict[str, Fact] = {}
    kinds: dict[str, str] = {}
    fears: dict[str, str] = {}
    afraid: dict[str, Fact] = {}
    names = iter(shuffled(rng, NAMES))
    while len(is_a) < len(NAMES) or len(afraid) < len(SPECIES):
        kind = pick(rng, tuple(SPECIES))
        if kind not in afraid:
            fears[kind] = pick(rng, [other for other in SPECIES if other != kind])
            afraid[kind] = Fact(f"{SPECIES[kind].capitalize()} are afraid of {SPECIES[fears[kind]]}.")
            yield afraid[kind]
        elif (name := next(names, None)) is not None:
            kinds[name] = kind
            is_a[name] = Fact(f"{name} is a {kind}.")
            yield is_a[name]
    for _ in NAMES:
        name = pick(rng, NAMES)
        kind = kinds[name]
        yield Asked(f"What is {name.lower()} afraid of?", fears[kind], (is_a[name], afraid[kind]))


def induction(rng: np.random.Generator) -> Iterator[Line]:
    """Task 16: What color is Greg? The colour of the other of his kind that was last said to be of it.

    As in the official files, one kind can have two colours: those whose kind is told before the first colour of that
    kind share it, and those who come later have one of their own.
    """
    while not (story := _induction(rng)):
        pass
    return iter(story)


def _induction(rng: np.random.Generator) -> list[Line]:
    """A story, or nothing where others of the kind of the one without a colour are not as many as they should be."""
    kinds: dict[str, str] = {}
    colours: dict[str, str] = {}
    shared: dict[str, str] = {}  # kind → the colour that was drawn for it and not yet told
    is_a: dict[str, Fact] = {}
    is_of: dict[str, Fact] = {}
    told: list[Line] = []
    while len(told) < 2 * len(PETS) - 1:
        name = pick(rng, [one for one in PETS if one not in is_of])
        if name not in kinds:
            kind = kinds[name] = pick(rng, KINDS)
            colours[name] = shared.setdefault(kind, pick(rng, COLOURS))
            is_a[name] = Fact(f"{name} is a {kind}.")
            told.append(is_a[name])
        else:
            shared.pop(kinds[name], None)
            is_of[name] = Fact(f"{name} is {colours[name]}.")
            told.append(is_of[name])
    [asked] = set(PETS) - set(is_of)
    others = [one for one in kinds if kinds[one] == kinds[asked] and one != asked]
    if len(others) in (0, 2):  # none cannot be answered; two are in no official story
        return []
    last = others[-1]
    support = (is_a[asked], is_a[last], is_of[last])
    return [*told, Asked(f"What color is {asked}?", colours[last], support)]
