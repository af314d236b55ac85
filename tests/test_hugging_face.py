"""The real library `datasets`, where it is installed: `pip install datasets`."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from lifelong.data import Lazy
from lifelong.errors import SettingError
from lifelong.streams import Stream
from lifelong.training import Learner

from .small import build

datasets: Any = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
COLUMNS = ("image", "label")
NAMES = tuple("abcdefghij")


@pytest.fixture
def digits(tmp_path: Path) -> Any:
    """Six hundred digits as images on disk, with names of their classes."""
    image = pytest.importorskip("PIL.Image")

    def png(pixels: np.ndarray) -> dict[str, Any]:
        file = io.BytesIO()
        image.fromarray((pixels.reshape(8, 8) * 15.9).astype("uint8")).save(file, "PNG")
        return {"bytes": file.getvalue(), "path": None}

    data = load_digits()
    rows = {"image": [png(row) for row in data.data[:600]], "label": data.target[:600].tolist()}
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(NAMES))})
    datasets.Dataset.from_dict(rows, features=kinds).save_to_disk(tmp_path / "digits")
    return datasets.load_from_disk(tmp_path / "digits")


@pytest.mark.parametrize("workers", [0, 2])
def test_images_on_disk_are_learned_as_the_same_numbers_in_memory(digits: Any, workers: int) -> None:
    parts = [Lazy(digits.select(rows), columns=COLUMNS, workers=workers) for rows in (range(500), range(500, 600))]
    stored = Stream.from_datasets([tuple(parts)])
    held = Stream.from_datasets([tuple((whole.x, whole.y) for whole in (part.at(slice(0, 600)) for part in parts))])
    assert stored.task(1).class_names == NAMES
    assert torch.allclose(
        parts[0].at(slice(0, 1)).x[0, 0], torch.tensor(load_digits().images[0] * 15.9 // 1 / 255).float()
    )
    thetas = []
    for stream in (stored, held):
        learner = Learner("mlp:32", build("er"), stream.space, batch=20, lr=0.1, epochs=3)
        learner.learn(stream.task(1))
        thetas.append(learner.flat.theta_P.detach().clone())
        assert learner.accuracy(stream.task(1)) > 0.5
    assert torch.equal(*thetas)


@pytest.mark.parametrize(
    "whole", [lambda rows: rows.to_iterable_dataset(), lambda rows: datasets.DatasetDict(train=rows)]
)
def test_what_has_no_rows_is_refused(digits: Any, whole: Callable[[Any], Any]) -> None:
    with pytest.raises(SettingError, match=r"expected a data set of rows, .* got (IterableDataset|DatasetDict); give"):
        Lazy(whole(digits), columns=COLUMNS)
