"""Notebooks, one per section of the chapter and language, made of the sources in this folder."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from lifelong.chapter.notebooks.source import Cell, notebook, read_cells, to_json
from lifelong.errors import StorageError
from lifelong.reports.bilingual import Language
from lifelong.store import write_atomically

__all__ = ["NAMES", "cells_of", "notebooks", "refuse_existing", "write_notebooks"]

#: in the order of the chapter
NAMES = ("1-forgetting", "2-evaluation", "3-guards", "4-gem", "5-rehearsal", "6-own-method")


def cells_of(name: str) -> tuple[Cell, ...]:
    """The cells of a notebook: its title and introduction, what all notebooks begin with, then its own."""
    folder = files(__name__)
    setup, section = (read_cells(folder.joinpath(f"{part}.md").read_text("utf-8")) for part in ("setup", name))
    return (section[0], *setup, *section[1:])


def notebooks(languages: tuple[Language, ...] = ("en", "zh")) -> dict[str, dict[str, Any]]:
    """Every notebook by its file: `en/1-forgetting.ipynb`, …"""
    return {
        f"{language}/{name}.ipynb": notebook(name, cells_of(name), language) for language in languages for name in NAMES
    }


def refuse_existing(folder: Path, names: Iterable[str]) -> None:
    """Raise `StorageError` where one of the files is there: outputs differ from run to run."""
    for name in names:
        if (folder / name).exists():
            raise StorageError(f"{folder / name} is there already; choose another folder, or move it away")


def write_notebooks(folder: Path, contents: dict[str, dict[str, Any]]) -> list[Path]:
    """Write notebooks by their file below `folder`; returns the paths.

    Raises:
        StorageError: A file there is another one, such as a notebook that somebody worked in; then nothing is written.
    """
    wanted = {folder / file: to_json(content) for file, content in contents.items()}
    other = [str(path) for path, data in wanted.items() if path.exists() and not _same(path, data)]
    if other:
        raise StorageError(
            f"{other[0]} was changed since it was written{f' ({len(other)} files)' if len(other) > 1 else ''}: it may "
            "hold somebody's answers; choose another folder, or move it away"
        )
    for path, data in wanted.items():
        if not path.exists():
            write_atomically(path, data, "the folder")
    return list(wanted)


def _same(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False
