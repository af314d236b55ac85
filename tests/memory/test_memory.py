"""Memories against slow twins and the statistics that they promise."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from lifelong.memory import Balanced, Memory, PriorityBuffer, Reservoir, Ring
from lifelong.training.serialise import join, split
from lifelong.types import Examples, leaves


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


# --- any example: dicts of tensors, and several kinds in one memory ---


def picture_and_text(first: int, count: int, task: int = 1) -> Examples:
    number = torch.arange(first, first + count)
    x = {"image": number.float()[:, None, None].expand(count, 2, 2).clone(), "text": number[:, None] + torch.arange(3)}
    return Examples(x, number.float()[:, None] / 2, task)


def check_rows_belong_together(examples: Examples) -> None:
    number = examples.x["image"][:, 0, 0]
    assert torch.equal(examples.x["text"][:, 1], number.long() + 1)
    assert torch.equal(examples.y[:, 0], number / 2)


@pytest.mark.parametrize("kind", [Reservoir, PriorityBuffer])
def test_inputs_with_several_fields_stay_together(kind: type[Reservoir | PriorityBuffer]) -> None:
    memory, generator = kind(7), torch.Generator().manual_seed(0)
    for first in range(0, 40, 4):
        batch = picture_and_text(first, 4, task=1 + first // 20)
        if isinstance(memory, Reservoir):
            memory.add(batch, generator)
        else:
            memory.offer(batch, torch.full((4,), 0.5), generator)
    stored = memory.sample(7, generator)
    assert len(stored) == len(memory) == 7
    check_rows_belong_together(stored)
    assert torch.equal(stored.task_numbers() == 2, stored.x["image"][:, 0, 0] >= 20)
    ring = Ring()
    ring.begin(1)
    ring.add(picture_and_text(0, 9), 5)
    check_rows_belong_together(ring.of(1))


def test_a_memory_of_several_kinds_shares_its_places_and_draws_batches_of_one_kind() -> None:
    memory, generator = Reservoir(10), torch.Generator().manual_seed(0)
    memory.add(numbered(0, 50), generator)
    assert len(memory) == 10
    memory.add(picture_and_text(0, 30, task=2), generator)
    memory.add(numbered(50, 5, task=3), generator)
    assert [(len(table), table.num_seen) for table in memory.tables] == [(5, 55), (5, 30)]
    counts = Counter[bool]()
    for _ in range(400):
        batch = memory.sample(3, generator)
        assert len(batch) == 3
        counts[isinstance(batch.x, dict)] += 1
        if isinstance(batch.x, dict):
            check_rows_belong_together(batch)
            assert batch.task.tolist() == [2, 2, 2]
    assert 150 < counts[True] < 250, "a kind is drawn as often as there is of it"
    assert [len(part) for part in memory.parts()] == [5, 5]


def test_with_one_kind_no_random_number_is_drawn_for_the_kind() -> None:
    memory, generator = Reservoir(10), torch.Generator().manual_seed(0)
    memory.add(numbered(0, 8), generator)
    twin = torch.Generator()
    twin.set_state(generator.get_state())
    memory.sample(3, generator)
    torch.randperm(8, generator=twin)
    assert torch.equal(generator.get_state(), twin.get_state())


@pytest.mark.parametrize("memory", [Reservoir(9), PriorityBuffer(9), Balanced(9)], ids=lambda m: type(m).__name__)
def test_a_memory_is_saved_and_read_back(memory: Memory) -> None:
    generator = torch.Generator().manual_seed(0)
    offer = memory.offer if isinstance(memory, PriorityBuffer) else memory.add  # pyrefly: ignore
    scores = [torch.ones(6)] if isinstance(memory, PriorityBuffer) else []
    offer(numbered(0, 6), *scores, generator)
    if not isinstance(memory, Balanced):
        offer(picture_and_text(0, 6), *scores, generator)
    data, tensors = split(memory, "state")
    again = join(data, tensors, type(memory))
    assert len(again) == len(memory)
    for one, two in zip(again.parts(), memory.parts(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(leaves(one.x), leaves(two.x), strict=True))


# --- another capacity ---


@pytest.mark.parametrize("capacity", [3, 8, 20])
def test_a_smaller_reservoir_is_a_uniform_sample_still_and_a_larger_one_grows(capacity: int) -> None:
    generator, trials, stays = torch.Generator().manual_seed(0), 1500, torch.zeros(30)
    for _ in range(trials):
        memory = Reservoir(8)
        memory.add(numbered(0, 20), generator)
        memory.resize(capacity, generator)
        assert len(memory) == min(capacity, 8)
        memory.add(numbered(20, 10), generator)
        assert len(memory) == min(capacity, 18)
        stays[memory.examples().x[:, 0].long()] += 1
    if capacity <= 8:
        assert chisquare(stays.numpy()).pvalue > 1e-3
    else:
        assert bool((stays[20:] > 0.9 * trials).all()), "the new places are filled first"


def test_a_smaller_priority_buffer_gives_up_places_as_newcomers_would_take_them() -> None:
    generator, stays = torch.Generator().manual_seed(0), torch.zeros(4)
    for _ in range(2000):
        memory = PriorityBuffer(4)
        memory.offer(numbered(0, 4), torch.tensor([0.1, 0.2, 0.7, 1.0]), generator)
        memory.resize(3, generator)
        stays[memory.examples().x[:, 0].long()] += 1
    gone = 2000 - stays.numpy()
    assert chisquare(gone, 2000 * np.array([0.1, 0.2, 0.7, 1.0]) / 2).pvalue > 1e-3


def test_a_smaller_balanced_memory_stays_balanced() -> None:
    memory, generator = Balanced(30), torch.Generator().manual_seed(0)
    y = torch.tensor([0] * 20 + [1] * 4 + [2] * 30)
    memory.add(Examples(torch.arange(54.0), y, 1), generator)
    memory.resize(11, generator)
    assert sorted(Counter(memory.examples().y.tolist()).values()) == [3, 4, 4]
    memory.resize(60, generator)
    memory.add(Examples(torch.arange(54.0), y, 2), generator)
    assert len(memory) > 11


def test_the_same_capacity_changes_nothing_and_draws_nothing() -> None:
    memory, generator = Reservoir(5), torch.Generator().manual_seed(0)
    memory.add(numbered(0, 20), generator)
    before, state = memory.examples(), generator.get_state()
    memory.resize(5, generator)
    assert torch.equal(memory.examples().x, before.x)
    assert torch.equal(generator.get_state(), state)
