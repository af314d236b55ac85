"""Write the sample of MNIST that is embedded: the first 300 training and 100 test images of each digit, in file order.

    python scripts/embed_mnist.py FOLDER-WITH-THE-FOUR-IDX-FILES

The archive holds `train_x` (3000, 28, 28), `train_y`, `test_x` (1000, 28, 28) and `test_y`, all uint8.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifelong.streams.sources import MNIST_4K, load


def first(labels: NDArray[np.int64], per_class: int) -> NDArray[np.int64]:
    """The positions of the first `per_class` examples of each class, ascending."""
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:per_class] for label in range(10)]))


def main(folder: str) -> None:
    """Read MNIST in `folder` and write the archive."""
    source = load("mnist", Path(folder))
    arrays: dict[str, NDArray[np.uint8]] = {}
    for part, x, y, count in (
        ("train", source.train_x, source.train_y, 300),
        ("test", source.test_x, source.test_y, 100),
    ):
        rows = first(y.numpy(), count)
        arrays[f"{part}_x"] = np.rint(x[rows, 0].numpy() * 255).astype(np.uint8)
        arrays[f"{part}_y"] = y[rows].numpy().astype(np.uint8)
    np.savez_compressed(MNIST_4K, **arrays)  # pyrefly: ignore


if __name__ == "__main__":
    main(sys.argv[1])
