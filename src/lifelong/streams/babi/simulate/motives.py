"""Task 20: where a need sends somebody, and why somebody went there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lifelong.streams.babi.simulate.script import Asked, Fact, Line, pick
from lifelong.streams.babi.simulate.words import MOVING, NEEDS, TAKING

__all__ = ["motivations"]

NAMES = ("Sumit", "Yann", "Jason", "Antoine")


def motivations(rng: np.random.Generator) -> Iterator[Line]:
    """Task 20: Where will jason go? Why did jason get the milk? Everybody has a need, goes where it sends them and gets
    what is there, if nobody got it before; each is asked about at once, and supported by the sentence of the need.
    """
    needs = {name: pick(rng, tuple(NEEDS)) for name in NAMES}
    facts: dict[str, Fact] = {}
    moved: set[str] = set()
    got: set[str] = set()  # needs whose thing is taken
    while names := [one for one in NAMES if one not in moved or needs[one] not in got]:
        name = pick(rng, names)
        need, who = needs[name], name.lower()
        place, thing = NEEDS[need]
        if name not in facts:
            yield (fact := Fact(f"{name} is {need}."))
            facts[name] = fact
            yield Asked(f"Where will {who} go?", place, (fact,))
        elif name not in moved:
            moved.add(name)
            yield Fact(f"{name} {pick(rng, MOVING)} the {place}.")
            yield Asked(f"Why did {who} go to the {place}?", need, (facts[name],))
        else:
            got.add(need)
            yield Fact(f"{name} {pick(rng, TAKING)} the {thing} there.")
            yield Asked(f"Why did {who} get the {thing}?", need, (facts[name],))
