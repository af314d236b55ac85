"""A little world of people who move, take, put down and give things, and what has been told of it.

A story starts in the middle of things: people and things have places that no sentence has told yet. So somebody may
take the milk before anybody knows where. All randomness comes from the generator given.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lifelong.streams.babi.simulate.script import RECENT, Fact, pick
from lifelong.streams.babi.simulate.words import GIVING, HOUSE, MOVING, PUTTING, TAKING, THINGS

__all__ = ["Event", "Verb", "World"]

Verb = Literal["move", "take", "put", "give"]


@dataclass(frozen=True, eq=False)
class Event:
    """Something that was told: who did what, with which thing, where to or to whom.

    `came` is the move that brought the actor to where this happened, or `None` if the story has not told it.
    """

    fact: Fact
    verb: Verb
    actor: str
    came: Event | None
    place: str = ""
    thing: str = ""
    receiver: str = ""


@dataclass
class World:
    """Where everybody and everything is, and what was told.

    Arguments: `rng`; `actors`; `verbs`, what they do, a verb named twice being tried twice as often; `there`, how often
    "there" ends the sentence when a thing is taken.

    >>> world = World(np.random.default_rng(4), ("Mary", "John"), ("move", "take", "put"))
    >>> [fact.text for fact in world.two()]
    ['Mary took the apple there.', 'John moved to the garden.']
    """

    rng: np.random.Generator
    actors: tuple[str, ...]
    verbs: tuple[Verb, ...]
    there: float = 1.0
    recent: deque[Event] = field(default_factory=lambda: deque(maxlen=RECENT))
    """the last events: questions are about these"""
    arrival: dict[str, Event] = field(default_factory=dict)
    """actor → the last move of theirs that was told"""
    last: dict[str, Event] = field(default_factory=dict)
    """thing → the last event with it"""
    journey: dict[str, list[Event]] = field(default_factory=dict)
    """thing → the moves of its last holder with it in hand"""
    touched: dict[str, list[Event]] = field(default_factory=dict)
    """actor → every event with a thing that they took, put down, gave or received"""
    holder: dict[str, str] = field(default_factory=dict)
    """thing → who has it in hand"""
    place: dict[str, str] = field(init=False)
    """actor, or thing that nobody holds → place, told or not"""

    def __post_init__(self) -> None:
        """Everybody and everything starts somewhere."""
        self.place = {one: pick(self.rng, HOUSE) for one in (*self.actors, *THINGS)}

    def carried(self, actor: str) -> list[str]:
        """What somebody has in hand."""
        return [thing for thing, who in self.holder.items() if who == actor]

    def two(self) -> list[Fact]:
        """Two things happen and are told."""
        return [self._step().fact, self._step().fact]

    def _step(self) -> Event:
        """Somebody tries something, until it is something that they can do."""
        event = None
        while event is None:
            event = self._try(pick(self.rng, self.actors), pick(self.rng, self.verbs))
        self.recent.append(event)
        if event.verb == "move":
            self.arrival[event.actor] = event
            for thing in self.carried(event.actor):
                self.journey[thing].append(event)
        else:
            self.last[event.thing] = event
            self.touched.setdefault(event.actor, []).append(event)
        return event

    def _try(self, actor: str, verb: Verb) -> Event | None:
        match verb:
            case "move":
                return self._move(actor)
            case "take":
                return self._take(actor)
            case "put":
                return self._put(actor)
            case "give":
                return self._give(actor)

    def _move(self, actor: str) -> Event | None:
        place = pick(self.rng, HOUSE)
        if place == self.place[actor]:
            return None
        self.place[actor] = place
        fact = Fact(f"{actor} {pick(self.rng, MOVING)} the {place}.")
        return Event(fact, "move", actor, self.arrival.get(actor), place=place)

    def _take(self, actor: str) -> Event | None:
        here = self.place[actor]
        lying = [thing for thing in THINGS if thing not in self.holder and self.place[thing] == here]
        if not lying:
            return None
        thing = pick(self.rng, lying)
        self._hand(thing, actor)
        fact = Fact(f"{actor} {pick(self.rng, TAKING)} the {thing}{self._there(self.there)}.")
        return Event(fact, "take", actor, self.arrival.get(actor), thing=thing)

    def _put(self, actor: str) -> Event | None:
        if not (carried := self.carried(actor)):
            return None
        thing = pick(self.rng, carried)
        del self.holder[thing]
        self.place[thing] = self.place[actor]
        fact = Fact(f"{actor} {pick(self.rng, PUTTING)} the {thing}{self._there(0.2)}.")
        return Event(fact, "put", actor, self.arrival.get(actor), thing=thing)

    def _give(self, actor: str) -> Event | None:
        beside = [one for one in self.actors if one != actor and self.place[one] == self.place[actor]]
        if not beside or not (carried := self.carried(actor)):
            return None
        thing, receiver = pick(self.rng, carried), pick(self.rng, beside)
        self._hand(thing, receiver)
        fact = Fact(f"{actor} {pick(self.rng, GIVING)} the {thing} to {receiver}.")
        event = Event(fact, "give", actor, self.arrival.get(actor), thing=thing, receiver=receiver)
        self.touched.setdefault(receiver, []).append(event)
        return event

    def _hand(self, thing: str, actor: str) -> None:
        self.holder[thing] = actor
        self.journey[thing] = []

    def _there(self, often: float) -> str:
        return " there" if self.rng.random() < often else ""
