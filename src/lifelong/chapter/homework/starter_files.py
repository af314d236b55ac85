"""What `lifelong homework start` writes."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from lifelong.errors import StorageError
from lifelong.store import write_atomically

__all__ = ["write_starter"]

FILES = ("my_method.py", "README.md")


def write_starter(folder: Path) -> list[Path]:
    """Write the starter code and the task sheet; returns their paths.

    Raises:
        StorageError: One of them is there already; then nothing is written.
    """
    for name in FILES:
        if (folder / name).exists():
            raise StorageError(f"{folder / name} is there already and is not overwritten; choose another folder")
    starter = files("lifelong.chapter.homework").joinpath("starter")
    for name in FILES:
        write_atomically(folder / name, starter.joinpath(name).read_bytes(), "the folder")
    return [folder / name for name in FILES]
