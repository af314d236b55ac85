"""Summaries against an independent computation, and with runs or entries missing."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from lifelong.errors import SettingError
from lifelong.evaluation import Array, Cost, Record
from lifelong.evaluation.summary import compare, reference_method, summarise

T = 3


def run(method: str, seed: int, R: Array, train_seconds: float = 1.0) -> Record:
    return Record(method, {"strength": 0.5}, seed, R, Cost(train_seconds, 0.5, 1500, 42))


def random_matrix(seed: int) -> Array:
    return np.random.default_rng(seed).random((T + 1, T))


def test_every_number_agrees_with_an_independent_computation() -> None:
    Rs, joints = [random_matrix(seed) for seed in range(4)], [random_matrix(10 + seed) for seed in range(4)]
    records = [run("ewc", seed, R, 2.0 * seed) for seed, R in enumerate(Rs)]
    records += [run("joint", seed, R) for seed, R in enumerate(joints)]
    summary = summarise(records)[0]
    own = [[R[j + 1, j] for j in range(T)] for R in Rs]  # just after learning
    expected = {
        "acc": [sum(R[T]) / T for R in Rs],
        "bwt": [sum(R[T, j] - R[j + 1, j] for j in range(T - 1)) / (T - 1) for R in Rs],
        "fwt": [sum(R[j, j] - R[0, j] for j in range(1, T)) / (T - 1) for R in Rs],
        "forgetting": [sum(max(R[j + 1 : T, j]) - R[T, j] for j in range(T - 1)) / (T - 1) for R in Rs],
        "learning_acc": [sum(values) / T for values in own],
        "intransigence": [
            sum(J[j + 1, j] - values[j] for j in range(T)) / T for J, values in zip(joints, own, strict=True)
        ],
        "train_seconds": [0.0, 2.0, 4.0, 6.0],
    }
    for name, values in expected.items():
        low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
        got = getattr(summary, name)
        assert (got.mean - got.ci95, got.mean + got.ci95) == pytest.approx((low, high)), name
    assert (summary.seeds, summary.parameters, summary.settings) == ([0, 1, 2, 3], 42, {"strength": 0.5})
    assert summary.stored_bytes == (1500, 0)


def test_intransigence_pairs_the_seeds_that_joint_finished() -> None:
    best, worse, other = np.ones((T + 1, T)), np.full((T + 1, T), 0.75), np.zeros((T + 1, T))
    records = [run("ewc", 0, other), run("ewc", 1, worse), run("joint", 1, best), run("joint", 2, other)]
    ewc = summarise(records)[0]
    assert ewc.seeds == [0, 1]
    assert ewc.intransigence.mean == 0.25
    assert math.isnan(ewc.intransigence.ci95)
    assert math.isnan(summarise(records[:2])[0].intransigence.mean)


def test_json_has_every_field_and_no_nan() -> None:
    data = summarise([run("ewc", 3, np.array([[0.1], [0.9]]))])[0].to_json()
    unknown: dict[str, None] = {"mean": None, "ci95": None}
    assert json.loads(json.dumps(data, allow_nan=False)) == {
        "method": "ewc",
        "settings": {"strength": 0.5},
        "seeds": [3],
        "acc": {"mean": 0.9, "ci95": None},
        "bwt": unknown,
        "fwt": unknown,
        "forgetting": unknown,
        "learning_acc": {"mean": 0.9, "ci95": None},
        "intransigence": unknown,
        "train_seconds": {"mean": 1.0, "ci95": None},
        "eval_seconds": {"mean": 0.5, "ci95": None},
        "stored_bytes": {"mean": 1500.0, "ci95": None},
        "parameters": 42,
        "capacity_used": unknown,
        "score": "accuracy",
        "final_scores": {},
        "prequential": unknown,
    }


def test_a_task_never_examined_before_the_end_makes_forgetting_unknown_not_infinite() -> None:
    R = random_matrix(0)
    R[1:T, 0] = np.nan
    summary = summarise([run("ewc", 0, R), run("ewc", 1, random_matrix(1))])[0]
    assert math.isnan(summary.forgetting.mean)
    assert math.isfinite(summary.acc.mean)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(1, 3))
def test_any_accuracies_and_gaps_give_a_summary(data: st.DataObject, tasks: int, seeds: int) -> None:
    accuracy = st.one_of(st.floats(0, 1), st.just(math.nan), st.sampled_from([0.0, 1.0]))
    draw = arrays(np.float64, (tasks + 1, tasks), elements=accuracy)
    records = [run(method, seed, data.draw(draw)) for method in ("joint", "er") for seed in range(seeds)]
    for summary in summarise(records):
        json.dumps(summary.to_json(), allow_nan=False)
        known = not np.isnan([r.matrix[-1] for r in records if r.method == summary.method]).any()
        assert math.isfinite(summary.acc.mean) == known
        assert math.isfinite(summary.acc.ci95) == (known and seeds > 1)


def test_paired_differences_use_shared_seeds_only() -> None:
    def level(method: str, seed: int, accuracy: float) -> Record:
        return run(method, seed, np.full((T + 1, T), accuracy))

    records = [level("finetune", 0, 0.25), level("finetune", 1, 0.5), level("er", 1, 0.75), level("er", 7, 0.0)]
    records += [level("gem", 5, 1.0)]
    er, gem = compare(records, "finetune")
    assert (er.method, er.seeds, er.acc.mean) == ("er", [1], 0.25)
    assert gem.seeds == []
    assert math.isnan(gem.acc.mean)
    assert (reference_method(records), reference_method(records[2:])) == ("finetune", "er")
    with pytest.raises(SettingError, match="did you mean 'er'"):
        compare(records, "err")


def test_runs_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(SettingError, match="one stream"):
        summarise([run("er", 0, np.ones((3, 2))), run("er", 1, np.ones((4, 3)))])
    with pytest.raises(SettingError, match="'er' has a seed twice"):
        summarise([run("er", 0, np.ones((3, 2))), run("er", 0, np.ones((3, 2)))])


def test_no_runs_no_summary() -> None:
    assert summarise([]) == []
    with pytest.raises(SettingError, match="at least one run"):
        reference_method([])
