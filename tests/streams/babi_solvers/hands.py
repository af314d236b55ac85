"""Tasks 5, 7 and 8: who gave what to whom, and what somebody carries."""

from __future__ import annotations

from lifelong.streams.babi.text import Question

from .words import GAVE, TOOK, words

__all__ = ["count", "gift", "inventory"]

NUMBERS = ("none", "one", "two", "three")
THINGS = frozenset({"football", "apple", "milk"})


def gift(question: Question) -> str:
    """The giver, the thing or the receiver of the last gift that fits the question."""
    asked = words(question.question)
    for sentence in reversed(question.story):
        giver, verb, *rest = words(sentence)
        if verb not in GAVE:
            continue
        thing, receiver = rest[1], rest[3]
        match asked:
            case ("what", "did", a, "give", "to", b) if (a, b) == (giver, receiver):
                return thing
            case ("who", "did", a, "give", "the", what, "to") if (a, what) == (giver, thing):
                return receiver.capitalize()
            case ("who", "gave", "the", what) if what == thing:
                return giver.capitalize()
            case ("who", "gave", "the", what, "to", b) if (what, b) == (thing, receiver):
                return giver.capitalize()
            case ("who", "received", "the", what) if what == thing:
                return receiver.capitalize()
    raise AssertionError(f"nothing in the story answers {question.question!r}")


def _carried(question: Question) -> list[str]:
    """What the one who is asked about has in hand; what they ever had first comes first."""
    who = words(question.question)[-2]
    held: dict[str, bool] = {}
    for said in map(words, question.story):
        thing = next((word for word in said if word in THINGS), "")
        receives = said[1] in GAVE and said[-1] == who
        if thing and (said[0] == who or receives):
            held[thing] = receives or said[1] in TOOK
    return [thing for thing, still in held.items() if still]


def count(question: Question) -> str:
    """How many objects is Mary carrying?"""
    return NUMBERS[len(_carried(question))]


def inventory(question: Question) -> str:
    """What is Mary carrying?"""
    return ",".join(_carried(question)) or "nothing"
