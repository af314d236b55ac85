"""The search for the noise, and what the lesson's tables say of known numbers."""

from __future__ import annotations

import pytest

from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons.forgetting import FORGETTING
from lifelong.chapter.search import nearest, tried
from lifelong.errors import SettingError


def test_halving_finds_where_a_falling_line_has_the_value() -> None:
    found = tried(lambda level: 1 - level / 2, wanted=0.9, low=0.0, high=1.0, steps=12)
    assert nearest(found, 0.9) == pytest.approx(0.2, abs=2**-12)
    assert len(found) == 12


def test_the_nearest_level_wins_though_it_was_not_the_last() -> None:
    assert nearest([(0.5, 0.89), (0.25, 0.97), (0.375, 0.93)], 0.9) == 0.5


def test_wrong_bounds_are_refused() -> None:
    with pytest.raises(SettingError, match="low < high"):
        tried(lambda level: level, 0.5, 1.0, 1.0, 3)


def test_tables_say_what_was_lost_and_what_was_transferred() -> None:
    stages = [
        [[0.1, 0.1], [0.9, 0.95], [0.8, 0.98], [0.91, 0.97]],
        [[0.1, 0.1], [0.9, 0.97], [0.82, 0.98], [0.93, 0.99]],
    ]
    images = [[[[0, 255], [255, 0]]] * 3] * 2
    values = {"tried": [[0.5, 0.6], [0.25, 0.91]], "noise": 0.25, "stages": stages, "images": images}
    shown = FORGETTING.show(Setup(), {"noisy-then-clean": values})
    accuracies, facts, search = (table.in_language("en")[2] for table in shown.tables)
    assert [row[1].split()[0] for row in accuracies] == ["10.0", "90.0", "81.0", "92.0"]
    assert [row[1].split()[0] for row in facts] == ["96.0", "−9.0", "+11.0", "0.0"]
    assert search == [["0.25", "91.0", "chosen"], ["0.5", "60.0", ""]]
    assert [picture.draw("zh").axes[0].get_ylabel() for picture in shown.pictures] == ["", "正确率（%）"]
