"""What scripts of the page are given to draw, and that each stands below a picture of its lesson."""

from __future__ import annotations

import json
from base64 import b64decode

import numpy as np
import pytest

from lifelong.chapter.moving import digits_turning, gradients_to_drag, loss_maps, matrices_growing
from lifelong.chapter.shown import Shown
from lifelong.errors import SettingError
from lifelong.reports.bilingual import Text

NAME = Text("permuted", "置换")


def test_digits_are_the_bytes_of_the_first_task() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4))
    moving = digits_turning("stages", {"images": images.tolist(), "followed": [[True, False, 1]], "every": 5})
    assert [*b64decode(moving.values["images"])] == images[0].ravel().tolist()
    assert {key: moving.values[key] for key in ("side", "followed", "every")} == {
        "side": 4,
        "followed": [[1, 0, 1]],
        "every": 5,
    }


def test_numbers_are_short_and_json_can_hold_them() -> None:
    grid = np.full((2, 2), 1 / 3)
    drawn = {"across": [0.0, 1.0], "up": [0.0, 1.0], "losses": [grid, grid], "first": [[0, 0]], "joint": [1, 1]}
    maps = loss_maps("map", drawn, {"strengths": [0.0], "ways": [[[1e-9 / 3, 2 / 3]]], "ends": []})
    assert maps.values["losses"][0] == [[0.3333, 0.3333]] * 2
    assert maps.values["ways"] == [[[3.333e-10, 0.6667]]]
    moving = matrices_growing("map", {NAME: np.array([[0.1], [np.nan]])}, {NAME: [[[0.5, None]]]})
    assert json.loads(json.dumps(moving.values, allow_nan=False))["lives"] == [
        {"name": {"en": "permuted", "zh": "置换"}, "matrix": [[0.1], [None]], "classes": [[[0.5, None]]]}
    ]


def test_something_that_moves_needs_its_picture() -> None:
    moving = gradients_to_drag("projection", {NAME: ([1.0, 0.0], [[0.0, 1.0]])})
    with pytest.raises(SettingError, match="unknown picture of the moving part gem 'projection'"):
        Shown(moving=(moving,))
