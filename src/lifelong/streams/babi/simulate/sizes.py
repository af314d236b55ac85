"""Task 18: which box is bigger, and which fits in which."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lifelong.streams.babi.simulate.script import QUESTIONS, RECENT, Asked, Fact, Line, pick, shuffled

__all__ = ["sizes"]

SMALL = ("chocolate", "box of chocolates")
BIG = ("box", "chest", "container", "suitcase")

_Told = tuple[str, str, Fact]  # bigger, smaller, the sentence


def sizes(rng: np.random.Generator) -> Iterator[Line]:
    """Task 18: Does the chocolate fit in the chest? Five facts, and five more where no two of them make a chain; then
    five questions about the ends of chains of two. The facts of what is asked to be bigger come first.
    """
    order = (*SMALL, *shuffled(rng, BIG))
    told: list[_Told] = []
    while not (asked := _asked(told)):
        block = [_fact(rng, order) for _ in range(5)]
        told += block
        yield from (fact for _, _, fact in block)
    for _ in range(QUESTIONS):
        one, other, answer, support = pick(rng, asked)
        text = pick(rng, (f"Is the {one} bigger than the {other}?", f"Does the {other} fit in the {one}?"))
        yield Asked(text, answer, support)


def _fact(rng: np.random.Generator, order: tuple[str, ...]) -> _Told:
    """One of two things in the `order` of their size, told in one of two ways."""
    small, big = sorted(shuffled(rng, order)[:2], key=order.index)
    return (
        big,
        small,
        Fact(pick(rng, (f"The {big} is bigger than the {small}.", f"The {small} fits inside the {big}."))),
    )


def _asked(told: list[_Told]) -> list[tuple[str, str, str, tuple[Fact, Fact]]]:
    """What can be asked about one of the last facts: which is bigger than which, the answer, and the two facts.

    The second fact is the first that was told of those which make a chain with the first one.
    """
    found: list[tuple[str, str, str, tuple[Fact, Fact]]] = []
    for big, small, fact in told[-RECENT:]:
        less = next(((smaller, other) for bigger, smaller, other in told if bigger == small), None)
        more = next(((bigger, other) for bigger, smaller, other in told if smaller == big), None)
        if less is not None:
            found.append((big, less[0], "yes", (fact, less[1])))
        if more is not None:
            found.append((small, more[0], "no", (fact, more[1])))
    return found
