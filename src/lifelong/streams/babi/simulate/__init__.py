"""All twenty bAbI tasks told anew, as many questions as asked for, with no file to download.

The simulator prints the format of the official files, version 1.2, with their sentences, words, answers and supporting
facts; how stories run (how long, what is asked, how often) was measured on those files.

Reference: Weston et al. 2016, Towards AI-Complete Question Answering: A Set of Prerequisite Toy Tasks
(arXiv:1502.05698), tables 1 and 2. Deviations from its files: task 5 asks nothing that two gifts answer, see
`hands.gift`; task 18 tells all its facts before its questions, and asks about each of the last facts as often; the six
places of task 19 lie on six points of the grid, where one file story of 14 has two on the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from lifelong.errors import require
from lifelong.streams.babi.simulate.animals import deduction, induction
from lifelong.streams.babi.simulate.certainty import indefinite, negation
from lifelong.streams.babi.simulate.hands import gift, how_many, what_carried
from lifelong.streams.babi.simulate.motives import motivations
from lifelong.streams.babi.simulate.routes import path_finding, two_arguments
from lifelong.streams.babi.simulate.script import Line, write
from lifelong.streams.babi.simulate.shapes import positions
from lifelong.streams.babi.simulate.sizes import sizes
from lifelong.streams.babi.simulate.times import time_reasoning
from lifelong.streams.babi.simulate.together import basic_coreference, compound_coreference, conjunction
from lifelong.streams.babi.simulate.whereabouts import is_there, where_is_it, where_is_who, where_was_it
from lifelong.streams.babi.simulate.words import ANSWERS, NAMES, WORDS

__all__ = ["ANSWERS", "NAMES", "TITLES", "WORDS", "simulated"]

TITLES: dict[int, str] = {
    1: "single-supporting-fact",
    2: "two-supporting-facts",
    3: "three-supporting-facts",
    4: "two-arg-relations",
    5: "three-arg-relations",
    6: "yes-no-questions",
    7: "counting",
    8: "lists-sets",
    9: "simple-negation",
    10: "indefinite-knowledge",
    11: "basic-coreference",
    12: "conjunction",
    13: "compound-coreference",
    14: "time-reasoning",
    15: "basic-deduction",
    16: "basic-induction",
    17: "positional-reasoning",
    18: "size-reasoning",
    19: "path-finding",
    20: "agents-motivations",
}
"""task → the skill that it tests, as in the names of the official files."""

_STORIES: dict[int, Callable[[np.random.Generator], Iterator[Line]]] = {
    1: where_is_who,
    2: where_is_it,
    3: where_was_it,
    4: two_arguments,
    5: gift,
    6: is_there,
    7: how_many,
    8: what_carried,
    9: negation,
    10: indefinite,
    11: basic_coreference,
    12: conjunction,
    13: compound_coreference,
    14: time_reasoning,
    15: deduction,
    16: induction,
    17: positions,
    18: sizes,
    19: path_finding,
    20: motivations,
}

# between question and tab the official files of these tasks have a space
_SPACED = frozenset(range(1, 15)) - {4}


def simulated(task: int, questions: int, seed: int) -> str:
    """Stories of a task with so many questions, as text in the official format.

    Arguments: `task`, 1 to 20; `questions`, 1 or more; the last story ends with the last of them, so fewer questions
        with the same seed are the same text, cut off; `seed`, 0 or more: the same task and seed give the same text.

    Raises: `SettingError` for a task, a number of questions or a seed out of its range.

    >>> simulated(task=1, questions=1, seed=0)
    '1 Mary went to the hallway.\\n2 Mary travelled to the kitchen.\\n3 Where is Mary? \\tkitchen\\t2\\n'
    """
    require(task in TITLES, f"task must be 1 to {len(TITLES)}, got {task}")
    require(questions >= 1, f"questions must be 1 or more, got {questions}")
    require(seed >= 0, f"seed must be 0 or more, got {seed}")
    rng = np.random.default_rng([seed, task])
    return write(_endless(_STORIES[task], rng), questions, space=task in _SPACED)


def _endless(
    story: Callable[[np.random.Generator], Iterator[Line]], rng: np.random.Generator
) -> Iterator[Iterator[Line]]:
    while True:
        yield story(rng)
