"""Blurry streams: every example is met once, tests stay pure, and methods that need boundaries say so."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lifelong.errors import SettingError
from lifelong.methods import build
from lifelong.streams import stream
from lifelong.streams.blurry import blurred
from lifelong.streams.stream import Stream
from lifelong.training import Learner


@given(fraction=st.floats(0.0, 1.0), seed=st.integers(0, 5), tasks=st.integers(1, 4))
def test_every_training_example_is_met_exactly_once(fraction: float, seed: int, tasks: int) -> None:
    x, y = torch.arange(30.0)[:, None], torch.arange(30) % 2
    pairs = [((x + 100 * i, y), (x - 100 * i, y)) for i in range(tasks)]
    pure = Stream.from_datasets(pairs, validation=0.2, seed=seed)
    mixed = blurred(pure, fraction, seed)
    met = torch.cat([task.train.x for task in mixed]).flatten()
    kept = torch.cat([task.train.x for task in pure]).flatten()
    assert torch.equal(met.sort().values, kept.sort().values)
    for before, after in zip(pure, mixed, strict=True):
        assert torch.equal(before.test.x, after.test.x)
        assert before.validation is not None
        assert after.validation is not None
        assert torch.equal(before.validation.x, after.validation.x)
        own = (after.train.x // 100).int().flatten() == before.number - 1
        given_away = round(24 * fraction / 2) * ((before.number > 1) + (before.number < tasks))
        assert int(own.sum()) == 24 - given_away


def test_a_blurry_split_stream_is_learned_without_boundaries() -> None:
    digits = stream("split-digits", blurry=0.4)
    assert not digits.space.boundaries
    assert digits.task(1).classes == (0, 1, 2, 3)
    learner = Learner("mlp:32", build("er"), digits.space, epochs=3)
    for task in digits:
        learner.learn(task)
    assert sum(learner.evaluate(digits)) / len(digits) > 0.6


@given(fraction=st.floats(0.0, 1.0), first=st.integers(1, 3), mapped=st.booleans())
def test_the_first_tasks_hold_nothing_of_the_later_ones(fraction: float, first: int, mapped: bool) -> None:
    x, y = torch.arange(30.0)[:, None], torch.arange(30) % 2
    pairs = [((x + 100 * i, y + 2 * i), (x + 100 * i, y + 2 * i)) for i in range(4)]
    pure = Stream.from_datasets(pairs, scenario="class", validation=0.2)
    mixed = blurred(pure, fraction, seed=0)
    if mapped:
        pure, mixed = pure.map(lambda x: x + 0.5), mixed.map(lambda x: x + 0.5)
    cut = mixed.first(first)
    assert cut.space == mixed.space
    met = torch.cat([task.train.x for task in cut]).flatten()
    kept = torch.cat([task.train.x for task in pure.first(first)]).flatten()
    assert torch.equal(met.sort().values, kept.sort().values)
    assert max(label for task in cut for label in task.classes) == 2 * first - 1
    for whole, part in zip(mixed.first(3), cut, strict=False):
        assert part.number == first or torch.equal(whole.train.x, part.train.x)


@pytest.mark.parametrize("name", ["ewc", "gem", "independent", "ewc+er"])
def test_a_method_that_needs_boundaries_says_so(name: str) -> None:
    digits = stream("permuted-digits", blurry=0.2, tasks=2)
    with pytest.raises(SettingError, match="needs task boundaries"):
        Learner("mlp:8", build(name), digits.space)


@pytest.mark.parametrize(("settings", "message"), [({"blurry": 1.5}, "fraction"), ({"scenario": "task"}, "scenario")])
def test_what_cannot_be_blurred_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        stream("split-digits", **{"blurry": 0.2, **settings})
