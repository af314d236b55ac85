"""Tasks 9 and 10: what is denied, and what is only known to be one of two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lifelong.streams.babi.simulate.script import RECENT, Asked, Fact, Line, paced, pick
from lifelong.streams.babi.simulate.words import ACTORS, CROWD, HOUSE, MOVING, TOWN

__all__ = ["indefinite", "negation"]


@dataclass(frozen=True, eq=False)
class _Claim:
    """What was last said of somebody: the places that a sentence names, and what it makes of them."""

    fact: Fact
    actor: str
    places: tuple[str, ...]
    answer: str


def negation(rng: np.random.Generator) -> Iterator[Line]:
    """Task 9: Is Mary in the garden? Half of the sentences are moves, a quarter says where somebody is, and a quarter
    that somebody is not, or no longer, in a place; then the question names that place.
    """

    def state(actor: str, here: str, there: str) -> _Claim:
        if rng.random() < 0.5:
            return _Claim(Fact(f"{actor} is in the {there}."), actor, (there,), "yes")
        not_ = pick(rng, ("not", "no longer"))
        return _Claim(Fact(f"{actor} is {not_} in the {here}."), actor, (here,), "no")

    return _story(rng, ACTORS, HOUSE, state, yes=0.5)


def indefinite(rng: np.random.Generator) -> Iterator[Line]:
    """Task 10: Is Mary in the park? Half of the sentences are moves, a quarter says where somebody is, and a quarter
    that somebody is in one of two places; then the answer is "maybe" for both of these.
    """

    def state(actor: str, here: str, there: str) -> _Claim:
        if rng.random() < 0.5:
            return _Claim(Fact(f"{actor} is in the {there}."), actor, (there,), "yes")
        places = (there, pick(rng, [place for place in TOWN if place != there]))
        first, second = places if rng.random() < 0.5 else places[::-1]
        text = f"{actor} is either in the {first} or the {second}."
        return _Claim(Fact(text), actor, places, "maybe")

    return _story(rng, CROWD, TOWN, state, yes=0.55)


def _story(
    rng: np.random.Generator,
    actors: tuple[str, ...],
    places: tuple[str, ...],
    state: Callable[[str, str, str], _Claim],
    yes: float,
) -> Iterator[Line]:
    """A story in which moves and statements are as likely; `yes` of the questions name a place that was named."""
    place = {actor: pick(rng, places) for actor in actors}
    claims: list[_Claim] = []
    last: dict[str, _Claim] = {}

    def step() -> Fact:
        actor = pick(rng, actors)
        here = place[actor]
        there = pick(rng, [one for one in places if one != here])
        if rng.random() < 0.5:
            claim = _Claim(Fact(f"{actor} {pick(rng, MOVING)} the {there}."), actor, (there,), "yes")
        else:
            claim = state(actor, here, there)
        place[actor], last[actor] = there, claim
        claims.append(claim)
        return claim.fact

    def ask() -> Asked:
        claim = last[pick(rng, claims[-RECENT:]).actor]
        # of other places a denial says nothing
        if claim.answer == "no" or rng.random() < yes:
            asked, answer = pick(rng, claim.places), claim.answer
        else:
            asked, answer = pick(rng, [one for one in places if one not in claim.places]), "no"
        return Asked(f"Is {claim.actor} in the {asked}?", answer, (claim.fact,))

    return paced(lambda: [step(), step()], ask)
