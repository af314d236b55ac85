"""Memories against slow twins and the statistics that they promise."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from lifelong.memory import Reservoir, Ring
from lifelong.types import Examples


def numbered(first: int, count: int, task: int = 1) -> Examples:
    x = torch.arange(first, first + count, dtype=torch.float32)
    return Examples(x[:, None], torch.zeros(count, dtype=torch.int64), task)


@given(st.integers(1, 8), st.lists(st.integers(1, 7), min_size=1, max_size=6), st.integers(0, 1000))
def test_a_batch_at_once_is_algorithm_r_one_by_one(capacity: int, sizes: list[int], seed: int) -> None:
    reservoir, generator = Reservoir(capacity), torch.Generator().manual_seed(seed)
    slow: list[float] = []
    twin = torch.Generator().manual_seed(seed)
    seen = 0
    for size in sizes:
        reservoir.add(numbered(seen, size), generator)
        draws = torch.rand(size, dtype=torch.float64, generator=twin)
        for draw in draws.tolist():
            if len(slow) < capacity:
                slow.append(float(seen))
            elif (place := int(draw * (seen + 1))) < capacity:
                slow[place] = float(seen)
            seen += 1
    assert reservoir.examples().x[:, 0].tolist() == slow
    assert reservoir.num_seen == seen


def test_every_example_is_kept_with_the_same_probability() -> None:
    count, capacity, trials = 40, 8, 3000
    generator = torch.Generator().manual_seed(0)
    kept = torch.zeros(count)
    for _ in range(trials):
        reservoir = Reservoir(capacity)
        for first in range(0, count, 10):
            reservoir.add(numbered(first, 10), generator)
        kept[reservoir.examples().x[:, 0].long()] += 1
    assert int(kept.sum()) == trials * capacity
    assert chisquare(kept.numpy()).pvalue > 1e-3


def test_a_sample_draws_different_examples_and_keeps_their_tasks() -> None:
    reservoir, generator = Reservoir(20), torch.Generator().manual_seed(0)
    reservoir.add(numbered(0, 10, task=1), generator)
    reservoir.add(numbered(10, 10, task=2), generator)
    sample = reservoir.sample(15, generator)
    assert len(set(sample.x[:, 0].tolist())) == 15
    assert isinstance(sample.task, torch.Tensor)
    assert sample.task.tolist() == [1 if value < 10 else 2 for value in sample.x[:, 0]]
    assert len(reservoir.sample(99, generator)) == 20


def test_a_reservoir_without_places_keeps_nothing() -> None:
    reservoir = Reservoir(0)
    reservoir.add(numbered(0, 5), torch.Generator())
    assert len(reservoir) == 0
    assert reservoir.tables == []


@given(st.integers(1, 7), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_a_ring_holds_the_last_examples(quota: int, sizes: list[int]) -> None:
    ring, seen = Ring(), 0
    ring.begin(1)
    for size in sizes:
        ring.add(numbered(seen, size), quota)
        seen += size
    assert sorted(ring.of(1).x[:, 0].tolist()) == list(range(max(0, seen - quota), seen))


def test_rings_shrink_to_share_a_total() -> None:
    ring = Ring()
    for task, quota in ((1, 12), (2, 6), (3, 4)):
        ring.begin(task)
        ring.shrink(quota)
        ring.add(numbered(100 * task, 12, task), quota)
        assert sum(len(ring.of(other)) for other in ring.tasks) <= 12
    assert [len(ring.of(task)) for task in (1, 2, 3)] == [4, 4, 4]
    assert [len(past) for past in ring.past(2)] == [4, 4]


def test_a_ring_gives_back_what_a_short_task_left_empty_and_knows_its_tasks_apart() -> None:
    ring = Ring()
    ring.begin(1)
    ring.add(numbered(0, 3), 10)
    ring.begin(2)
    ring.shrink(5)
    assert [table.capacity for table in ring.tables] == [3, 0], "no place is held for nothing"
    ring.add(Examples(torch.tensor([[9.0]]), torch.zeros(1).long(), 1), 5)  # task 1 again, after task 2 began
    assert len(ring.of(2)) == 0
    assert ring.of(1).x[:, 0].tolist() == [9.0, 1.0, 2.0]
