"""Scores of R against sums written out from their formulas, and against each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lifelong.errors import SettingError
from lifelong.evaluation import (
    acc,
    all_scores,
    bwt,
    forgetting,
    fwt,
    interval,
    intransigence,
    learning_acc,
    paired_difference,
    schedule,
    seen_acc,
)

Matrix = NDArray[np.float64]


def matrices(tasks: int) -> st.SearchStrategy[Matrix]:
    values = st.lists(st.floats(0, 1), min_size=(tasks + 1) * tasks, max_size=(tasks + 1) * tasks)
    return values.map(lambda flat: np.array(flat).reshape(tasks + 1, tasks))


@given(st.integers(2, 6).flatmap(matrices))
def test_scores_are_the_sums_of_their_formulas(R: Matrix) -> None:
    T = R.shape[1]
    last, columns = R[T], range(1, T + 1)
    assert acc(R) == pytest.approx(sum(last) / T)
    assert learning_acc(R) == pytest.approx(sum(R[j, j - 1] for j in columns) / T)
    assert bwt(R) == pytest.approx(sum(last[j - 1] - R[j, j - 1] for j in range(1, T)) / (T - 1))
    assert fwt(R) == pytest.approx(sum(R[j - 1, j - 1] - R[0, j - 1] for j in range(2, T + 1)) / (T - 1))
    falls = [max(R[i, j - 1] for i in range(j, T)) - last[j - 1] for j in range(1, T)]
    assert forgetting(R) == pytest.approx(sum(falls) / (T - 1))
    for i in columns:
        assert seen_acc(R)[i - 1] == pytest.approx(sum(R[i, j] for j in range(i)) / i)
    assert intransigence(R, R) == 0


@given(st.integers(2, 6).flatmap(matrices))
def test_forgetting_is_at_least_the_fall_since_learning(R: Matrix) -> None:
    assert forgetting(R) >= -bwt(R) - 1e-12


def test_forgetting_is_not_minus_bwt_where_a_task_got_better_in_between() -> None:
    R = np.array([[0.1, 0.1, 0.1], [0.6, 0, 0], [0.9, 0.8, 0], [0.7, 0.8, 0.9]])
    assert bwt(R) == pytest.approx((0.1 + 0.0) / 2)
    assert forgetting(R) == pytest.approx((0.2 + 0.0) / 2)


def test_fwt_measures_from_the_random_initialisation() -> None:
    R = np.array([[0.2, 0.3], [0.9, 0.5], [0.9, 0.9]])
    assert fwt(R) == pytest.approx(0.5 - 0.3)


def test_seeds_are_kept_apart() -> None:
    R = np.random.default_rng(0).random((4, 6, 5))
    for name in ("acc", "bwt", "fwt", "forgetting", "learning_acc"):
        each = [all_scores(one)[name] for one in R]
        stacked = {"acc": acc, "bwt": bwt, "fwt": fwt, "forgetting": forgetting, "learning_acc": learning_acc}[name](R)
        assert stacked == pytest.approx(np.array(each))


def test_one_task_has_no_transfer() -> None:
    scores = all_scores([[0.1], [0.9]])
    assert scores["acc"] == 0.9
    assert all(np.isnan(scores[name]) for name in ("bwt", "fwt", "forgetting"))


@pytest.mark.parametrize("wrong", [np.zeros((3, 3)), np.zeros(3), np.full((3, 2), 70.0), np.full((3, 2), -0.1)])
def test_what_is_no_matrix_is_refused(wrong: Matrix) -> None:
    with pytest.raises(SettingError):
        acc(wrong)


def test_interval_is_students_t() -> None:
    # t_{0.975, 2} = 4.302653; s = 0.02; n = 3
    mean, ci95 = interval([0.90, 0.92, 0.94])
    assert mean == pytest.approx(0.92)
    assert ci95 == pytest.approx(4.302653 * 0.02 / np.sqrt(3), rel=1e-6)
    assert np.isnan(interval([0.9]).ci95)


def test_paired_differences_do_not_see_what_seeds_share() -> None:
    shared = np.array([0.1, 0.5, 0.9])
    difference = paired_difference(shared + 0.05, shared)
    assert difference.mean == pytest.approx(0.05)
    assert difference.ci95 == pytest.approx(0, abs=1e-12)


@given(st.integers(1, 30), st.sampled_from(["every", "every:3", "last", "sampled:4"]))
def test_every_schedule_measures_what_acc_bwt_and_fwt_need(tasks: int, rule: str) -> None:
    R = np.full((tasks + 1, tasks), np.nan)
    for row in range(tasks + 1):
        for column in schedule(rule, row, tasks):
            R[row, column - 1] = 0.5
    assert not np.isnan(acc(R))
    if tasks > 1:
        assert not np.isnan(bwt(R))
        assert not np.isnan(fwt(R))
        assert not np.isnan(forgetting(R))


@pytest.mark.parametrize("rule", ["", "often", "every:0", "every:x", "sampled", "last:-1"])
def test_unknown_schedules_are_refused(rule: str) -> None:
    with pytest.raises(SettingError, match="evaluate"):
        schedule(rule, 1, 3)
