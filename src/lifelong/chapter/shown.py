"""What an experiment of the chapter has to show: tables of words and numbers, and pictures, in both languages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from matplotlib.figure import Figure

from lifelong.errors import require, unknown_name
from lifelong.reports.bilingual import Language, Text, lettering
from lifelong.reports.canvas import png
from lifelong.reports.vector import svg

__all__ = ["MOVING", "Claim", "Grid", "Moving", "Picture", "Shown"]

Word = str | Text

#: the scripts of moving parts
MOVING = files("lifelong").joinpath("chapter/moving")


@dataclass(frozen=True)
class Grid:
    """A table: its caption, the heads of its columns, and rows of cells that are written as they are.

    >>> Grid(Text("Accuracy", "正确率"), ["task", "%"], [["1", "90.0"]]).in_language("zh")
    ('正确率', ['task', '%'], [['1', '90.0']])
    """

    caption: Text
    heads: Sequence[Word]
    rows: Sequence[Sequence[Word]]

    def __post_init__(self) -> None:
        wrong = [row for row in self.rows if len(row) != len(self.heads)]
        require(not wrong, f"expected {len(self.heads)} cells in every row of {self.caption.en!r}, got {wrong[:1]}")

    def in_language(self, language: Language) -> tuple[str, list[str], list[list[str]]]:
        """Caption, heads and rows in one language."""
        heads = [_word(head, language) for head in self.heads]
        return self.caption.of(language), heads, [[_word(cell, language) for cell in row] for row in self.rows]


@dataclass(frozen=True)
class Picture:
    """A figure: the end of its file name, what it shows in words (its caption), and how it is drawn in a language."""

    name: str
    caption: Text
    draw: Callable[[Language], Figure]

    def png(self, language: Language) -> bytes:
        """The figure lettered in `language`, or in English where no font has the letters."""
        return self.files(language, self.name)[0]

    def files(self, language: Language, name: str) -> tuple[bytes, str]:
        """The same as PNG, and as an SVG element whose ids begin with `name`."""
        with lettering(language) as readable:
            figure = self.draw(readable)
            return png(figure), svg(figure, name)


@dataclass(frozen=True)
class Moving:
    """Something to do below a picture: a script of the folder `moving`, and the stored values that it draws.

    A reader without JavaScript, and who prints, sees the picture alone.

    Args:
        script: The name of the script's file, without `.js`.
        picture: The name of the picture below which it stands.
        values: What JSON holds; each script says what it expects.

    Raises:
        SettingError: There is no such script.
    """

    script: str
    picture: str
    values: Mapping[str, Any]

    def __post_init__(self) -> None:
        known = sorted(file.name.removesuffix(".js") for file in MOVING.iterdir() if file.name.endswith(".js"))
        if self.script not in known:
            raise unknown_name("script of a moving part", self.script, known)


@dataclass(frozen=True)
class Claim:
    """A sentence about the result of a run, stated only where the numbers of the run bear it.

    Args:
        holds: Whether they do: a predicate over the values of the parts.
        text: The sentence, with its numbers.
        otherwise: The sentence where they do not: what was measured, and why nothing can be concluded from it.

    Example:
        >>> Claim(0.3 > 0.2, Text("EWC helps.", "EWC 有效。"), Text("No effect.", "无效。")).sentence.en
        'EWC helps.'
    """

    holds: bool
    text: Text
    otherwise: Text

    @property
    def sentence(self) -> Text:
        """What is true of the run."""
        return self.text if self.holds else self.otherwise


@dataclass(frozen=True)
class Shown:
    """What an experiment has to show, in the order of the page: pictures, claims, notes, tables.

    Args:
        tables: The numbers behind the pictures.
        pictures: The figures.
        notes: How the run was made and shortened, and what it may not show.
        claims: What the run found.
        moving: What moves below the pictures.

    Raises:
        SettingError: Something moves below a picture that there is not.
    """

    tables: tuple[Grid, ...] = ()
    pictures: tuple[Picture, ...] = ()
    notes: tuple[Text, ...] = ()
    claims: tuple[Claim, ...] = ()
    moving: tuple[Moving, ...] = ()

    def __post_init__(self) -> None:
        names = [picture.name for picture in self.pictures]
        for moving in self.moving:
            if moving.picture not in names:
                raise unknown_name(f"picture of the moving part {moving.script}", moving.picture, names)


def _word(word: Word, language: Language) -> str:
    return word.of(language) if isinstance(word, Text) else word
