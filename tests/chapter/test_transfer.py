"""The two views of the same runs, and the places of the methods in each."""

from __future__ import annotations

import numpy as np

from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons.transfer import METHODS, TRANSFER, ranks
from lifelong.chapter.shown import Claim
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
    assert all(text.get_position()[0] > 1 for text in scatter.axes[0].texts), "names stand beside the points"
    assert scatter.axes[0].get_xlabel() == "前向迁移 FWT（百分点）"


#: joint learns both tasks
JOINT = np.array([[0.1, 0.1], [0.9, 0.3], [0.9, 0.9]])


def claims(matrices: dict[str, list[np.ndarray]]) -> list[Claim]:
    """The claims on runs with these R, one per seed; methods that are left out keep what they learn."""
    runs = {method: matrices.get(method, [KEEPS, KEEPS]) for method in METHODS}
    values = {
        method: {
            "runs": [Record(method, {}, seed, R, Cost(1.0, 1.0, 0, 1)).to_json() for seed, R in enumerate(several)]
        }
        for method, several in runs.items()
    }
    return list(TRANSFER.show(Setup(), values).claims)


def test_transfer_and_lifelong_learning_are_told_apart() -> None:
    made = claims({"finetune": [FORGETS] * 2, "joint": [JOINT] * 2})
    assert all(claim.holds for claim in made)
    forward, backward, turns, price, pays, bound = (claim.sentence.en for claim in made)
    assert "20.0 ± 0.0 points above the random" in forward
    assert "by −70.0 ± 0.0 points" in backward
    assert "number 1 of 5 on the new task and last on all tasks" in turns
    assert "ewc is 15.0 ± 0.0 points below" in price
    assert "ewc is 20.0 ± 0.0 points above" in pays
    assert bound.startswith("joint, the upper bound, is number 1 of 5 by ACC, +15.0 ± 0.0 points from ewc")


def test_a_bound_that_is_passed_is_said_to_be_none() -> None:
    made = claims({"joint": [FORGETS] * 2})
    assert [claim.holds for claim in made] == [True, False, False, False, False, False]
    assert made[-1].sentence.en.startswith("joint, the upper bound, is number 5 of 5 by ACC")
    assert "不是上界" in made[-1].sentence.zh
    assert "number 2 of 5 on the new task and number 1 on all tasks" in made[2].sentence.en
