"""Examples of what the tasks look like: one row of grey images per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure, SubFigure

from lifelong.errors import require
from lifelong.evaluation import Array
from lifelong.reports.canvas import blank, plain

__all__ = ["sample_blocks", "sample_rows"]

SIDE, TITLE = 0.95, 0.35  # inches of an image, and of what stands above it


def sample_rows(images: Array, titles: Sequence[str]) -> Figure:
    """`images` (rows, N, H, W) from 0 (black) to 1 (white), each row under its title.

    Raises `SettingError` for other shapes.

    >>> len(sample_rows(np.zeros((2, 5, 8, 8)), ["noisy", "clean"]).axes)
    10
    """
    return sample_blocks({"": (images, titles)})


def sample_blocks(blocks: Mapping[str, tuple[Array, Sequence[str]]]) -> Figure:
    """Blocks of rows side by side, each under its heading: `images` (rows, N, H, W) and a title per row.

    Raises:
        SettingError: Other shapes.

    Example:
        >>> rows = np.zeros((2, 5, 8, 8)), ["first", "second"]
        >>> len(sample_blocks({"permuted": rows, "rotated": rows}).axes)
        20
    """
    for images, titles in blocks.values():
        fits = images.ndim == 4 and images.shape[0] == len(titles)
        require(fits, f"expected images ({len(titles)}, N, H, W), got {images.shape}")
    columns = sum(images.shape[1] for images, _ in blocks.values())
    rows = max(len(titles) for _, titles in blocks.values())
    headed = any(blocks)
    figure = blank(SIDE * columns + 0.2, (SIDE + TITLE) * rows + 0.1 + 0.3 * headed)
    widths = [images.shape[1] for images, _ in blocks.values()]
    parts = figure.subfigures(1, len(blocks), squeeze=False, width_ratios=widths)[0] if len(blocks) > 1 else [figure]
    for part, (heading, (images, titles)) in zip(parts, blocks.items(), strict=True):
        _draw(part, images, titles)
        if heading:
            part.suptitle(plain(heading), x=0.02, ha="left", fontsize="medium", fontweight="bold")
    return figure


def _draw(part: Figure | SubFigure, images: Array, titles: Sequence[str]) -> None:
    panels = part.subplots(*images.shape[:2], squeeze=False)
    for row, title in enumerate(titles):
        for axes, image in zip(panels[row], images[row], strict=True):
            axes.imshow(np.clip(image, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_axis_off()
        panels[row, 0].set_title(plain(title), loc="left", fontsize="medium")
