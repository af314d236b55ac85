"""What the picture of angles holds."""

from __future__ import annotations

import numpy as np

from lifelong.reports.conflicts import angles_over_life


def test_before_and_after_at_every_step_looked_at() -> None:
    gem = np.array([[4.0, 120.0, 90.0], [8.0, 70.0, 70.0]])
    agem = np.array([[4.0, 60.0, 60.0]])
    figure = angles_over_life({"gem": gem, "agem": agem}, {2: 0, 3: 8}, "zh")
    first, second = figure.axes
    before, after = (np.asarray(collection.get_offsets()) for collection in first.collections)
    assert before.tolist() == [[4, 120], [8, 70]]
    assert after.tolist() == [[4, 90], [8, 70]]
    assert [text.get_text().strip() for text in second.texts] == ["任务 2", "任务 3"]
    assert first.get_ylim() == second.get_ylim()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["投影之前", "投影之后"]
