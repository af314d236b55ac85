"""The chapter as one HTML page with a language switch, pictures and all, and the same pictures as files beside it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from lifelong.chapter.shown import Picture, Shown
from lifelong.errors import require
from lifelong.reports.bilingual import Language, Text, readable
from lifelong.store.files import write_atomically

__all__ = ["Section", "write_chapter", "write_pictures"]

LANGUAGES: tuple[Language, ...] = ("en", "zh")

TITLE = Text("Lifelong learning, by experiment", "终身学习:用实验说话")
LEDE = Text(
    "Every number and every picture below comes from a run on real data that you can repeat with one command.",
    "下面的每个数字、每张图都来自真实数据上的一次运行,一条命令即可重现。",
)


@dataclass(frozen=True)
class Section:
    """One experiment on the page: its name on the command line, title, paragraph and what it shows."""

    name: str
    title: Text
    see: Text
    shown: Shown


@dataclass(frozen=True)
class _Drawn:
    """A picture in the languages it could be drawn in, as data addresses."""

    caption: Text
    sources: dict[Language, str]


def write_pictures(folder: Path, name: str, pictures: Sequence[Picture]) -> list[Path]:
    """Draw the pictures of experiment `name` into `folder/pictures`, in every language that can be lettered.

    Where no font has Chinese letters, the pictures of both languages are lettered in English.

    Raises: `StorageError` where a file cannot be written.
    """
    paths: list[Path] = []
    for picture in pictures:
        for language in _languages():
            paths.append(_path(folder, name, picture, language))
            write_atomically(paths[-1], picture.png(language))
    return paths


def write_chapter(folder: Path, sections: Sequence[Section], command: str) -> list[Path]:
    """Write `index.html` of pictures that `write_pictures` drew; the paths, the page first.

    `command` is shown as the way to run it all again. The page is written whole or not at all.

    Raises: `SettingError` without sections; `StorageError` where a file cannot be written.
    """
    require(len(sections) > 0, "no experiment of the chapter is finished yet; run one with: lifelong chapter NAME")
    languages = _languages()
    paths = [folder / "index.html"]
    drawn: dict[str, list[_Drawn]] = {}
    for section in sections:
        drawn[section.name] = []
        for picture in section.shown.pictures:
            sources: dict[Language, str] = {}
            for language in languages:
                paths.append(_path(folder, section.name, picture, language))
                sources[language] = "data:image/png;base64," + b64encode(paths[-1].read_bytes()).decode()
            drawn[section.name].append(_Drawn(picture.caption, sources))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    place = files("lifelong")
    html = environment.from_string(place.joinpath("chapter/page.html.j2").read_text("utf-8")).render(
        title=TITLE,
        lede=LEDE,
        style=place.joinpath("reports/page.css").read_text("utf-8"),
        languages=LANGUAGES,
        drawn_in=languages,
        sections=sections,
        drawn=drawn,
        command=command,
    )
    write_atomically(paths[0], html.encode())
    return paths


def _languages() -> list[Language]:
    return [language for language in LANGUAGES if readable(language) == language]


def _path(folder: Path, name: str, picture: Picture, language: Language) -> Path:
    return folder / "pictures" / f"{name}-{picture.name}-{language}.png"
