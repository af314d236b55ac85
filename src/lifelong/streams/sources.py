"""The data sets that streams are made from: one training part, one test part, both as tensors."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.errors import DataError, unknown_name

__all__ = ["FILES", "MNIST_4K", "SOURCES", "Source", "data_folder", "load", "read_idx"]


@dataclass(frozen=True)
class Source:
    """Images (N, channels, height, width) in [0, 1] with labels 0 … classes − 1, which people call `names`."""

    name: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: int
    names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return tuple(self.train_x.shape[1:])


FIGURES = tuple(str(figure) for figure in range(10))
CLOTHES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip

#: the embedded sample of MNIST, written by scripts/embed_mnist.py
MNIST_4K = Path(__file__).with_name("mnist_4k.npz")

FILES = {
    "train_x": "train-images-idx3-ubyte",
    "train_y": "train-labels-idx1-ubyte",
    "test_x": "t10k-images-idx3-ubyte",
    "test_y": "t10k-labels-idx1-ubyte",
}


def digits(folder: Path | None = None) -> Source:
    """scikit-learn's 1,797 real handwritten digits of 8×8 pixels, embedded; a fixed, class-balanced fifth is the test.

    Reference: Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits (UCI).
    """
    from sklearn.datasets import load_digits  # a second to import, for this source only

    data: Any = load_digits()
    x = torch.tensor(data.data / 16, dtype=torch.float32).view(-1, 1, 8, 8)
    y = torch.tensor(data.target, dtype=torch.int64)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    order = order[torch.argsort(y[order], stable=True)]
    test = torch.zeros(len(y), dtype=torch.bool)
    test[order[::5]] = True
    return Source("digits", x[~test], y[~test], x[test], y[test], 10, FIGURES)


def mnist_4k(folder: Path | None = None) -> Source:
    """A sample of MNIST, embedded: the first 300 training and the first 100 test images of each digit.

    Reference: LeCun, Cortes & Burges 1998, The MNIST database of handwritten digits.
    """
    with np.load(MNIST_4K, allow_pickle=False) as arrays:
        x, y = ({part: torch.from_numpy(arrays[f"{part}_{axis}"]) for part in ("train", "test")} for axis in ("x", "y"))
    images = {part: pixels.float().div_(255).unsqueeze_(1) for part, pixels in x.items()}
    return Source("mnist-4k", images["train"], y["train"].long(), images["test"], y["test"].long(), 10, FIGURES)


def _idx_source(name: str) -> Callable[[Path | None], Source]:
    def load_files(folder: Path | None) -> Source:
        place = data_folder(name, folder)
        arrays = {part: read_idx(_find(place, name, stem)) for part, stem in FILES.items()}
        for part in ("train", "test"):
            images, labels = arrays[f"{part}_x"], arrays[f"{part}_y"]
            if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) or len(images) == 0:
                raise DataError(
                    f"{place}: expected as many images as labels in the {part} files, got {images.shape} and "
                    f"{labels.shape}; fetch them again with: lifelong data fetch {name}"
                )
        tensors = {
            part: torch.from_numpy(array).float().div_(255).unsqueeze_(1)
            if part.endswith("x")
            else torch.from_numpy(array).long()
            for part, array in arrays.items()
        }
        return Source(name, **tensors, classes=10, names=CLOTHES if name == "fashion-mnist" else FIGURES)

    return load_files


SOURCES: dict[str, Callable[[Path | None], Source]] = {
    "digits": digits,
    "mnist-4k": mnist_4k,
    "mnist": _idx_source("mnist"),
    "fashion-mnist": _idx_source("fashion-mnist"),
}


@lru_cache(maxsize=2)
def load(name: str, folder: Path | None = None) -> Source:
    """The source called `name`; `folder` holds its files (default `$LIFELONG_DATA/<name>`)."""
    if name not in SOURCES:
        raise unknown_name("data set", name, SOURCES)
    return SOURCES[name](folder)


def data_folder(name: str, folder: Path | None = None) -> Path:
    """Where the files of `name` are: `folder` or `folder`/`name`, `$LIFELONG_DATA/name`, or the user's cache."""
    if folder is not None:
        return folder / name if (folder / name).is_dir() else folder
    root = os.environ.get("LIFELONG_DATA")
    if root:
        return Path(root) / name
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "lifelong" / name


def _find(place: Path, name: str, stem: str) -> Path:
    for candidate in (place / stem, place / f"{stem}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(
        f"{name} needs the file {stem} or {stem}.gz in {place}: not found. "
        f"Get it with: lifelong data fetch {name}, or point --data-dir or LIFELONG_DATA at a folder that has it"
    )


def read_idx(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """An IDX file of unsigned bytes as an array (writable, own memory).

    Format: two zero bytes, 0x08 for unsigned bytes, the number of dimensions, each size as a big-endian 32-bit
    number, then the bytes. Raises `DataError` where anything else is found.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}; fetch it again or replace it") from error
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08":
        raise DataError(f"{path} is no IDX file of bytes: expected it to begin 00 00 08, got {raw[:4].hex(' ')}")
    dimensions = raw[3]
    header = 4 + 4 * dimensions
    if len(raw) < header:
        raise DataError(f"{path} is cut off: expected a header of {header} bytes, got {len(raw)} bytes in all")
    shape = struct.unpack(f">{dimensions}I", raw[4:header])
    expected = header + int(np.prod(shape, dtype=np.int64))
    if len(raw) != expected:
        raise DataError(f"{path} is damaged: {shape} needs {expected} bytes, got {len(raw)}; fetch it again")
    return np.frombuffer(raw, dtype=np.uint8, offset=header).reshape(shape).copy()
