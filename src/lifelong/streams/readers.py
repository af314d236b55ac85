"""Folders of images and CSV tables, read into tensors; every fault is told with its file, and in a table its line."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lifelong.errors import DataError, SettingError

__all__ = ["Table", "ascending", "class_images", "read_images", "read_table"]

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
LARGEST = torch.finfo(torch.float32).max


def ascending(names: Iterable[str]) -> list[str]:
    """The distinct names: by value where all are numbers, else by alphabet.

    >>> ascending(["10", "9", "10"]), ascending(["10", "9", "b"])
    (['9', '10'], ['10', '9', 'b'])
    """
    distinct = sorted(set(names))
    try:
        return sorted(distinct, key=float)
    except ValueError:
        return distinct


def class_images(folder: Path) -> dict[str, list[Path]]:
    """The image files of every class: one sub-folder of `folder` per class; hidden and other files are passed over."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: expected one with a sub-folder of images per class")
    classes = {
        place.name: sorted(
            path for path in place.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        )
        for place in folder.iterdir()
        if place.is_dir() and not place.name.startswith(".")
    }
    if not classes:
        raise DataError(f"{folder} has no class folders: expected {folder}/<class>/<image>.png for every class")
    for name, paths in classes.items():
        if not paths:
            kinds = ", ".join(sorted(SUFFIXES))
            raise DataError(f"class folder {folder / name} has no images ({kinds}); add some or remove the folder")
    return classes


def read_images(paths: Sequence[Path], size: tuple[int, int] | None, gray: bool) -> Tensor:
    """The images as bytes (N, channels, height, width), turned upright, resized to `size` (height, width) if given."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise SettingError("reading images needs Pillow: pip install 'lifelong[images]'") from error

    pixels: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
    for path in paths:
        try:
            with Image.open(path) as file:
                if file.mode[0] in "IF":  # Pillow would clip these to 255
                    raise DataError(f"{path} has pixels of mode {file.mode}, more than 8 bits; save it with 8 bits")
                image = ImageOps.exif_transpose(file)
                image = (image.convert("RGBA") if image.mode == "P" else image).convert("L" if gray else "RGB")
        except DataError:
            raise
        except Exception as error:  # a damaged image can raise anything in Pillow
            raise DataError(f"{path} cannot be read as an image: {error}; replace or remove it") from error
        if size is not None:
            image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        pixels.append(np.atleast_3d(np.asarray(image)))
        if pixels[-1].shape != pixels[0].shape:
            (h, w), (height, width) = pixels[0].shape[:2], pixels[-1].shape[:2]
            raise DataError(
                f"images must have one size: {paths[0]} is {h} by {w} (height by width) and {path} is {height} by "
                f"{width}; pass size=({h}, {w}) to resize all"
            )
    return torch.from_numpy(np.stack(pixels)).movedim(-1, 1).contiguous()


@dataclass(frozen=True, slots=True)
class Table:
    """A table as tensors: features `x_ND` float32, labels `y_N` and task positions `task_N` int64, and their names."""

    x_ND: Tensor
    y_N: Tensor
    task_N: Tensor
    classes: list[str]
    tasks: list[str]


def read_table(path: Path, label: str, task: str | None) -> Table:
    """The CSV file at `path` (comma-separated, UTF-8, with a header): column `label` names classes, `task` tasks.

    Classes are `ascending`, tasks in order of their first row (one nameless task where `task` is None); all other
    columns must be finite numbers. Blank lines are passed over.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = _records(file, path)
            nothing: tuple[int, list[str]] = (1, [])
            _, header = next(lines, nothing)
            columns = [name.strip() for name in header]
            places = {name: _place(path, columns, name) for name in (label, task) if name is not None}
            features = [place for place in range(len(columns)) if place not in places.values()]
            if not features:
                raise DataError(f"{path} has no feature columns beside {', '.join(places)}; expected at least one")
            rows: list[list[float]] = []
            names: dict[str, list[str]] = {name: [] for name in places}
            for line, cells in lines:
                if len(cells) != len(columns):
                    raise DataError(f"{path}, line {line}: expected {len(columns)} cells, got {len(cells)}")
                rows.append([_number(path, line, columns[place], cells[place]) for place in features])
                for name, place in places.items():
                    names[name].append(cells[place].strip())
                    if not cells[place].strip():
                        raise DataError(f"{path}, line {line}, column {name!r}: expected a name or number, got nothing")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a UTF-8 CSV table: {error}") from error
    if not rows:
        raise DataError(f"{path} has no rows: expected a header row and at least one row of data")
    classes = ascending(names[label])
    tasks = list(dict.fromkeys(names[task])) if task is not None else [""]
    numbers = _codes(names[task], tasks) if task is not None else torch.zeros(len(rows), dtype=torch.int64)
    return Table(torch.tensor(rows), _codes(names[label], classes), numbers, classes, tasks)


def _records(file: Iterable[str], path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank with the number of its first line (quoted cells may span lines)."""
    reader = csv.reader(file, strict=True)
    line = 1
    for cells in reader:
        if cells:
            yield line, cells
        line = reader.line_num + 1


def _place(path: Path, columns: list[str], name: str) -> int:
    """Where column `name` is in the header."""
    if not columns:
        raise DataError(f"{path} is empty: expected a header row with a column {name!r}")
    if columns.count(name) == 1:
        return columns.index(name)
    known = f"its columns: {', '.join(columns)}"
    if name in columns:
        raise DataError(f"{path} has {columns.count(name)} columns {name!r}, expected one; {known}")
    nearest = get_close_matches(name, columns, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ";"
    raise DataError(f"{path} has no column {name!r}{hint} {known}")


def _number(path: Path, line: int, column: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if abs(value) <= LARGEST:
        return value
    raise DataError(
        f"{path}, line {line}, column {column!r}: expected a finite number, got {cell[:40]!r}; mend the cell, "
        "or drop the column"
    )


def _codes(values: Sequence[str], names: Sequence[str]) -> Tensor:
    code = {name: number for number, name in enumerate(names)}
    return torch.tensor([code[value] for value in values])
