"""Data that is read batch by batch: the same bits with any number of workers, and every fault with its row."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from lifelong.data import Concat, Lazy, View, concat, labels_of, subset
from lifelong.errors import DataError, SettingError
from lifelong.types import Classes, Data, Examples, Field, Labels, Numbers, Tokens, as_examples

COUNT = 23


class Rows(Dataset[Any]):
    """Row i is (i, i + 0.5) with the label i % 3; `act` may do anything before."""

    def __init__(self, act: Callable[[int], Any] = lambda row: None, count: int = COUNT) -> None:
        self.act, self.count = act, count
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        self.read.append(index)
        acted = self.act(index)
        return (torch.tensor([float(index), index + 0.5]) if acted is None else acted), index % 3


class Table:
    """As a Hugging Face data set: columns, rows that are dicts, whole columns by name."""

    def __init__(self, **columns: list[Any]) -> None:
        self.columns = columns
        self.column_names = list(columns)
        self.rows_read = 0

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            return self.columns[key]
        self.rows_read += 1
        return {name: values[key] for name, values in self.columns.items()}


ORDER = torch.randperm(COUNT, generator=torch.Generator().manual_seed(1))


def all_of(data: Data, order: Tensor = ORDER, size: int = 4) -> list[tuple[Any, Any]]:
    return [(batch.x, batch.y) for batch in data.batches(order, size)]


def same(one: list[tuple[Any, Any]], two: list[tuple[Any, Any]]) -> bool:
    return len(one) == len(two) and all(
        torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(one, two, strict=True)
    )


#: children of this process that other tests have, such as a database
BEFORE: set[int] = set()


@pytest.fixture(autouse=True)
def others_children() -> None:
    BEFORE.clear()
    BEFORE.update(child.pid for child in psutil.Process().children(recursive=True))


def workers_alive() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if child.status() != psutil.STATUS_ZOMBIE and child.pid not in BEFORE]


def none_is_left(seconds: float = 10.0) -> bool:
    """Whether all workers end within some seconds."""
    end = time.monotonic() + seconds
    while workers_alive() and time.monotonic() < end:
        time.sleep(0.05)
    return not workers_alive()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_are_the_order_asked_for_with_any_number_of_workers(workers: int) -> None:
    got = all_of(Lazy(Rows(), workers=workers))
    assert [len(y) for _, y in got] == [4, 4, 4, 4, 4, 3]
    x, y = torch.cat([x for x, _ in got]), torch.cat([y for _, y in got])
    assert x.dtype == torch.float32
    assert torch.equal(x, torch.stack([ORDER, ORDER + 0.5], 1))
    assert torch.equal(y, ORDER % 3)
    assert none_is_left()


def test_at_reads_these_rows_and_no_others() -> None:
    rows = Rows()
    lazy = Lazy(rows)
    assert lazy.at(torch.tensor([5, 2])).y.tolist() == [2, 2]
    assert lazy.at(slice(20, None)).x[:, 0].tolist() == [20, 21, 22]
    assert lazy.at(torch.arange(COUNT) == 7).x[:, 0].tolist() == [7]
    assert rows.read == [5, 2, 20, 21, 22, 7]
    with pytest.raises(DataError, match=r"positions in 0 … 22, got 0 … 23"):
        lazy.at(torch.tensor([0, 23]))
    assert all_of(lazy, torch.arange(0)) == []
    assert lazy.with_task(3).at(slice(0, 1)).task == 3


def jitter(row: int) -> Tensor:
    return torch.tensor([float(row), random.random(), np.random.random(), float(torch.rand(()))])


def test_random_transforms_are_the_same_bits_with_any_number_of_workers_and_after_a_resume() -> None:
    passes = [all_of(Lazy(Rows(jitter), workers=workers, seed=5)) for workers in (0, 1, 2)]
    assert same(passes[0], passes[1])
    assert same(passes[0], passes[2])
    assert same(passes[0][2:], all_of(Lazy(Rows(jitter), workers=2, seed=5), ORDER[8:]))
    other = all_of(Lazy(Rows(jitter), seed=5), ORDER.flip(0))
    drawn = [{int(row[0]): row[1:].tolist() for x, _ in batches for row in x} for batches in (passes[0], other)]
    assert all(drawn[0][row] != drawn[1][row] for row in range(COUNT)), "each pass draws anew"
    assert not same(passes[0], all_of(Lazy(Rows(jitter), seed=6)))
    values = torch.cat([x[:, 1:] for x, _ in passes[0]])
    assert len(values.unique()) == values.numel()


@pytest.mark.parametrize("workers", [0, 2])
def test_reading_leaves_the_callers_random_numbers_alone(workers: int) -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    all_of(Lazy(Rows(jitter), workers=workers))
    drawn = random.random(), np.random.random(), float(torch.rand(()))
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    assert drawn == (random.random(), np.random.random(), float(torch.rand(())))


def broken(row: int) -> None:
    if row == 7:
        raise KeyError("no such thing")


def nan_in_7(row: int) -> Tensor:
    return torch.tensor([1.0, float("nan") if row == 7 else 0.0])


def longer_7(row: int) -> Tensor:
    return torch.zeros(5 if row == 7 else 3)


def wider_7(row: int) -> Tensor:
    return torch.zeros(2, 5 if row == 7 else 3)


def text_7(row: int) -> Any:
    return "text" if row == 7 else torch.zeros(3)


def ragged_7(row: int) -> Any:
    return [[1, 2], [3]] if row == 7 else [[1, 2], [3, 4]]


def fields_7(row: int) -> Any:
    return {"a": torch.zeros(2), **({"b": torch.zeros(2)} if row == 7 else {})}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("act", "message"),
    [
        (broken, r"^photos, row 7 cannot be read: KeyError: 'no such thing'; repair the row or leave it out$"),
        (nan_in_7, r"^photos: x holds NaN or infinity at row 7; remove or impute it$"),
        (longer_7, r"^photos: expected x of one length, got 3 at row 6 and 5 at row 7; pad them to one length$"),
        (wider_7, r"x of one shape, got \(2, 3\) at row 6 and \(2, 5\) at row 7; bring them to one shape"),
        (text_7, r"^photos, x of row 7: expected a tensor, an array, a PIL image or a number, got str$"),
        (ragged_7, r"^photos, x of row 7: expected numbers of one shape"),
        (fields_7, r"row 7: expected x with the fields \['a'\] of row 6, got \['a', 'b'\]"),
    ],
)
def test_a_bad_row_is_named_wherever_it_is_read(act: Callable[[int], Any], message: str, workers: int) -> None:
    batches = Lazy(Rows(act), workers=workers, name="photos").batches(torch.arange(COUNT), 3)
    next(batches)
    next(batches)  # what comes before is delivered
    with pytest.raises(DataError, match=message):
        next(batches)
    assert none_is_left()


def test_the_file_of_a_bad_row_is_named_where_the_data_set_knows_it() -> None:
    rows = Rows(broken)
    rows.samples = [(f"/photos/{row}.jpg", 0) for row in range(COUNT)]  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"row 7 \(/photos/7.jpg\) cannot be read"):
        all_of(Lazy(rows))
    with pytest.raises(DataError, match=r"row 1 \(/photos/7.jpg\) cannot be read"):
        all_of(Lazy(Subset(rows, [3, 7])), torch.arange(2))


def die(row: int) -> None:
    if row == 5:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_one_sentence_at_the_next_batch() -> None:
    """By a real SIGKILL; never an error of torch in the middle of the caller's work."""
    batches = Lazy(Rows(die), workers=1, prefetch=1, name="photos").batches(torch.arange(COUNT), 4)
    seen = [next(batches)]
    time.sleep(1.0)  # the worker dies meanwhile: nothing may be raised here
    with pytest.raises(DataError, match=r"^photos: a worker process .* died .*use fewer workers, .* or workers=0$"):
        seen += list(batches)
    assert torch.equal(torch.cat([batch.y for batch in seen]), torch.arange(4 * len(seen)) % 3)
    assert none_is_left()


def test_workers_end_when_the_iteration_is_left_early() -> None:
    batches = Lazy(Rows(), workers=2).batches(torch.arange(COUNT), 2)
    next(batches)
    assert workers_alive()
    batches.close()  # type: ignore[attr-defined]
    assert none_is_left()
    del batches
    gc.collect()


def test_ctrl_c_leaves_no_worker_and_no_main_guard_is_needed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import os, signal, time, torch
        from torch.utils.data import Dataset
        from lifelong.data import Lazy

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born without it

        class Slow(Dataset):
            def __len__(self):
                return 10_000
            def __getitem__(self, index):
                time.sleep(0.01)
                return torch.zeros(2), 0

        for batch in Lazy(Slow(), workers=2).batches(torch.arange(10_000), 2):
            print("reading", flush=True)
        """)
    )
    started = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "reading\n"
    children = psutil.Process(started.pid).children(recursive=True)
    assert len(children) == 2
    os.killpg(started.pid, signal.SIGINT)  # as a terminal does
    _, error = started.communicate(timeout=120)
    assert "KeyboardInterrupt" in error
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_arrays_on_disk_are_read_by_row(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (50, 3, 4), dtype=np.uint8)
    file = np.memmap(tmp_path / "x.bin", dtype=np.uint8, mode="w+", shape=values.shape)
    file[:] = values
    file.flush()
    order = torch.randperm(50)
    for mode in ("r", "r+", "c"):
        opened = np.memmap(tmp_path / "x.bin", dtype=np.uint8, mode=mode, shape=values.shape)
        for workers in (0, 2):
            x, y = (torch.cat(part) for part in zip(*all_of(Lazy((opened, np.arange(50)), workers=workers), order),
                                                    strict=True))  # fmt: skip
            assert torch.equal(x, torch.from_numpy(values).float().div_(255)[order])
            assert torch.equal(y, order)
    wrong = np.memmap(tmp_path / "f.bin", dtype=np.float32, mode="w+", shape=(9, 2))
    wrong[5, 1] = np.nan
    with pytest.raises(DataError, match=r"NaN or infinity at row 5 \(.*f.bin\)"):
        Lazy((wrong, np.zeros(9, dtype=np.int64))).at(slice(3, 8))
    assert wrong[4, 0] == 0
    with pytest.raises(DataError, match=r"one target per example, got \[8, 9\] rows"):
        Lazy((wrong, np.zeros(8)))


def test_what_was_written_to_a_mapped_array_is_not_lost_by_reading(tmp_path: Path) -> None:
    file = np.memmap(tmp_path / "x.bin", dtype=np.float32, mode="w+", shape=(4, 1024))
    file[2] = 7
    private = np.memmap(tmp_path / "x.bin", dtype=np.float32, mode="c", shape=(4, 1024))
    private[1] = 5
    for array, row, value in ((file, 2, 7), (private, 1, 5)):
        lazy = Lazy((array, np.zeros(4, dtype=np.int64)))
        assert all(lazy.at(torch.tensor([row])).x.unique().tolist() == [value] for _ in range(2))


def test_columns_of_rows_that_are_dicts() -> None:
    table = Table(
        picture=[Image.new("RGB", (3, 2), (51 * i, 0, 255)) for i in range(5)],
        words=[[i, 0] for i in range(5)],
        label=[0, 1, 2, 1, 0],
    )
    batch = Lazy(table, columns=("picture", "label")).at(torch.tensor([4, 1]))
    assert batch.x.shape == (2, 3, 2, 3)
    assert torch.allclose(batch.x[:, 0, 0, 0], torch.tensor([0.8, 0.2]))
    both = Lazy(table, columns=(["picture", "words"], "label")).at(torch.tensor([4, 1]))
    assert both.x["words"].tolist() == [[4, 0], [1, 0]]
    assert both.y.tolist() == [0, 1]
    assert both.at(slice(0, 1)).x["picture"].shape == (1, 3, 2, 3)
    before = table.rows_read
    assert labels_of(Lazy(table, columns=("picture", "label"))).tolist() == [0, 1, 2, 1, 0]
    assert table.rows_read == before, "labels come from their column"
    with pytest.raises(SettingError, match=r"say which columns .* its columns: picture, words, label"):
        Lazy(table)
    with pytest.raises(SettingError, match="no column image; its columns: picture, words, label"):
        Lazy(table, columns=("image", "label"))


def test_a_transform_is_applied_to_each_row() -> None:
    shifted = Lazy(Rows(), transform=lambda x: x + 1).at(torch.tensor([3]))
    assert shifted.x.tolist() == [[4, 4.5]]
    array = Lazy((np.ones((4, 2), dtype=np.float32), np.zeros(4, dtype=np.int64)), transform=lambda x: x[:1] * 3)
    assert array.at(slice(0, 2)).x.tolist() == [[3], [3]]
    with pytest.raises(DataError, match="row 3 cannot be read: ZeroDivisionError"):
        Lazy(Rows(), transform=lambda x: 1 / 0).at(torch.tensor([3]))


def typed(y: Any, **settings: Any) -> Examples:
    return Lazy((np.zeros((len(y), 2), dtype=np.float32), np.asarray(y)), **settings).at(slice(None))


def test_targets_have_the_type_of_their_kind() -> None:
    assert typed([1.0, 2.0]).y.dtype == torch.int64
    numbers = typed([[1], [2]], target=Numbers(1)).y
    assert (numbers.dtype, numbers.shape) == (torch.float32, (2, 1))
    assert typed(np.array([1.5, 2.5]), target=Numbers(1)).y.tolist() == [[1.5], [2.5]]
    assert typed([[0, 1], [1, 1]], target=Labels(2)).y.dtype == torch.float32
    assert typed([[4, 0]], target=Tokens(5)).y.dtype == torch.int64


@pytest.mark.parametrize(
    ("y", "target", "message"),
    [
        ([0, 3], Classes(3), r"labels must be 0 … 2, got 3 at row 1"),
        ([0, -3], Classes(), r"labels must be 0 or more, got -3 at row 1"),
        ([0, 0.5], Classes(), r"whole numbers, got 0.5 at row 1; for regression say target=Numbers\(1\)"),
        ([[0, 1]], Classes(), r"one label per example.*target=: Numbers, Labels or Tokens"),
        ([[0.0, 1.0]], Numbers(3), r"expected numbers of shape \(N, 3\), got \(1, 2\)"),
        ([[0.0], [np.inf]], Numbers(1), r"y holds NaN or infinity at row 1"),
        ([[0, 1], [0, 2]], Labels(2), r"labels must be 0 or 1, got \[0, 2\] at row 1"),
        ([[0, 1]], Labels(3), r"expected labels of shape \(N, 3\)"),
        ([[0, 1], [0, 5]], Tokens(5), r"tokens must be in 0 … 4, got 0 … 5 at row 1"),
        ([[0.0, 1.0]], Tokens(5), r"whole number type, got torch.float64"),
        ([0, 1], Tokens(5), r"tokens of shape \(N, L\), got \(2,\)"),
    ],
)
def test_targets_outside_their_kind_are_refused_with_their_row(y: Any, target: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        typed(y, target=target)


def test_inputs_are_what_their_fields_say() -> None:
    words = {"image": np.full((2, 1, 2, 2), 51, dtype=np.uint8), "text": np.array([[1, 2], [3, 0]])}
    y = np.zeros(2, dtype=np.int64)
    fields = {"image": Field((1, 2, 2)), "text": Field((2,), vocabulary=4)}
    x = Lazy((words, y), inputs=fields).at(slice(None)).x
    assert (x["image"].dtype, x["text"].dtype) == (torch.float32, torch.int64)
    assert torch.allclose(x["image"], torch.tensor(0.2))
    for wrong, message in [
        ({"image": Field((1, 2, 2))}, r"by the names \['image'\], got \['image', 'text'\]"),
        ({**fields, "text": Field((3,), vocabulary=4)}, r"x\['text'\]: expected inputs of shape \(3,\), got \(2,\)"),
        ({**fields, "text": Field((2,), vocabulary=3)}, r"x\['text'\]: tokens must be in 0 … 2, got 0 … 3 at row 1"),
        ({**fields, "image": Field((1, 2, 2), vocabulary=60)}, None),
        (Field((2,)), r"expected one tensor of inputs, got a dict with \['image', 'text'\]"),
    ]:
        lazy = Lazy((words, y), inputs=wrong)
        if message is None:
            assert lazy.at(slice(None)).x["image"].dtype == torch.int64
            continue
        with pytest.raises(DataError, match=message):
            lazy.at(slice(None))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_view_chooses_rows_and_a_concat_joins_them(workers: int) -> None:
    lazy = Lazy(Rows(), workers=workers, task=1)
    odd = View(lazy, torch.arange(1, COUNT, 2), lambda examples: Examples(-examples.x, examples.y, examples.task))
    assert odd.at(torch.tensor([2, 0])).x[:, 0].tolist() == [-5, -1]
    both = Concat([odd.with_task(2), Examples(torch.zeros(3, 2), torch.tensor([0, 1, 2]), 3), lazy])
    assert len(both) == 11 + 3 + COUNT
    order = torch.randperm(len(both))
    read = Examples.cat(list(both.batches(order, 5)))
    whole = Examples.cat([as_examples(part) for part in both.parts]).at(order)
    assert torch.equal(read.x, whole.x)
    assert torch.equal(read.y, whole.y)
    assert torch.equal(read.task_numbers(), whole.task_numbers())
    assert both.workers == workers


def test_what_is_in_memory_stays_there() -> None:
    data = Examples(torch.rand(6, 2), torch.arange(6), 1)
    assert isinstance(subset(data, torch.tensor([1, 3])), Examples)
    assert isinstance(concat([data, data]), Examples)
    assert isinstance(subset(Lazy(Rows()), torch.tensor([1])), View)
    assert isinstance(concat([data, Lazy(Rows())]), Concat)
    assert all(isinstance(kind, Data) for kind in (data, Lazy(Rows()), View(data), Concat([data])))


def test_labels_come_from_what_a_data_set_says_of_itself() -> None:
    rows = Rows()
    assert labels_of(Lazy(rows)).tolist() == [i % 3 for i in range(COUNT)]
    assert len(rows.read) == COUNT, "nothing is said: every row is read once"
    rows = Rows()
    rows.targets = [i % 3 for i in range(COUNT)]  # type: ignore[attr-defined]
    for dataset, expected in [
        (rows, rows.targets),  # type: ignore[attr-defined]
        (Subset(rows, [4, 3]), [1, 0]),
        (ConcatDataset([rows, rows]), rows.targets * 2),  # type: ignore[attr-defined]
        (TensorDataset(torch.zeros(2, 1), torch.tensor([5, 6])), [5, 6]),
    ]:
        assert labels_of(Lazy(dataset)).tolist() == expected
    assert labels_of(View(Lazy(rows), torch.tensor([4, 3]))).tolist() == [1, 0]
    assert rows.read == []


@pytest.mark.parametrize(("settings", "message"), [({"workers": -1}, "workers"), ({"prefetch": 0}, "prefetch")])
def test_wrong_settings_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(SettingError, match=f"{message} must be"):
        Lazy(Rows(), **settings)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="size of a batch"):
        next(Lazy(Rows()).batches(torch.arange(3), 0))
