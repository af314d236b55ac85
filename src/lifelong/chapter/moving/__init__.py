"""What moves on the page: scripts of this folder, and the stored values that each of them draws."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lifelong.chapter.lesson import Values
from lifelong.chapter.shown import Moving
from lifelong.evaluation import Array
from lifelong.reports.bilingual import Text

__all__ = ["digits_turning", "gradients_to_drag", "loss_maps", "matrices_growing"]


def loss_maps(picture: str, drawn: Values, walks: Values) -> Moving:
    """A slider for λ over two loss maps with the path of EWC.

    Args:
        picture: The name of the picture below which it stands.
        drawn: The maps and the path through task 1, as `Walks.drawn` gives them.
        walks: `strengths`, and for each of them `ways` (S, 2) through task 2 and `ends` with `losses` and `accuracies`.
    """
    plane = {key: _rounded(drawn[key]) for key in ("across", "up", "losses", "first", "joint")}
    return Moving("landscape", picture, {**plane, **walks, "ways": _rounded(walks["ways"])})


def digits_turning(picture: str, values: Values) -> Moving:
    """The test digits of task 1, right or wrong while task 2 is learned.

    Args:
        picture: The name of the picture below which it stands.
        values: `images` (2, N, side, side) from 0 to 255, first those of task 1; `followed` (looks, N), 1 where the
            answer on task 1 is right; `every`, the steps from one look to the next.
    """
    images = np.asarray(values["images"][0], dtype=np.uint8)
    followed = [[int(right) for right in look] for look in values["followed"]]
    encoded = b64encode(images.tobytes()).decode()
    return Moving(
        "digits", picture, {"images": encoded, "side": images.shape[-1], "followed": followed, "every": values["every"]}
    )


def gradients_to_drag(picture: str, cases: Mapping[Text, tuple[Sequence[float], Sequence[Sequence[float]]]]) -> Moving:
    """g and one or two past gradients in the plane, to begin with by the name of each case."""
    each = [{"name": name._asdict(), "g": [*g], "past": [[*one] for one in past]} for name, (g, past) in cases.items()]
    return Moving("gem", picture, {"cases": each})


def matrices_growing(
    picture: str, matrices: Mapping[Text, Array], classes: Mapping[Text, Sequence[Any]] | None = None
) -> Moving:
    """R (T + 1, T) row by row.

    Args:
        picture: The name of the picture below which it stands.
        matrices: By the name of each stream, fractions, NaN where nothing was measured.
        classes: The accuracy on every class after tasks 1 … T (T, T, C), of which those that lost most are named.
    """
    lives = [
        {
            "name": name._asdict(),
            "matrix": _rounded(matrix),
            "classes": None if classes is None else _rounded(classes[name]),
        }
        for name, matrix in matrices.items()
    ]
    return Moving("matrix", picture, {"lives": lives})


def _rounded(values: Any) -> Any:
    """Nested lists with four significant digits, None for NaN."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, Sequence):
        return [_rounded(value) for value in values]
    return None if values is None or values != values else float(f"{values:.4g}")
