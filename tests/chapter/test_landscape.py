"""The plane through three points, losses as functions of the weights, the ways over them, and the two-weight tasks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lifelong.chapter.geometry import around, losses, plane_through, surface, task_loss
from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons import landscape
from lifelong.chapter.lessons.landscape import LANDSCAPE
from lifelong.chapter.walks import TwoWeights, ink, two_feature_stream, walked, walks
from lifelong.errors import SettingError
from lifelong.methods import build
from lifelong.reports.bilingual import Text
from lifelong.streams import stream
from lifelong.training import Learner


def test_the_plane_holds_its_three_points_and_keeps_distances() -> None:
    points_3P = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plane = plane_through(*points_3P)
    assert all(torch.allclose(plane.at(plane.of(point_P)), point_P) for point_P in points_3P)
    assert torch.allclose(torch.cdist(plane.of(points_3P), plane.of(points_3P)), torch.cdist(points_3P, points_3P))
    assert torch.allclose(plane.axes_2P @ plane.axes_2P.T, torch.eye(2, dtype=torch.float64))
    off_P = torch.linalg.qr(torch.cat([plane.axes_2P, points_3P[:1]]).T).Q[:, 2]
    assert torch.allclose(plane.of(points_3P[0] + 5 * off_P), torch.zeros(2, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("third", [[2.0, 2.0], [0.0, 0.0]])
def test_points_on_a_line_span_no_plane(third: list[float]) -> None:
    with pytest.raises(SettingError, match="points on one line"):
        plane_through(torch.zeros(2), torch.ones(2), torch.tensor(third))


def test_the_surface_of_a_known_function() -> None:
    plane = plane_through(torch.zeros(3), torch.tensor([0.0, 2.0, 0.0]), torch.tensor([0.0, 1.0, 4.0]))
    found = surface(
        lambda theta_P: theta_P[1] + 10 * theta_P[2].square(), plane, np.array([-1.0, 3.0]), np.array([2.0])
    )
    assert found.tolist() == [[39.0, 43.0]]  # θ₁ goes across, θ₂ up


def test_axes_hold_all_points_in_an_equal_margin() -> None:
    across, up = around(np.array([[1.0, 1.0], [3.0, 1.5]]), 5, air=0.5)
    assert (across[0], across[-1], up[0], up[-1], len(up)) == (0.0, 4.0, 0.0, 2.5, 5)


def test_a_task_loss_is_the_learners_loss_at_those_weights() -> None:
    tasks = stream("permuted-digits", tasks=1)
    learner = Learner("mlp:6", space=tasks.space, seed=3)
    learner.objective.announce(1, tasks.task(1).classes)
    examples = tasks.task(1).train.at(slice(0, 40))
    loss = task_loss(learner, examples, torch.float64)
    theta_KP = torch.randn(5, len(learner.flat), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    before = learner.flat.theta_P.detach().clone()
    found = losses(loss, theta_KP, chunk=2)
    assert torch.equal(learner.flat.theta_P, before)
    for theta_P, value in zip(theta_KP, found, strict=True):
        learner.flat.assign(theta_P)
        expected = learner.objective.loss(learner.model(examples.x), examples.y, 1).detach()
        assert float(value) == pytest.approx(float(expected), rel=1e-5)


def test_a_way_ends_where_the_same_learning_ends_unwatched() -> None:
    tasks = stream("permuted-digits", tasks=1)
    watched, alone = (Learner("mlp:5", space=tasks.space, seed=1, batch=64) for _ in range(2))
    start = watched.flat.theta_P.detach().clone()
    way = walked(watched, tasks.task(1), every=5)  # 21 steps: 5, 10, 15, 20
    alone.learn(tasks.task(1))
    assert len(way) == 1 + 4 + 1
    assert torch.equal(way[0], start)
    assert torch.equal(way[-1], alone.flat.theta_P.detach())


def test_the_tasks_of_the_two_weights() -> None:
    tasks = two_feature_stream("digits")
    assert [task.name for task in tasks] == ["3 or 6", "6 or 0"]
    for task in tasks:
        assert task.train.x.shape[1:] == (2,)
        assert task.train.x.mean(0).abs().max() < 1e-6  # no bias is needed
        assert 0.4 < float(task.train.y.float().mean()) < 0.6
    images = stream("permuted-digits", tasks=1, first_plain=True).task(1).test.x
    assert torch.allclose(ink(images)[:, 0], images[:, 0, 2:4, 4:6].mean((1, 2)))
    assert torch.allclose(ink(images)[:, 1], images[:, 0, 2:4, 6:8].mean((1, 2)))


def test_a_guard_keeps_the_two_weights_where_both_tasks_are_solved() -> None:
    tasks = two_feature_stream("digits")

    def make(method: object) -> Learner:
        return Learner(TwoWeights, method, tasks.space, iterations=150, batch=1000, lr=1.0)  # pyrefly: ignore

    methods = {"finetune": build("finetune"), "ewc": build("ewc", {"strength": 3.0})}
    found = walks(tasks, make, methods, every=50, examples=None)
    ends = {end["name"]: end for end in found.ends()}
    assert ends["start"]["losses"] == pytest.approx([math.log(2)] * 2, rel=1e-5)  # both weights 0: it knows nothing
    assert ends["finetune"]["losses"][0] > 1 > 0.6 > ends["ewc"]["losses"][0]
    assert min(ends["ewc"]["accuracies"]) > 0.75 > 0.5 > min(ends["finetune"]["accuracies"])
    assert min(ends["joint"]["accuracies"]) > 0.75
    assert all(claim.holds for claim in landscape._claims(found.ends(), Text("small", "小")))
    # the Hessian of logistic regression without a bias, at task 1's end: stiff along the first weight
    theta_2, x_N2 = found.first_SP[-1], tasks.task(1).train.x
    p_N = torch.sigmoid(x_N2 @ theta_2)
    bends_2 = (p_N * (1 - p_N)) @ x_N2.square() / len(x_N2)
    assert bends_2[0] > 2 * bends_2[1]


def values(**ends: tuple[list[float], list[float]]) -> dict[str, dict[str, object]]:
    """Values of both parts, whose ways end at losses and accuracies (of both tasks) by name."""
    usual = {"start": ([2.3, 2.3], [0.1, 0.1]), "first": ([0.1, 4.0], [0.9, 0.15])}
    usual |= {
        "finetune": ([2.0, 0.1], [0.25, 0.9]),
        "ewc": ([0.4, 0.3], [0.8, 0.85]),
        "joint": ([0.2, 0.2], [0.9, 0.9]),
    }
    places = [{"name": name, "losses": each[0], "accuracies": each[1]} for name, each in {**usual, **ends}.items()]
    drawn = {"across": [0.0, 1.0, 2.0], "up": [0.0, 1.0], "losses": [[[0.1, 0.2, 0.3]] * 2] * 2, "joint": [0.5, 0.5]}
    drawn |= {"first": [[0.0, 0.0], [1.0, 0.5]], "after": {"finetune": [[1.0, 0.5], [2.0, 1.0]]}}
    network = {"maps": {"ends": drawn}, "ends": places, "parameters": 26122}
    strengths = {"strengths": [0.0, 3.0], "ways": [drawn["first"], drawn["first"]], "ends": places[:2]}
    return {"two-weights": {"maps": {"plane": drawn}, "ends": places}, "strengths": strengths, "network": network}


def test_what_is_shown() -> None:
    shown = LANDSCAPE.show(Setup(), values())
    assert shown.tables[1].in_language("en")[0] == "Network of 26,122 parameters"
    row = shown.tables[0].in_language("zh")[2][2]
    assert row == ["用 finetune 学完任务 2", "2.000", "0.100", "25.0", "90.0"]
    assert [picture.name for picture in shown.pictures] == ["two-weights", "network-ends"]
    assert [len(picture.draw("zh").axes) for picture in shown.pictures] == [3, 3]


def test_claims_hold_on_numbers_that_bear_them() -> None:
    claims = LANDSCAPE.show(Setup(), values()).claims
    assert [claim.holds for claim in claims] == [True] * 6
    forgets, both, ewc = (claim.sentence.en for claim in claims[3:])
    assert "the network of 26,122 parameters forgets" in forgets
    assert "rises from 0.10 to 2.00, and its accuracy goes from 90.0 % to 25.0 %" in forgets
    assert "reaches 90.0 % and 90.0 %, while fine-tuning has 25.0 %" in both
    assert "80.0 % against 25.0 % accuracy on task 1" in ewc
    assert "2.6 万个参数的网络" in claims[3].sentence.zh


def test_claims_are_not_stated_on_numbers_that_deny_them() -> None:
    stays = LANDSCAPE.show(Setup(), values(finetune=([0.1, 0.1], [0.9, 0.9]))).claims
    assert [claim.holds for claim in stays] == [False] * 6
    assert "shows no clear forgetting" in stays[0].sentence.en
    refuses = LANDSCAPE.show(Setup(), values(ewc=([0.1, 4.0], [0.9, 0.15]))).claims
    assert [claim.holds for claim in refuses] == [True, True, False] * 2
    assert "没能两者兼顾" in refuses[2].sentence.zh
