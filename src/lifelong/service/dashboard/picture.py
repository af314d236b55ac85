"""Between a drawing and an input: what a mouse drew becomes what the model knows, and an input becomes a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from lifelong.errors import DataError
from lifelong.loop.schema import Inputs, InputSchema

__all__ = ["SIDE", "Manner", "frame", "manner_of", "picture", "scanned"]

#: the drawing comes as SIDE × SIDE bytes of ink, 0 none … 255 full
SIDE = 128
LARGEST = 64


@dataclass(frozen=True)
class Manner:
    """How the known images of a project are drawn: `empty` and `full` are paper and ink, `extent` the part of the
    larger side that a figure takes.
    """

    empty: float
    full: float
    extent: float = 20 / 28


def frame(schema: InputSchema) -> tuple[int, int] | None:
    """Height and width where inputs are images of one channel that fit a page; else None.

    >>> frame(InputSchema((1, 28, 28))), frame(InputSchema((8, 8))), frame(InputSchema((784,)))
    ((28, 28), (8, 8), None)
    """
    shape = schema.shape[1:] if len(schema.shape) == 3 and schema.shape[0] == 1 else schema.shape
    if len(shape) != 2 or not 4 <= min(shape) <= max(shape) <= LARGEST:
        return None
    return shape[0], shape[1]


def manner_of(x_N: Inputs, schema: InputSchema) -> Manner:
    """How the images `x_N` (N, *shape) are drawn; the range of the schema, or else theirs, is paper and ink.

    What their edges mostly show is the paper, so images that are dark on light are known.

    >>> dark_on_light = np.ones((5, 1, 8, 8), dtype=np.float32)
    >>> dark_on_light[:, :, 1:7, 3:5] = 0
    >>> manner_of(dark_on_light, InputSchema((1, 8, 8), low=0, high=1))
    Manner(empty=1.0, full=0.0, extent=0.75)
    """
    size = frame(schema)
    assert size is not None
    low, high = map(float, schema.range)
    if not (math.isfinite(low) and math.isfinite(high)) or schema.dtype == "int64":
        low, high = (float(x_N.min()), float(x_N.max())) if len(x_N) else (0.0, 1.0)
    if not len(x_N) or high <= low:
        return Manner(low, high)
    images = (x_N.reshape(-1, *size) - low) / (high - low)
    edges = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    inverted = float(np.median(edges)) > 0.5
    ink = 1 - images if inverted else images
    found = [_extent(each) for each in ink[:200]]
    extents = [value for value in found if value > 0]
    extent = float(np.median(extents)) / max(size) if extents else 20 / 28
    return Manner(high, low, extent) if inverted else Manner(low, high, extent)


def scanned(data: bytes, schema: InputSchema, manner: Manner) -> Inputs:
    """The input (*shape) that a drawing is: its ink cut out, scaled with its proportions, centred by its mass.

    Arguments: `data` is SIDE × SIDE bytes, row by row.
    Raises: `DataError` for another size, and for an empty sheet.

    >>> sheet = np.zeros((SIDE, SIDE), dtype=np.uint8)
    >>> sheet[10:60, 20:30] = 255
    >>> x = scanned(sheet.tobytes(), InputSchema((1, 8, 8), low=0, high=1), Manner(0, 1, 0.75))
    >>> x.shape, float(x.max()), int((x > 0.5).any(axis=2).sum())
    ((1, 8, 8), 1.0, 6)
    """
    size = frame(schema)
    if size is None or len(data) != SIDE * SIDE:
        raise DataError(f"a drawing is {SIDE * SIDE} bytes, got {len(data)}; draw on the page")
    ink = np.frombuffer(data, dtype=np.uint8).reshape(SIDE, SIDE).astype(np.float64) / 255
    rows, columns = np.flatnonzero(ink.max(axis=1) > 0.1), np.flatnonzero(ink.max(axis=0) > 0.1)
    if not len(rows):
        raise DataError("the sheet is empty; draw something first")
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = size
    scale = min(manner.extent * max(size), *size) / max(cut.shape)
    mass_y, mass_x = (float((places * cut).sum() / cut.sum()) for places in np.mgrid[: cut.shape[0], : cut.shape[1]])
    top = _placed(height / 2 - scale * (mass_y + 0.5), scale * cut.shape[0], height)
    left = _placed(width / 2 - scale * (mass_x + 0.5), scale * cut.shape[1], width)
    small = _spread(cut.shape[0], height, top, scale) @ cut @ _spread(cut.shape[1], width, left, scale).T
    small /= max(float(small.max()), 1e-9)
    x = manner.empty + (manner.full - manner.empty) * small
    if schema.dtype != "float32":
        x = np.round(x)
    return x.astype(np.float32).reshape(schema.shape)


def picture(x: object, schema: InputSchema, told: str) -> Markup | None:
    """An input as a small drawing, light on dark; None where it is no image of one channel.

    >>> "<rect" in picture([[0.0, 1.0] * 2] * 4, InputSchema((4, 4), low=0, high=1), "a four")
    True
    """
    size = frame(schema)
    if size is None:
        return None
    image = np.asarray(x, dtype=np.float64).reshape(size)
    low, high = schema.range
    if not (math.isfinite(low) and math.isfinite(high)) or schema.dtype == "int64":
        low, high = float(image.min()), float(image.max())
    grey = np.round(255 * np.clip((image - low) / max(high - low, 1e-9), 0, 1)).astype(int)
    cells = [
        f'<rect x="{column}" y="{row}" width="1.02" height="1.02" fill="#{value:02x}{value:02x}{value:02x}"/>'
        for (row, column), value in np.ndenumerate(grey)
        if value
    ]
    paper = Markup('<rect width="{}" height="{}"/>').format(size[1], size[0])
    drawing = Markup('<svg class="picture" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>')
    return drawing.format(size[1], size[0], told, paper, Markup("".join(cells)))


def _extent(image: NDArray[np.float32]) -> int:
    """The larger side of the box around an image's ink."""
    rows, columns = np.flatnonzero(image.max(axis=1) > 0.2), np.flatnonzero(image.max(axis=0) > 0.2)
    return 0 if not len(rows) else int(max(rows[-1] - rows[0], columns[-1] - columns[0])) + 1


def _placed(start: float, length: float, room: int) -> float:
    """`start`, moved so that what is `length` long stays within `room`."""
    return min(max(start, 0.0), max(room - length, 0.0))


def _spread(before: int, after: int, start: float, scale: float) -> NDArray[np.float64]:
    """(after, before): how much of each old line falls on each new one; areas, so nothing is lost between."""
    edges = start + scale * np.arange(before + 1)
    new = np.arange(after)[:, None]
    return np.clip(np.minimum(edges[None, 1:], new + 1) - np.maximum(edges[None, :-1], new), 0, None)
