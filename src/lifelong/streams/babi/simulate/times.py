"""Task 14: where somebody was before, told by times of day and not in their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lifelong.streams.babi.simulate.script import QUESTIONS, RECENT, Asked, Fact, Line, pick
from lifelong.streams.babi.simulate.words import CROWD, MOVING, TOWN

__all__ = ["time_reasoning"]

TIMES = ("yesterday", "this morning", "this afternoon", "this evening")


@dataclass(frozen=True, eq=False)
class _Visit:
    fact: Fact
    actor: str
    place: str


def time_reasoning(rng: np.random.Generator) -> Iterator[Line]:
    """Task 14: Where was Julie before the school? Everybody moves once at each time; what is told between two questions
    is told in another order. "Before the school" means before the last time there.
    """
    visits: dict[str, list[_Visit]] = {actor: [] for actor in CROWD}
    moves: list[_Visit] = []
    told = asked = 0
    while asked < QUESTIONS:
        moves += [_visit(rng, visits), _visit(rng, visits)]
        known = [move for move in moves[-RECENT:] if _is_last_after_another(move, visits[move.actor])]
        if not known:
            continue
        yield from _displaced(rng, [move.fact for move in moves[told:]])
        move = pick(rng, known)
        mine = visits[move.actor]
        before = mine[mine.index(move) - 1]
        yield Asked(f"Where was {move.actor} before the {move.place}?", before.place, (move.fact, before.fact))
        told, asked = len(moves), asked + 1


def _visit(rng: np.random.Generator, visits: dict[str, list[_Visit]]) -> _Visit:
    """Somebody goes elsewhere, at the time after their last one."""
    actor = pick(rng, [one for one in CROWD if len(visits[one]) < len(TIMES)])
    mine = visits[actor]
    place = pick(rng, [one for one in TOWN if not mine or one != mine[-1].place])
    when, move = TIMES[len(mine)], f"{actor} {pick(rng, MOVING)} the {place}"
    text = f"{move} {when}." if rng.random() < 0.5 else f"{when.capitalize()} {move}."
    mine.append(_Visit(Fact(text), actor, place))
    return mine[-1]


def _displaced(rng: np.random.Generator, facts: list[Fact]) -> list[Fact]:
    """The facts in another order, in which none keeps its place: a single cycle (Sattolo 1986)."""
    for end in range(len(facts) - 1, 0, -1):
        other = pick(rng, range(end))
        facts[end], facts[other] = facts[other], facts[end]
    return facts


def _is_last_after_another(move: _Visit, mine: list[_Visit]) -> bool:
    at = mine.index(move)
    return at > 0 and all(later.place != move.place for later in mine[at + 1 :])
