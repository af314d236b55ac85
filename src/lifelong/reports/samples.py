"""Examples of what the tasks look like: one row of grey images per task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lifelong.errors import require
from lifelong.evaluation import Array
from lifelong.reports.canvas import blank, plain

__all__ = ["sample_rows"]


def sample_rows(images: Array, titles: Sequence[str]) -> Figure:
    """`images` (rows, N, H, W) from 0 (black) to 1 (white), each row under its title.

    Raises `SettingError` for other shapes.

    >>> len(sample_rows(np.zeros((2, 5, 8, 8)), ["noisy", "clean"]).axes)
    10
    """
    fits = images.ndim == 4 and images.shape[0] == len(titles)
    require(fits, f"expected images ({len(titles)}, N, H, W), got {images.shape}")
    rows, columns = images.shape[:2]
    figure = blank(0.95 * columns + 0.2, 1.3 * rows + 0.1)
    panels = figure.subplots(rows, columns, squeeze=False)
    for row, title in enumerate(titles):
        for axes, image in zip(panels[row], images[row], strict=True):
            axes.imshow(np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_axis_off()
        panels[row, 0].set_title(plain(title), loc="left", fontsize="medium")
    return figure
