"""Data that need not fit in memory: a folder of images, read batch by batch while the model learns."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

import lifelong


def draw(folder: Path, each: int = 60) -> None:
    """Write some of scikit-learn's handwritten digits as images, one sub-folder for each class."""
    pictures, labels = load_digits(return_X_y=True)
    for label in range(10):
        (folder / str(label)).mkdir()
        for number, pixels in enumerate(pictures[labels == label][:each]):
            picture = Image.fromarray((pixels.reshape(8, 8) * 15).astype(np.uint8))
            picture.save(folder / str(label) / f"{number:03}.png")


def main() -> None:
    """Learn two new digits at a time, with 200 stored examples against forgetting."""
    with tempfile.TemporaryDirectory() as place:
        draw(Path(place))
        digits = lifelong.from_folder(place, gray=True, lazy=True, workers=1, classes_per_task=2)
        print(digits)
        learner = lifelong.Learner("mlp:64", lifelong.ER(capacity=200), digits.space, epochs=20, batch=16, seed=0)
        for task in digits:
            learner.learn(task)
            row = ", ".join(f"{accuracy:4.0%}" for accuracy in learner.evaluate(digits))
            print(f"R[{task.number}] = {row}")


if __name__ == "__main__":
    main()
