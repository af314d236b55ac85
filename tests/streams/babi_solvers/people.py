"""Tasks 1–3, 6 and 11–13: where people and things are, were, and what "she" and "they" mean."""

from __future__ import annotations

from functools import cache

from lifelong.streams.babi.text import Question

from .words import MOVED, PUT, TOOK, words

__all__ = ["is_there", "where_is", "where_was"]

PRONOUNS = frozenset({"he", "she", "they"})
NO_NAMES = PRONOUNS | {"and", "after", "that", "following", "then", "afterwards"}


@cache
def _read(sentence: str) -> tuple[str, tuple[str, ...], str]:
    """What somebody does, the names of who does it (none for a pronoun), and the place or thing at the end."""
    said = words(sentence)
    at = next(n for n, word in enumerate(said) if word in MOVED | TOOK | PUT)
    names = tuple(word for word in said[:at] if word not in NO_NAMES)
    assert names or PRONOUNS & set(said[:at]), sentence
    return said[at], names, said[-2] if said[-1] == "there" else said[-1]


def _journeys(story: tuple[str, ...]) -> dict[str, list[str]]:
    """Everybody's and everything's places in the order in which they got there."""
    places: dict[str, list[str]] = {}
    holder: dict[str, str] = {}
    mentioned: tuple[str, ...] = ()
    for verb, names, end in map(_read, story):
        mentioned = names or mentioned
        if verb in MOVED:
            for one in mentioned:
                _arrive(places, one, end)
            for thing, who in holder.items():
                if who in mentioned:
                    _arrive(places, thing, end)
            continue
        [who] = mentioned
        if verb in TOOK:
            holder[end] = who
        else:
            holder.pop(end, None)  # alone, the supporting sentences do not tell who took it
        if who in places:
            _arrive(places, end, places[who][-1])
    return places


def _arrive(places: dict[str, list[str]], one: str, place: str) -> None:
    visited = places.setdefault(one, [])
    if not visited or visited[-1] != place:
        visited.append(place)


def where_is(question: Question) -> str:
    """Where is Mary? Where is the apple?"""
    return _journeys(question.story)[words(question.question)[-1]][-1]


def is_there(question: Question) -> str:
    """Is Mary in the garden?"""
    _, who, *_, place = words(question.question)
    return "yes" if _journeys(question.story)[who][-1] == place else "no"


def where_was(question: Question) -> str:
    """Where was the apple before the garden? Before it came there last, that is."""
    *_, thing, _, _, place = words(question.question)
    visited = _journeys(question.story)[thing]
    last = max(n for n, one in enumerate(visited) if one == place)
    return visited[last - 1]
