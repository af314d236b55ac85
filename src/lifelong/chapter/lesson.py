"""One experiment of the chapter: its parts, each computed once and kept, and what they show together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lifelong.chapter.shown import Shown
from lifelong.reports.bilingual import Text

__all__ = ["Lesson", "Part", "Setup", "Values"]

#: what JSON holds: numbers, text, lists and dictionaries (no NaN: None instead)
Values = dict[str, Any]

#: computes a part; the folder is its own, for checkpoints from which a part that was cut short goes on
Part = Callable[[Path], Values]


@dataclass(frozen=True)
class Setup:
    """What all experiments are run on.

    Arguments: `data`, which handwritten digits: `digits` (embedded, 8×8) or `mnist`; `data_dir` holds the files of a
    data set (default `$LIFELONG_DATA`); `full` runs what is shortened by default at full length; `seed` of everything.
    """

    data: Literal["digits", "mnist"] = "digits"
    data_dir: str | None = None
    full: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Lesson:
    """An experiment through which lifelong learning is taught.

    Args:
        name: As on the command line.
        figures: The numbers of the textbook's figures that it shows, such as `16.4`.
        title: Its heading.
        see: A paragraph that says what to look at. What the run found is stated by claims, never here.
        parts: By name, independent of each other, so that they may run at the same time.
        show: Makes claims, tables and pictures of the parts' values.
    """

    name: str
    figures: tuple[str, ...]
    title: Text
    see: Text
    parts: Callable[[Setup], Mapping[str, Part]]
    show: Callable[[Setup, Mapping[str, Values]], Shown]
