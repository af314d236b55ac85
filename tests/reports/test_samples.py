"""Images are drawn as they are, each row under its title."""

from __future__ import annotations

import numpy as np
import pytest

from lifelong.errors import SettingError
from lifelong.reports.samples import sample_rows


def test_images_are_drawn_unchanged_row_by_row() -> None:
    images = np.random.default_rng(0).random((2, 3, 4, 5))
    axes = sample_rows(images, ["noisy", "clean"]).axes
    drawn = np.stack([np.asarray(panel.images[0].get_array()) for panel in axes]).reshape(images.shape)
    assert drawn == pytest.approx(images)
    assert [axes[0].get_title("left"), axes[3].get_title("left")] == ["noisy", "clean"]
    assert axes[0].images[0].get_clim() == (0, 1)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(SettingError, match=r"expected images \(1, N, H, W\), got \(2, 3, 4, 5\)"):
        sample_rows(np.zeros((2, 3, 4, 5)), ["noisy"])
