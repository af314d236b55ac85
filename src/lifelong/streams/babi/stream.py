"""The stream of the 20 bAbI tasks: every task asks for another skill of reasoning about short stories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from lifelong.errors import DataError, require
from lifelong.streams.babi.encode import WIDTH, encode
from lifelong.streams.babi.simulate import ANSWERS, TITLES, WORDS, simulated
from lifelong.streams.babi.text import parse, read
from lifelong.streams.sources import data_folder
from lifelong.streams.stream import Stream, held_out
from lifelong.types import Examples, Field, Scenario, Space, Split, Task

__all__ = ["Babi"]

SKILLS = tuple(TITLES)
OFFICIAL_TESTS = 1000


@dataclass(frozen=True)
class Babi:
    """Every task asks for another of 20 skills of reasoning about short stories.

    Arguments: `order` of the skills, from 1 to 20, or None for all in theirs; `tasks`, how many of them, or None for
    all; `scenario` is domain: the answers of all skills are the classes of every task; `source`: `simulated` writes the
    stories by their rules, `files` reads the official ones (`qa1_…_train.txt`, `qa1_…_test.txt`, … in English, version
    1.2); `questions` per task to train on, and as many to test, at most the 1000 of the official test; `sentences`, how
    many of the last ones before a question are kept; `validation` fraction of the training stories that is held out;
    `seed` of the simulation and of what is held out.

    Reference: Weston et al. 2016, Towards AI-Complete Question Answering (arXiv:1502.05698).
    """

    tasks: int | None = None
    scenario: Scenario = "domain"
    order: tuple[int, ...] | None = None
    source: Literal["simulated", "files"] = "simulated"
    questions: int = 1000
    sentences: int = 50
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        order = self.order or SKILLS
        require(self.scenario == "domain", f"the scenario must be domain, got {self.scenario!r}; leave it out")
        wrong = [skill for skill in order if skill not in SKILLS]
        require(not wrong, f"order takes skills from 1 to 20, got {wrong}")
        require(len(set(order)) == len(order), f"order takes each skill once, got {list(order)}")
        require(
            self.tasks is None or 1 <= self.tasks <= len(order),
            f"tasks must be in 1 … {len(order)}, the skills in its order, got {self.tasks}",
        )
        require(self.source in ("simulated", "files"), f"source must be simulated or files, got {self.source!r}")
        require(self.questions >= 1, f"questions must be 1 or more, got {self.questions}")
        require(self.sentences >= 1, f"sentences must be 1 or more, got {self.sentences}")
        require(0 <= self.validation < 1, f"validation must be a fraction in 0 … 1 (1 excluded), got {self.validation}")

    def build(self, name: str, folder: Path | None = None) -> Stream:
        """The stream; `folder` holds the official files (default `$LIFELONG_DATA/babi`), itself or in `en`.

        Raises: `DataError` for files that are missing, or, once their task is asked for, not in the format.
        """
        skills = (self.order or SKILLS)[: self.tasks]
        place = None if self.source == "simulated" else _official(folder)
        classes = tuple(range(len(ANSWERS)))
        space = Space(Field((self.sentences + 1, WIDTH), vocabulary=len(WORDS) + 1), len(classes), "domain")
        tasks = [
            Task(
                number,
                f"{skill} {TITLES[skill].replace('-', ' ')}",
                classes,
                self._loader(skill, place),
                class_names=tuple(ANSWERS),
            )
            for number, skill in enumerate(skills, start=1)
        ]
        return Stream(name, space, tuple(tasks))

    def _loader(self, skill: int, place: Path | None) -> Callable[[Split], Examples | None]:
        train, test = (None if place is None else _find(place, skill, part) for part in ("train", "test"))
        tests = min(self.questions, OFFICIAL_TESTS)

        def load(split: Split) -> Examples:
            if split == "test":
                x, y, _ = _encoded(skill, tests, 2 * self.seed + 1, test, self.sentences)
                return Examples(x, y, 0)
            x, y, story_N = _encoded(skill, self.questions, 2 * self.seed, train, self.sentences)
            kept, held = held_out(int(story_N[-1]) + 1, self.validation, self.seed)
            chosen = torch.isin(story_N, kept if split == "train" else held)
            return Examples(x[chosen], y[chosen], 0)

        return load


@lru_cache(maxsize=2 * len(SKILLS))
def _encoded(skill: int, count: int, seed: int, file: Path | None, sentences: int) -> tuple[Tensor, Tensor, Tensor]:
    """x, y and the number of its story (N,) for `count` questions: the first of `file`, or simulated from `seed`."""
    place = f"simulated task {skill}" if file is None else str(file)
    asked = parse(simulated(skill, count, seed), place) if file is None else read(file)
    if len(asked) < count:
        raise DataError(f"{place}: expected {count} questions or more, got {len(asked)}; use questions={len(asked)}")
    x, y = encode(asked[:count], sentences, place)
    _, story_N = torch.tensor([one.start for one in asked[:count]]).unique(return_inverse=True)
    return x, y, story_N


def _official(folder: Path | None) -> Path:
    place = data_folder("babi", folder)
    return place / "en" if (place / "en").is_dir() else place


def _find(place: Path, skill: int, part: str) -> Path:
    found = sorted(place.glob(f"qa{skill}_*_{part}.txt"))
    if len(found) != 1:
        raise DataError(
            f"babi needs one file qa{skill}_…_{part}.txt in {place}: found {len(found)}. Unpack en of the bAbI tasks, "
            "version 1.2, there, point --data-dir or LIFELONG_DATA at a folder that has it, or use source=simulated"
        )
    return found[0]
