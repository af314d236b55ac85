"""A folder of images as a stream: whole in memory as bytes, or read from its files batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lifelong.data import Lazy, subset
from lifelong.errors import DataError, SettingError, require
from lifelong.streams.split import class_groups, split
from lifelong.streams.stream import Stream
from lifelong.streams.table import ascending, test_rows
from lifelong.types import Data, Examples, Scenario

__all__ = ["ImageFiles", "class_images", "from_folder", "read_image"]

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
#: bytes of all images above which they are read batch by batch
IN_MEMORY = 512 * 2**20


def from_folder(
    folder: str | Path,
    *,
    size: tuple[int, int] | None = None,
    gray: bool = False,
    lazy: bool | None = None,
    workers: int = 0,
    test: float = 0.2,
    classes_per_task: int | Sequence[int] | None = None,
    first: int | None = None,
    scenario: Scenario = "class",
    validation: float = 0.0,
    seed: int = 0,
) -> Stream:
    """A folder of images as a stream: `folder/<class>/<image>.png`, or the same under `folder/train` and `folder/test`.

    Classes are numbered in the order of their names (by value where all are numbers). Inputs are float32 in 0 … 1,
    (N, channels, height, width); 8-bit images only, transparency is dropped. In memory, images are held as bytes.

    Args:
        folder: Where the class folders are.
        size: The (height, width) in pixels that all images are resized to; without it they must have one size.
        gray: One channel in place of three.
        lazy: True reads the files batch by batch, False all of them now; None reads them batch by batch where they
            would take more than half a gigabyte. A damaged image is then found when it is read.
        workers: Processes that read ahead, see `lifelong.data.Lazy`.
        test: The fraction of every class that becomes the test, drawn from `seed`; it is not used where `train` and
            `test` folders exist.
        classes_per_task: Classes that come with each task: a number, a list, or None for all in one task.
        first: Classes in the first task, where it is larger.
        scenario: See `split_by_class`.
        validation: The fraction of every task's training split that is held out, drawn from `seed`.
        seed: Of both draws.

    Raises:
        DataError: Images are damaged or differ in size, a class folder has no images, there are no class folders, or
            only `train` or only `test` has a class.
        SettingError: Pillow is missing, or classes cannot be shared out evenly.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as place:
        ...     for number, animal in enumerate(["cat", "dog", "cat", "dog"]):
        ...         (Path(place) / animal).mkdir(exist_ok=True)
        ...         Image.new("RGB", (5, 4), "white").save(Path(place) / animal / f"{number}.png")
        ...     stream = from_folder(place, test=0.5, classes_per_task=1)
        >>> [(task.name, tuple(task.train.x.shape), task.train.x.max().item()) for task in stream]
        [('class cat', (1, 3, 4, 5), 1.0), ('class dog', (1, 3, 4, 5), 1.0)]
    """
    if size is not None:
        require(len(size) == 2 and min(size) > 0, f"size must be (height, width) in pixels, got {size!r}")
    root = Path(folder)
    ready = (root / "train").is_dir() and (root / "test").is_dir()
    parts = [class_images(root / part) for part in ("train", "test")] if ready else [class_images(root)]
    names = ascending(parts[0])
    if set(parts[-1]) != set(names):
        only = ", ".join(sorted(set(names) ^ set(parts[-1])))
        raise DataError(f"{root / 'train'} and {root / 'test'} must have the same classes; only one has: {only}")
    groups = class_groups(range(len(names)), list(classes_per_task) if isinstance(classes_per_task, Sequence)
                          else classes_per_task, first)  # fmt: skip
    files = [(path, number) for part in parts for number, name in enumerate(names) for path in part[name]]
    y = torch.tensor([number for _, number in files])
    images = ImageFiles([path for path, _ in files], y.tolist(), size, gray)
    whole = len(files) * images.first.nbytes <= IN_MEMORY if lazy is None else not lazy
    data: Data = _in_memory(images, y) if whole else Lazy(images, workers=workers, name=str(root))
    train = sum(len(paths) for paths in parts[0].values())
    learn, exam = (torch.arange(train), torch.arange(train, len(y))) if ready else test_rows(y, test, seed)
    title, labels = root.resolve().name, (y[learn], y[exam])
    pair = subset(data, learn), subset(data, exam)
    stream = split(title, *pair, groups, scenario, validation, seed, dict(enumerate(names)), labels=labels)
    return stream.map(_as_fractions) if whole else stream


def _in_memory(images: ImageFiles, y_N: Tensor) -> Examples:
    """All images as bytes; they are scaled when a task is asked for."""
    return Examples(torch.stack([images[row][0] for row in range(len(images))]), y_N, 0)


class ImageFiles(Dataset[Any]):
    """Image files as pairs (bytes (channels, height, width), label), each read when it is asked for.

    Args:
        files: The images.
        labels: The class of each.
        size: The (height, width) that all are resized to; None expects the size of the first.
        gray: One channel in place of three.

    Raises:
        DataError: While reading: a file is no image, has more than 8 bits, or another size than the first.
    """

    def __init__(self, files: Sequence[Path], labels: Sequence[int], size: tuple[int, int] | None, gray: bool) -> None:
        self.files, self.targets, self.size, self.gray = list(files), list(labels), size, gray
        self.first = read_image(files[0], size, gray)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = read_image(self.files[index], self.size, self.gray)
        if image.shape != self.first.shape:
            (h, w), (height, width) = self.first.shape[1:], image.shape[1:]
            raise DataError(
                f"images must have one size: {self.files[0]} is {h} by {w} (height by width) and "
                f"{self.files[index]} is {height} by {width}; pass size=({h}, {w}) to resize all"
            )
        return image, self.targets[index]


def read_image(path: Path, size: tuple[int, int] | None, gray: bool) -> Tensor:
    """An image as bytes (channels, height, width), turned upright, resized to `size` (height, width)."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise SettingError("reading images needs Pillow: pip install 'lifelong[images]'") from error
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
    return torch.from_numpy(np.atleast_3d(np.asarray(image)).copy()).movedim(-1, 0)


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


def _as_fractions(pixels: Tensor) -> Tensor:
    return pixels.float().div_(255)
