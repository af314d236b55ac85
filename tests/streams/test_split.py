"""Class-incremental streams: uneven, overlapping, long-tailed, with classes that come back."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lifelong.errors import DataError, SettingError
from lifelong.methods import build
from lifelong.streams import Stream, split_by_class, stream
from lifelong.streams.split import class_groups, long_tail, read_order, with_repetition
from lifelong.training import Learner


def ten_classes(each: int = 20) -> tuple[Tensor, Tensor]:
    """Examples that are numbered, whose class is their last digit."""
    return torch.arange(10.0 * each)[:, None], torch.arange(10 * each) % 10


def digits_of(split: Stream) -> list[list[int]]:
    """The classes that each task trains on, read off its inputs."""
    return [sorted(set((task.train.x[:, 0] % 10).int().tolist())) for task in split]


@pytest.mark.parametrize(
    ("options", "groups"),
    [
        ({"classes_per_task": 5}, [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]),
        ({"classes_per_task": [4, 3, 2, 1]}, [[0, 1, 2, 3], [4, 5, 6], [7, 8], [9]]),
        ({"classes_per_task": "4,6"}, [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9]]),
        ({"first": 4, "classes_per_task": 3}, [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        ({"overlap": 1, "classes_per_task": 4}, [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]),
        ({"order": [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], "classes_per_task": 5}, [[5, 6, 7, 8, 9], [0, 1, 2, 3, 4]]),
    ],
)
def test_classes_are_shared_out_as_asked(options: dict[str, Any], groups: list[list[int]]) -> None:
    data = ten_classes()
    assert digits_of(split_by_class(data, data, **options)) == groups


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes_per_task": [4, 3]}, r"classes_per_task=\[4, 3\] shares out 7 classes, there are 10"),
        ({"classes_per_task": [8, 3]}, r"shares out 11 classes, there are 10"),
        ({"classes_per_task": [10, 0]}, r"1 or more each"),
        ({"classes_per_task": [5, 5], "first": 5}, r"first= or a list"),
        ({"first": 11}, r"first must be in 1 … 10"),
        ({"first": 3, "classes_per_task": 3}, r"evenly with classes_per_task=3, first=3"),
        ({"overlap": 2}, r"overlap must be 0 or more, and less than a task has, got 2"),
        ({"overlap": 1, "classes_per_task": 5}, r"evenly with classes_per_task=5, overlap=1"),
        ({"overlap": 1, "classes_per_task": 4, "scenario": "domain"}, r"one group only"),
        ({"repetition": 1.5}, r"repetition must be a probability"),
        ({"repetition": 0.9, "scenario": "domain"}, r"one group only"),
        ({"imbalance": 0.0}, r"imbalance must be above 0 and at most 1, got 0.0"),
        ({"order": "1,2"}, r"order must list every class once"),
        ({"order": "no-such-file"}, r"no-such-file is no list of numbers .* nor a file of them"),
    ],
)
def test_nonsense_is_refused(options: dict[str, Any], message: str) -> None:
    data = ten_classes()
    with pytest.raises(SettingError, match=message):
        split_by_class(data, data, **options)


@pytest.mark.parametrize("text", ["[2, 0, 1]", "2 0\n1\n", "2,0,1"])
def test_an_order_may_be_a_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "order.txt"
    file.write_text(text)
    assert read_order(file, [0, 1, 2]) == read_order(str(file), [0, 1, 2]) == [2, 0, 1]
    file.write_text(json.dumps({"order": [1]}))
    with pytest.raises(SettingError, match="whole numbers"):
        read_order(file, [0, 1, 2])


@settings(max_examples=60, deadline=None)
@given(
    probability=st.floats(0, 1), tasks=st.integers(1, 9), seed=st.integers(0, 99), first=st.integers(1, 5),
    scenario=st.sampled_from(["class", "task"]), validation=st.sampled_from([0.0, 0.25]),
)  # fmt: skip
def test_every_example_is_learned_once_however_often_its_class_comes(
    probability: float, tasks: int, seed: int, first: int, scenario: Any, validation: float
) -> None:
    x, y = ten_classes()
    split = split_by_class(
        (x, y), (x, y), first=first, classes_per_task=1, repetition=probability, scenario=scenario,
        validation=validation, seed=seed,
    )  # fmt: skip
    parts = [part for task in split for part in (task.train, task.validation) if part is not None]
    assert sorted(torch.cat([part.x for part in parts])[:, 0].tolist()) == x[:, 0].tolist()
    groups = with_repetition(class_groups(range(10), 1, first), probability, None, seed)
    taken = 0
    for task, group in zip(split, groups, strict=True):
        assert sorted(set((task.test.x[:, 0] % 10).int().tolist())) == sorted(group)
        assert len(task.test) == 20 * len(group), "an exam holds all test examples of its classes"
        outputs = group if scenario == "class" else [taken + place for place in range(len(group))]
        assert task.classes == tuple(sorted(outputs))
        meaning = dict(zip(outputs, group, strict=True))
        for part in (task.train, task.test):
            assert [meaning[output] for output in part.y.tolist()] == (part.x[:, 0] % 10).int().tolist()
        assert task.class_names == tuple(str(meaning[output]) for output in task.classes)
        taken += len(group)
    assert split.space.classes == (10 if scenario == "class" else taken)


def test_classes_come_back_with_their_probability() -> None:
    """Each of the earlier classes is a coin of its own: the mean over many draws is p times their number."""
    groups = [[place] for place in range(20)]
    counts = [len(group) - 1 for seed in range(40) for group in with_repetition(groups, 0.3, 20, seed)]
    assert sum(counts) / 40 == pytest.approx(0.3 * sum(range(20)), rel=0.05)
    longer = with_repetition(groups[:2], 0.0001, 6, 0)
    assert [len(group) for group in longer] == [1] * 6, "a task without a new class has one old class at least"
    assert with_repetition(groups, 0.5, 20, 3) == with_repetition(groups, 0.5, 20, 3)


def test_a_class_needs_an_example_for_each_of_its_tasks() -> None:
    data = ten_classes(3)
    with pytest.raises(DataError, match=r"class 0 comes in 10 tasks and has 3 training examples"):
        split_by_class(data, data, classes_per_task=1, repetition=1.0)


def test_long_tails_fall_exponentially() -> None:
    """Against the formula of Cao et al. 2019, n_max ρ^(c / (C − 1))."""
    assert long_tail([100] * 5, 0.01) == [round(100 * 0.01 ** (c / 4)) for c in range(5)]
    assert long_tail([100, 3, 100], 0.1) == [100, 3, 10]
    assert long_tail([7], 0.5) == [7]
    assert long_tail([5] * 9, 1e-9)[-1] == 1
    x, y = ten_classes(100)
    split = split_by_class((x, y), (x, y), imbalance=0.01)
    counts = Counter(int(value) % 10 for task in split for value in task.train.x[:, 0])
    assert [counts[c] for c in range(10)] == long_tail([100] * 10, 0.01)
    assert all(len(task.test) == 200 for task in split), "the exam stays balanced"
    other = split_by_class((x, y), (x, y), imbalance=0.01, seed=1)
    assert not torch.equal(other.task(2).train.x, split.task(2).train.x), "the seed draws which stay"


def test_named_streams_have_the_same_options(tmp_path: Path) -> None:
    sizes = lambda made: [len(task.classes) for task in made]  # noqa: E731
    assert sizes(stream("split-digits", classes_per_task="5,3,2")) == [5, 3, 2]
    assert sizes(stream("split-digits", classes_per_task=[5, 3])) == [5, 3]
    assert sizes(stream("split-digits", classes_per_task="1", first="6")) == [6, 1, 1, 1, 1]
    assert sizes(stream("split-digits", classes_per_task=4, overlap=1, scenario="task")) == [4, 4, 4]
    (tmp_path / "order").write_text("9 8 7 6 5 4 3 2 1 0")
    for order in ("9,8,7,6,5,4,3,2,1,0", str(tmp_path / "order"), list(range(9, -1, -1))):
        assert stream("split-digits", order=order).task(1).class_names == ("9", "8")
    repeated = stream("split-digits", repetition=0.5, tasks=8)
    assert len(repeated) == 8
    assert sum(sizes(repeated)) > 10
    tail = stream("split-digits", imbalance=0.1)
    assert tail.task(1).size > 3 * tail.task(5).size
    assert stream("split-digits").class_names == tuple("0123456789")
    with pytest.raises(SettingError, match="not both"):
        stream("split-digits", order="9,8,7,6,5,4,3,2,1,0", drawn=True)


@pytest.mark.parametrize("scenario", ["class", "task"])
@pytest.mark.parametrize("name", ["finetune", "ewc", "er", "der", "lwf", "icarl", "gdumb", "ncm", "slda", "ranpac"])
def test_methods_learn_classes_that_come_back(name: str, scenario: str) -> None:
    digits = stream("split-digits", repetition=0.5, tasks=6, scenario=scenario, seed=1)
    learner = Learner("mlp:32", build(name), digits.space, epochs=2)
    for task in digits:
        learner.learn(task)
    assert learner.tasks == [1, 2, 3, 4, 5, 6]
    assert max(learner.evaluate(digits)) > 0.15
