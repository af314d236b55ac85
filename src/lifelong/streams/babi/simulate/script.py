"""What every simulated story is made of: facts that are told, and questions that point at the facts they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

__all__ = ["QUESTIONS", "RECENT", "Asked", "Fact", "Line", "paced", "pick", "shuffled", "write"]

QUESTIONS = 5
"""Questions in a story of people who move about."""

RECENT = 5
"""Questions there are about one of this many last events, as in the official files."""

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Fact:
    """A sentence of a story; two that say the same are still two facts."""

    text: str


@dataclass(frozen=True)
class Asked:
    """A question, its answer, and the facts that the answer needs, in the order in which the file names them."""

    text: str
    answer: str
    support: tuple[Fact, ...]


Line = Fact | Asked


def pick(rng: np.random.Generator, items: Sequence[Item]) -> Item:
    """One of the items, each as likely.

    >>> pick(np.random.default_rng(0), ["garden"])
    'garden'
    """
    return items[int(rng.random() * len(items))]  # ten times as fast as rng.integers


def shuffled(rng: np.random.Generator, items: Iterable[Item]) -> list[Item]:
    """The items in an order by chance.

    >>> sorted(shuffled(np.random.default_rng(0), "abc"))
    ['a', 'b', 'c']
    """
    return sorted(items, key=lambda _: rng.random())


def paced(tell: Callable[[], Iterable[Fact]], ask: Callable[[], Asked | None]) -> Iterator[Line]:
    """Two sentences and a question, until there are enough questions; two more sentences where none can be asked.

    >>> facts = iter("abcdefghijkl")
    >>> lines = paced(lambda: [Fact(next(facts)), Fact(next(facts))], lambda: Asked("What?", "it", ()))
    >>> "".join(line.text[0] for line in lines)
    'abWcdWefWghWijW'
    """
    asked = 0
    while asked < QUESTIONS:
        yield from tell()
        question = ask()
        if question is not None:
            yield question
            asked += 1


def write(stories: Iterable[Iterable[Line]], questions: int, space: bool) -> str:
    """The lines as text in the official format; the last story ends with the last question that was asked for.

    `space`: whether a space stands between question and tab, as it does in the official files of people who move about.

    >>> went = Fact("Mary went to the garden.")
    >>> write([[went, Asked("Where is Mary?", "garden", (went,))]], questions=1, space=True)
    '1 Mary went to the garden.\\n2 Where is Mary? \\tgarden\\t1\\n'
    """
    end = " \t" if space else "\t"
    return "".join(islice(_pieces(stories, end), questions))


def _pieces(stories: Iterable[Iterable[Line]], end: str) -> Iterator[str]:
    """Each piece is a question and what was told since the question before it."""
    for story in stories:
        numbers: dict[Fact, int] = {}
        rows: list[str] = []
        for number, line in enumerate(story, start=1):
            if isinstance(line, Fact):
                numbers[line] = number
                rows.append(f"{number} {line.text}\n")
            else:
                support = " ".join(str(numbers[fact]) for fact in line.support)
                rows.append(f"{number} {line.text}{end}{line.answer}\t{support}\n")
                yield "".join(rows)
                rows.clear()
