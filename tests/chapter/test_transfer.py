"""The two views of the same runs, and the places of the methods in each."""

from __future__ import annotations

import numpy as np

from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons.transfer import METHODS, TRANSFER, ranks
from lifelong.evaluation import Cost, Record

#: learns task 2 best and forgets task 1; and the other way round
FORGETS = np.array([[0.1, 0.1], [0.9, 0.3], [0.2, 0.9]])
KEEPS = np.array([[0.1, 0.1], [0.8, 0.3], [0.8, 0.7]])


def test_equals_share_a_place() -> None:
    assert ranks(np.array([0.9, 0.5, 0.9, 0.1])) == [1, 3, 1, 4]


def test_the_order_of_methods_differs_between_the_views() -> None:
    values = {}
    for method in METHODS:
        matrix = FORGETS if method == "finetune" else KEEPS
        values[method] = {"runs": [Record(method, {}, seed, matrix, Cost(1.0, 1.0, 0, 1)).to_json() for seed in (0, 1)]}
    shown = TRANSFER.show(Setup(), values)
    rows = {row[0]: row[1:] for row in shown.tables[0].in_language("en")[2]}
    assert rows["finetune"] == ["90.0 ± 0.0", "+20.0 ± 0.0", "1", "55.0 ± 0.0", "−70.0 ± 0.0", "5"]
    assert rows["ewc"] == ["75.0 ± 0.0", "+20.0 ± 0.0", "2", "75.0 ± 0.0", "0.0 ± 0.0", "1"]
    views, scatter = (picture.draw("zh") for picture in shown.pictures)
    assert [axes.get_title("left") for axes in views.axes] == ["只看新任务", "所有任务都算"]
    assert scatter.axes[0].get_xlabel() == "向前迁移 FWT（百分点）"
