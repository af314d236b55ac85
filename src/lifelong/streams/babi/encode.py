"""Questions and their stories as numbers: one row of words per sentence, one class per answer.

The words and the answers are closed lists, the same for every task, for the official files and for the simulator, so
that what is learned from one can be asked about the other. A list of things is one answer, and its order matters.

Suffixes: N questions, S sentences, W words, R different sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lifelong.errors import DataError, require
from lifelong.streams.babi.simulate import ANSWERS, NAMES, WORDS
from lifelong.streams.babi.text import Question

__all__ = ["WIDTH", "Story", "decode_story", "encode", "split"]

#: words in the longest sentence
WIDTH = 12

NUMBER = {word: number for number, word in enumerate(WORDS, start=1)}
CLASS = {answer: number for number, answer in enumerate(ANSWERS)}


def split(text: str) -> list[str]:
    """The words of a sentence or question, in lower case.

    >>> split("Where is Mary?")
    ['where', 'is', 'mary']
    """
    return text.rstrip(".?").lower().split()


def encode(questions: Sequence[Question], sentences: int, place: str) -> tuple[Tensor, Tensor]:
    """`questions` as x (N, S + 1, W) of bytes and y (N,) of classes; `place` names their file in errors.

    Row 0 of an x is the question, row i the i-th newest of the last S = `sentences` sentences before it; what is older
    is forgotten. A number is the place of a word in `WORDS`, from 1; 0 is none. A class is a place in `ANSWERS`.

    Raises: `DataError` that names the line, for a word or an answer that is in no list, or a sentence that is too long.

    >>> from lifelong.streams.babi.text import parse
    >>> story = "1 Mary moved to the office.\\n2 John is in the park.\\n3 Where is Mary?\\toffice\\t1\\n"
    >>> x, y = encode(parse(story, "example"), sentences=50, place="example")
    >>> [" ".join(WORDS[number - 1] for number in row if number) for row in x[0, :4].tolist()], ANSWERS[y[0]]
    (['where is mary', 'john is in the park', 'mary moved to the office', ''], 'office')
    """
    rows: dict[str, int] = {"": 0}
    table_RW = [[0] * WIDTH]
    index_NS: list[list[int]] = []
    classes: list[int] = []
    for asked in questions:
        told = list(zip(asked.story, asked.numbers, strict=True))[: -sentences - 1 : -1]
        places: list[int] = []
        for text, line in ((asked.question, asked.number), *told):
            if text not in rows:
                table_RW.append(_row(text, f"{place}:{asked.line(line)}"))
                rows[text] = len(rows)
            places.append(rows[text])
        index_NS.append(places + [0] * (sentences + 1 - len(places)))
        if asked.answer not in CLASS:
            raise DataError(
                f"{place}:{asked.line(asked.number)}: unknown answer {asked.answer!r}; expected one of the "
                f"{len(ANSWERS)} of the bAbI tasks in English, as 'yes', the list 'apple,milk' or the path 'n,e'"
            )
        classes.append(CLASS[asked.answer])
    return torch.tensor(table_RW, dtype=torch.uint8)[torch.tensor(index_NS)], torch.tensor(classes)


class Story(NamedTuple):
    """A question and the sentences before it, oldest first, as people read them."""

    sentences: tuple[str, ...]
    question: str


def decode_story(x_SW: Tensor) -> Story:
    """The words of one input of the bAbI tasks: the inverse of `encode`.

    The answers are words already: `task.class_names[y]`.

    Args:
        x_SW: Numbers of words, a row per sentence: the question, then the sentences from the newest to the oldest.

    Raises:
        SettingError: The shape is no story's, or a number is no word's.

    Example:
        >>> from lifelong import stream
        >>> task = stream("babi", questions=10).task(1)
        >>> story = decode_story(task.test.x[0])
        >>> story.sentences[0], story.question
        ('John went back to the kitchen.', 'Where is John?')
    """
    require(x_SW.ndim == 2 and len(x_SW) > 0, f"expected one story (sentences, words), got shape {tuple(x_SW.shape)}")
    low, high = int(x_SW.min()), int(x_SW.max())
    require(low >= 0 and high <= len(WORDS), f"expected numbers of words, 0 to {len(WORDS)}, got {low} … {high}")
    question, *newest_first = (_sentence([WORDS[number - 1] for number in row if number]) for row in x_SW.tolist())
    return Story(tuple(f"{sentence}." for sentence in reversed(newest_first) if sentence), f"{question}?")


def _sentence(words: Sequence[str]) -> str:
    """Words with capitals where they belong."""
    return " ".join(word.capitalize() if place == 0 or word in NAMES else word for place, word in enumerate(words))


def _row(text: str, where: str) -> list[int]:
    words = split(text)
    for word in words:
        if word not in NUMBER:
            raise DataError(
                f"{where}: unknown word {word!r} in {text!r}; expected the {len(WORDS)} words of the bAbI tasks in "
                "English (en or en-10k, version 1.2)"
            )
    if len(words) > WIDTH:
        raise DataError(f"{where}: expected at most {WIDTH} words in a sentence, got {len(words)}: {text!r}")
    return [NUMBER[word] for word in words] + [0] * (WIDTH - len(words))
