"""Where the chapter is kept: the setup, one JSON file per finished part, and a scratch folder per unfinished one.

chapter.json
values/<lesson>/<part>.json
scratch/<lesson>/<part>/            checkpoints of a part that was cut short
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

from lifelong.chapter.lesson import Setup, Values
from lifelong.errors import StorageError
from lifelong.store import read_json, write_json

__all__ = ["ChapterFolder"]


class ChapterFolder:
    """The files of a chapter under `path`, all of one setup."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def claim(self, setup: Setup) -> None:
        """Make the folder that of `setup`.

        Raises: `StorageError` where it holds another setup or something else altogether, or cannot be written.
        """
        file, facts = self.path / "chapter.json", asdict(setup)
        facts.pop("data_dir")  # where the files lie does not change what is in them
        if not file.exists():
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise StorageError(f"{self.path} holds other files and no chapter; choose a new or empty folder")
            write_json(file, facts)
        before = read_json(file)
        if before != facts:
            raise StorageError(f"{self.path} holds a chapter of {before}, not {facts}; choose another --out")

    def finished(self, lesson: str, part: str) -> Values | None:
        """The values of a finished part, or None."""
        file = self._values(lesson, part)
        if not file.exists():
            return None
        values = read_json(file)
        if not isinstance(values, dict):
            raise StorageError(f"{file} is damaged: expected an object; remove it to have it made again")
        return values

    def finish(self, lesson: str, part: str, values: Values) -> None:
        """Keep the values of a part, then drop its checkpoints."""
        write_json(self._values(lesson, part), values)
        shutil.rmtree(self.scratch(lesson, part), ignore_errors=True)

    def scratch(self, lesson: str, part: str) -> Path:
        """Where an unfinished part keeps checkpoints."""
        return self.path / "scratch" / lesson / part

    def _values(self, lesson: str, part: str) -> Path:
        return self.path / "values" / lesson / f"{part}.json"
