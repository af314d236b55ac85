"""The chapter as one HTML page with a language switch, drawings and all, and the same pictures as files beside it."""

from __future__ import annotations

import csv
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from io import StringIO
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from lifelong.chapter.errata import ERRATA
from lifelong.chapter.lesson import Values
from lifelong.chapter.shown import MOVING, Grid, Picture, Shown
from lifelong.errors import require
from lifelong.reports.bilingual import MISSING, Language, Text, readable
from lifelong.reports.vector import variables
from lifelong.store import write_atomically

__all__ = ["Section", "csv_of", "write_chapter", "write_pictures"]

LANGUAGES: tuple[Language, ...] = ("en", "zh")

TITLE = Text("Lifelong learning, by experiment", "终身学习：用实验说话")
LEDE = Text(
    "Every number and every picture below comes from a run on real data that you can repeat with one command.",
    "下面的每个数字、每张图都来自真实数据上的一次运行，一条命令即可重现。",
)
#: a number with its signs and perhaps a unit, a dash, or nothing: such a cell stands at the right, others at the left
NUMBER = re.compile(r"[–—-]?|[^\w=]*\d[^a-zA-Z=]*(?:[kMG]?i?B|[a-zµ]{1,3})?")


@dataclass(frozen=True)
class Section:
    """One experiment on the page.

    Args:
        name: As on the command line.
        title: Its heading.
        see: Its paragraph.
        shown: What it shows.
        figures: The numbers of the book's figures, which are anchors of the page.
        values: The values behind the pictures by part, to be downloaded.
    """

    name: str
    title: Text
    see: Text
    shown: Shown
    figures: tuple[str, ...] = ()
    values: Mapping[str, Values] = field(default_factory=dict)


def write_pictures(folder: Path, name: str, pictures: Sequence[Picture]) -> list[Path]:
    """Draw the pictures of experiment `name` into `folder/pictures`, in every language that can be lettered.

    Each is drawn as PNG and as SVG. Where no font has Chinese letters, the pictures of both languages are lettered in
    English.

    Raises: `StorageError` where a file cannot be written.
    """
    paths: list[Path] = []
    for picture in pictures:
        for language in _languages():
            paths.append(_path(folder, name, picture, language))
            png, svg = picture.files(language, paths[-1].stem)
            write_atomically(paths[-1], png)
            write_atomically(paths[-1].with_suffix(".svg"), svg.encode())
    return paths


def write_chapter(folder: Path, sections: Sequence[Section], command: str) -> list[Path]:
    """Write `index.html` of pictures that `write_pictures` drew; the page and the PNG files, the page first.

    `command` is shown as the way to run it all again. The page is written whole or not at all.

    Raises: `SettingError` without sections; `StorageError` where a file cannot be written.
    """
    require(len(sections) > 0, "no experiment of the chapter is finished yet; run one with: lifelong chapter NAME")
    languages = _languages()
    if "zh" not in languages:
        logging.getLogger(__name__).warning(MISSING)
    paths = {
        (section.name, picture.name, language): _path(folder, section.name, picture, language)
        for section in sections
        for picture in section.shown.pictures
        for language in languages
    }
    drawings = {key: path.with_suffix(".svg").read_text("utf-8") for key, path in paths.items()}
    scripts = sorted({moving.script for section in sections for moving in section.shown.moving})
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    place = files("lifelong")
    environment.filters |= {"lowered": _lowered, "unbroken": _unbroken}
    html = environment.from_string(place.joinpath("chapter/page.html.j2").read_text("utf-8")).render(
        title=TITLE,
        lede=LEDE,
        style="".join(place.joinpath(name).read_text("utf-8") for name in ("reports/page.css", "chapter/page.css")),
        dark="; ".join(f"{name}: {value}" for name, value in variables(drawings.values()).items()),
        script="\n".join(
            [place.joinpath("chapter/page.js").read_text("utf-8")]
            + [MOVING.joinpath(f"{name}.js").read_text("utf-8") for name in scripts]
        ),
        languages=LANGUAGES,
        drawn_in=languages,
        sections=sections,
        drawings=drawings,
        anchors=_anchors(sections),
        errata=ERRATA,
        command=command,
        words_in=_words_in,
        csv_address=_csv_address,
        json_address=_json_address,
        script_json=_script_json,
    )
    page = folder / "index.html"
    write_atomically(page, html.encode())
    return [page, *paths.values()]


def csv_of(grid: Grid, language: Language) -> str:
    """A table as comma-separated values, its heads first.

    Example:
        >>> csv_of(Grid(Text("R", "R"), [Text("task", "任务"), "%"], [["1, 2", "90.0"]]), "zh")
        '任务,%\\r\\n"1, 2",90.0\\r\\n'
    """
    _, heads, rows = grid.in_language(language)
    text = StringIO()
    csv.writer(text).writerows([heads, *rows])
    return text.getvalue()


def _words_in(rows: Sequence[Sequence[str]]) -> set[int]:
    """The columns that do not hold numbers alone."""
    return {place for row in rows for place, cell in enumerate(row) if not NUMBER.fullmatch(cell)}


def _anchors(sections: Sequence[Section]) -> dict[str, list[str]]:
    """By section, the figures whose anchor stands there: in the first section that shows them."""
    seen: set[str] = set()
    anchors: dict[str, list[str]] = {}
    for section in sections:
        anchors[section.name] = [figure for figure in section.figures if figure not in seen]
        seen |= {*section.figures}
    return anchors


def _lowered(html: str) -> Markup:
    """R_T,i with its row and column as lowered letters."""
    return Markup(re.sub(r"\bR_(\w,\w)", r"R<sub>\1</sub>", html))


def _unbroken(text: str) -> str:
    """No line ends inside `γ = 0` or `5 %`."""
    return re.sub(r"(?<=\w) (?=%)|(?<=[\w⟩]) (?=[=≥≤→] \S)|(?<=[\w⟩] [=≥≤→]) (?=\S)", "\u00a0", text)


def _csv_address(grid: Grid, language: Language) -> str:
    return "data:text/csv;charset=utf-8," + quote("\ufeff" + csv_of(grid, language))  # so that Excel reads Chinese


def _json_address(values: object) -> str:
    return "data:application/json;charset=utf-8," + quote(_json(values), safe=",:[]{}")


def _script_json(values: object) -> str:
    """JSON inside a script element, which no text may close."""
    return _json(values).replace("<", "\\u003c")


def _json(values: object) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _languages() -> list[Language]:
    return [language for language in LANGUAGES if readable(language) == language]


def _path(folder: Path, name: str, picture: Picture, language: Language) -> Path:
    return folder / "pictures" / f"{name}-{picture.name}-{language}.png"
