"""Lots: the side of a row never changes, classes are in balance, nothing leaks, files are exact."""

from __future__ import annotations

from hashlib import sha256
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lifelong.errors import DataError, SettingError, StorageError
from lifelong.loop.lot import ExamSettings, Row, cut, pack, task_of, unpack

ANY = ExamSettings(0.3, cap=10_000, minimum=1)


def rows(count: int, classes: int = 4, first: int = 0) -> list[Row]:
    return [Row(f"r{i}", i % classes, i) for i in range(first, first + count)]


@given(st.randoms(), st.integers(0, 5), st.integers(40, 200))
def test_a_rows_side_depends_on_nothing_but_itself_and_the_seed(random: Random, seed: int, count: int) -> None:
    some = rows(count)
    lot = cut(some, ANY, seed)
    shuffled = list(some)
    random.shuffle(shuffled)
    assert cut(shuffled, ANY, seed) == lot
    more = cut(some + rows(300, first=1000), ANY, seed)
    moved = set(lot.exam) & set(more.train)
    assert not moved, "what is examined is never learned from later"
    assert set(lot.train) <= set(more.train)
    assert sorted([*lot.train, *lot.exam, *lot.spare]) == sorted(row.id for row in some)


def test_seeds_split_apart_and_fractions_hold() -> None:
    large = rows(4000)
    lot = cut(large, ANY, seed=1)
    assert len(lot.exam) / 4000 == pytest.approx(0.3, abs=0.025)
    other = cut(large, ANY, seed=2)
    assert len(set(lot.exam) & set(other.exam)) / 4000 == pytest.approx(0.09, abs=0.02)
    by_class = np.bincount([int(name[1:]) % 4 for name in lot.exam])
    assert by_class / 1000 == pytest.approx(0.3, abs=0.05)


def test_the_cap_keeps_classes_in_balance_and_the_rare_ones_whole() -> None:
    many = [Row(f"a{i}", 0, i) for i in range(900)] + [Row(f"b{i}", 1, i) for i in range(60)]
    whole, capped = cut(many, ANY, 0), cut(many, ExamSettings(0.3, cap=60, minimum=1), 0)
    assert len(capped.exam) == 60
    rare = [name for name in whole.exam if name.startswith("b")]
    assert set(rare) <= set(capped.exam), "they are fewer than their share"
    assert set(capped.exam) | set(capped.spare) == set(whole.exam)
    assert capped.train == whole.train


@given(st.integers(0, 200))
def test_a_single_example_of_a_class_is_learned(seed: int) -> None:
    lot = cut([*rows(40, classes=2), Row("lonely", 9, 99)], ANY, seed)
    assert "lonely" in lot.train


def test_copies_of_an_input_stay_together() -> None:
    copies = [Row(f"{i}-{j}", i % 3, 10 * i + j, content=f"input {i}") for i in range(80) for j in range(2)]
    lot = cut(copies, ANY, 0)
    assert not {name.split("-")[0] for name in lot.exam} & {name.split("-")[0] for name in lot.train}
    same = [Row(f"c{j}", 7, j, content="one and the same") for j in range(5)]
    for seed in range(20):
        assert {row.id for row in same} <= set(cut(copies + same, ANY, seed).train), "all of a class, so it is learned"


def test_too_small_a_lot_waits() -> None:
    with pytest.raises(DataError, match="wait for about 200 examples"):
        cut(rows(50), ExamSettings(0.3, cap=100, minimum=60), 0)
    with pytest.raises(DataError, match="exam of 0"):
        cut([], ANY, 0)
    with pytest.raises(DataError, match="twice"):
        cut([*rows(50), *rows(1)], ANY, 0)
    for settings in ({"fraction": 1.0}, {"minimum": 0}, {"cap": 10}):
        with pytest.raises(SettingError, match=next(iter(settings))):
            ExamSettings(**settings)  # pyrefly: ignore


def test_the_manifest_is_checkable() -> None:
    manifest = cut(rows(50), ANY, 0).manifest
    assert manifest["cursor"] == 49
    assert manifest["train"] == sorted(manifest["train"])
    ids = ",".join(
        f'"{part}":'
        + (str(manifest[part]) if part == "cursor" else "[" + ",".join(f'"{x}"' for x in manifest[part]) + "]")
        for part in ("cursor", "exam", "spare", "train")
    )
    assert manifest["sha256"] == sha256(f"{{{ids}}}".encode()).hexdigest()


def test_packed_examples_come_back_and_equal_ones_are_equal_bytes() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(5, 1, 2, 2)), generator.integers(0, 9, size=5)
    data = pack(x, y)
    assert data == pack(x.astype(np.float32), y.tolist())
    back_x, back_y = unpack(data)
    assert np.array_equal(back_x, x.astype(np.float32))
    assert np.array_equal(back_y, y)
    with pytest.raises(StorageError, match="restore the blob"):
        unpack(data[:-3])


def test_a_task_from_arrays() -> None:
    x, y = np.zeros((4, 2)), np.array([5, 6, 5, 6])
    assert task_of(2, "lot", "domain", 10, (x, y), (x, y)).classes == tuple(range(10))
    task = task_of(2, "lot", "task", 10, (x, y), (x[:1], y[:1]))
    assert (task.classes, task.train.task, task.test.y.dtype) == ((5, 6), 2, torch.int64)
    with pytest.raises(DataError, match="labels must be in 0 … 4"):
        task_of(2, "lot", "domain", 5, (x, y), (x, y))
    with pytest.raises(DataError, match="is empty"):
        task_of(2, "lot", "domain", 10, (x, y), (x[:0], y[:0]))
