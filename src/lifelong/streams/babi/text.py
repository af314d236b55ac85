"""The text format of the bAbI tasks: stories in numbered lines, with a question after every few sentences.

    1 Mary moved to the bathroom.
    2 John went to the hallway.
    3 Where is Mary?<tab>bathroom<tab>1

Numbers count the lines of a story from 1; where they start again, a new story begins. A question has its answer (a
list joined by commas) and its supporting facts (the numbers of the sentences that it needs) behind tabs.

Reference: Weston et al. 2016, Towards AI-Complete Question Answering: A Set of Prerequisite Toy Tasks
(arXiv:1502.05698), and the README of its data, version 1.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lifelong.errors import DataError

__all__ = ["Question", "parse", "read"]

LINE = re.compile(r"([1-9][0-9]*) (\S.*)", re.ASCII)


@dataclass(frozen=True)
class Question:
    """A question and all that was told before it in its story.

    Fields: `story`, the sentences before the question, oldest first; `numbers`, their line numbers in the story;
    `question`; `answer`, a list joined by commas; `support`, line numbers of the sentences that the answer needs;
    `number`, the question's own line number; `start`, the line of the file on which its story begins.
    """

    story: tuple[str, ...]
    numbers: tuple[int, ...]
    question: str
    answer: str
    support: tuple[int, ...]
    number: int
    start: int

    def line(self, number: int) -> int:
        """The line of the file that has this number in the story."""
        return self.start + number - 1


def parse(text: str, place: str) -> list[Question]:
    """The questions of a text in the bAbI format, in their order; `place` names the text in errors.

    Raises: `DataError` that names the line, for anything that is not in the format: a missing or wrong line number, a
        missing tab, a question without an answer, a supporting fact that is no earlier sentence of the story.

    >>> [one] = parse("1 Mary moved to the bathroom.\\n2 Where is Mary? \\tbathroom\\t1\\n", "example")
    >>> one.story, one.question, one.answer, one.support
    (('Mary moved to the bathroom.',), 'Where is Mary?', 'bathroom', (1,))
    >>> parse("1 Mary moved to the bathroom.\\n2 Where is Mary? bathroom 1\\n", "example")
    Traceback (most recent call last):
    lifelong.errors.DataError: example:2: expected a sentence that ends with a full stop, or a question with its answer
    and its supporting facts behind tabs, got 'Where is Mary? bathroom 1'
    """
    questions: list[Question] = []
    told: dict[int, str] = {}
    start = previous = 0
    for line, row in enumerate(text.removesuffix("\n").split("\n"), start=1):
        where = f"{place}:{line}"
        found = LINE.fullmatch(row)
        if found is None:
            raise DataError(f"{where}: expected a line number, one space and a text, got {row[:80]!r}")
        number, fields = int(found[1]), found[2].split("\t")
        if number == 1:
            start = line
            told.clear()
        elif number != previous + 1:
            raise DataError(f"{where}: expected the line number {previous + 1}, or 1 for a new story, got {number}")
        previous = number
        if len(fields) > 1:
            question, answer, support = _asked(fields, told, where)
            questions.append(Question(tuple(told.values()), tuple(told), question, answer, support, number, start))
        elif row.endswith("."):
            told[number] = fields[0]
        else:
            raise DataError(
                f"{where}: expected a sentence that ends with a full stop, or a question with its answer and its "
                f"supporting facts behind tabs, got {fields[0][:80]!r}"
            )
    if not questions:
        raise DataError(f"{place} asks nothing: expected at least one question with its answer behind a tab")
    return questions


def _asked(fields: list[str], told: Mapping[int, str], where: str) -> tuple[str, str, tuple[int, ...]]:
    """The question, its answer and its supporting facts, from the fields between the tabs."""
    if len(fields) != 3:
        raise DataError(
            f"{where}: expected question, answer and supporting facts with two tabs between them, got {len(fields)} "
            f"fields: {fields}"
        )
    question, answer = fields[0].strip(), fields[1].strip()
    if not question.endswith("?"):
        raise DataError(f"{where}: expected a question that ends with a question mark, got {question!r}")
    if not all(answer.split(",")):
        raise DataError(f"{where}: expected an answer, a list joined by commas, got {answer!r}")
    support: list[int] = []
    for cell in fields[2].split():
        number = int(cell) if cell.isascii() and cell.isdigit() else 0
        if number not in told:
            raise DataError(
                f"{where}: expected supporting facts that are earlier sentences of the story ("
                f"{', '.join(map(str, told)) or 'it has none yet'}), got {cell!r}"
            )
        support.append(number)
    if not support:
        raise DataError(f"{where}: expected the number of at least one supporting fact behind the answer, got none")
    return question, answer, tuple(support)


def read(path: Path) -> list[Question]:
    """The questions of a file; see `parse`."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}; fetch it again or replace it") from error
    return parse(text, str(path))
