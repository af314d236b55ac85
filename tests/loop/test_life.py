"""The table of a life: who sat which exam, and what was forgotten along the line of the champion."""

from __future__ import annotations

import numpy as np
import pytest

from lifelong.loop.life import VersionRow, life

ROWS = [
    VersionRow(3, "c", "a", 2, {1: 0.85, 2: 0.8}),
    VersionRow(1, "a", None, 1, {1: 0.9}),
    VersionRow(2, "b", "a", 2, {1: 0.4, 2: 0.82}),  # rejected
    VersionRow(4, "d", "c", 4, {1: 0.88, 2: 0.7, 4: 0.6}),  # task 3 was given up
]


def test_rows_are_versions_and_columns_tasks() -> None:
    table = life(ROWS)
    assert [version.id for version in table.versions] == ["a", "b", "c", "d"]
    assert table.tasks == (1, 2, 4)
    assert np.isnan(table.matrix_VT[0]).tolist() == [False, True, True]
    assert table.curve(2) == [(2, 0.82), (3, 0.8), (4, 0.7)]
    assert table.to_json()["matrix"][0] == [0.9, None, None]


def test_the_line_of_the_champion_leaves_rejected_ones_out() -> None:
    line = life(ROWS).line("d")
    assert [version.id for version in line.versions] == ["a", "c", "d"]
    assert line.forgetting() == {1: pytest.approx(0.02), 2: pytest.approx(0.1)}
    assert life(ROWS).line("nobody").versions == ()


def test_what_nobody_had_learned_is_not_forgotten() -> None:
    table = life([VersionRow(1, "a", None, 2, {1: 0.5, 2: 0.5, 3: 0.9}), VersionRow(2, "b", "a", 3, {1: 0.4, 3: 0.1})])
    assert table.forgetting() == {1: pytest.approx(0.1)}, "3 was right by luck, 2 was not examined"
    assert life([]).to_json() == {"versions": [], "tasks": [], "matrix": []}
