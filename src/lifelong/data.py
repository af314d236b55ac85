"""Data that is read batch by batch, so that a task may be larger than memory.

`Lazy` reads the rows of a data set, `View` chooses rows of other data and changes them, `Concat` joins data. All are
`types.Data`, as `Examples` are: `at` reads the rows asked for and no others, `batches` reads ahead with the worker
processes of a torch `DataLoader`. The batches are the same bits whatever the number of workers.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset

from lifelong.errors import DataError, LifelongError, SettingError, require
from lifelong.types import Classes, Data, Examples, Target, Tokens, Tree
from lifelong.values import Inputs, check_finite, entries, inputs_from, item_tensor, targets_from, tensor_from

__all__ = [
    "ByKind",
    "Columns",
    "Concat",
    "Lazy",
    "View",
    "class_names_of",
    "concat",
    "is_memory_mapped",
    "labels_of",
    "read_ahead",
    "subset",
]

#: the columns of x and of y in rows that are dicts
Columns: TypeAlias = tuple[str | Sequence[str], str]

#: as in malloc.h of glibc, and the bytes of a block above which it is given back when it is freed
M_MMAP_THRESHOLD, LARGE_BLOCK = -3, 4 * 2**20
#: rows that are read at once where only their labels are wanted
LABEL_ROWS = 1024


@dataclass(frozen=True)
class Lazy:
    """Rows of a data set, read when they are asked for.

    Random transforms inside `dataset` (from Python's, NumPy's or torch's global generators) are drawn from `seed` and
    the rows of the batch: a reshuffled pass draws anew, the same rows in the same order give the same bits, with any
    number of workers and after a resume. A batch of one row is therefore drawn alike each time; augment batches with
    `Training` instead.

    Args:
        dataset: A map-style torch `Dataset` of (x, y); a pair (x, y) of arrays that can be indexed by row, as
            `np.memmap`; or, with `columns`, rows that are dicts, as those of Hugging Face `datasets`. x may be a
            tensor, an array, a PIL image, or a dict of these.
        target: What y is; it decides y's type and is checked with each batch.
        inputs: What x is: a `Field`, or one for each entry of a dict. Fields with a vocabulary stay whole numbers,
            everything else becomes float32, and bytes (uint8) become 0 … 1. None reads a dict's int32 and int64 entries
            as tokens.
        columns: The column or columns of x, and the column of y, where rows are dicts.
        transform: Applied to x of each row before it becomes a tensor.
        workers: Processes that read ahead while the model learns; 0 reads in this process. They are started for each
            pass over the data and end with it. Outside Linux they are started by pickling the data set.
        prefetch: Batches that each worker has ready at most.
        seed: Of the random numbers inside `dataset` and `transform`.
        name: The name of the data in errors.
        task: The number of the task.

    Raises:
        DataError: While reading: the data set raises, a worker dies, rows do not fit each other or `inputs` or
            `target`, or hold NaN. The message names the row, and the file where it is known.

    Example:
        >>> squares = TensorDataset(torch.arange(6.0)[:, None] ** 2, torch.arange(6) % 2)
        >>> [batch.x.flatten().tolist() for batch in Lazy(squares).batches(torch.tensor([5, 0, 3]), 2)]
        [[25.0, 0.0], [9.0]]
    """

    dataset: Any
    target: Target = Classes()
    inputs: Inputs = None
    columns: Columns | None = None
    transform: Callable[[Any], Any] | None = None
    workers: int = 0
    prefetch: int = 2
    seed: int = 0
    name: str = "data"
    task: int = 0

    def __post_init__(self) -> None:
        require(self.workers >= 0, f"workers must be 0 or more, got {self.workers}")
        require(self.prefetch >= 1, f"prefetch must be 1 or more, got {self.prefetch}")
        rows = isinstance(self.dataset, tuple) or (
            hasattr(self.dataset, "__len__") and hasattr(self.dataset, "__getitem__")
        )
        require(
            rows and not isinstance(self.dataset, Mapping),
            f"{self.name}: expected a data set of rows, with a length and an index, got {type(self.dataset).__name__}; "
            "give one split of it, or store it first (save_to_disk)",
        )
        if self.columns is None and hasattr(self.dataset, "column_names"):
            raise SettingError(
                f"{self.name}: say which columns are x and y: Lazy(dataset, columns=('image', 'label')); "
                f"its columns: {', '.join(self.dataset.column_names)}"
            )
        if self.columns is not None and hasattr(self.dataset, "column_names"):
            missing = sorted({*_names(self.columns[0]), self.columns[1]} - set(self.dataset.column_names))
            known = ", ".join(self.dataset.column_names)
            require(not missing, f"{self.name} has no column {', '.join(missing)}; its columns: {known}")
        if isinstance(self.dataset, tuple):
            counts = {len(array) for array in (*leaves_of(self.dataset[0]), self.dataset[1])}
            if len(counts) != 1:
                raise DataError(f"{self.name}: expected one target per example, got {sorted(counts)} rows")

    def __len__(self) -> int:
        return len(self.dataset[1] if isinstance(self.dataset, tuple) else self.dataset)

    def with_task(self, number: int) -> Lazy:
        """The same data as examples of task `number`."""
        return replace(self, task=number)

    def at(self, index: Tensor | slice) -> Examples:
        """The examples at `index`; no other row is read."""
        rows = _positions(index, len(self)).tolist()
        foreign = self.transform is not None or not isinstance(self.dataset, tuple)
        with _seeded(self.seed, rows) if foreign else nullcontext():
            x, y = self._arrays(rows) if isinstance(self.dataset, tuple) else self._items(rows)

        def where(row: int) -> str:
            return _row_name(self.dataset, rows[row])

        x = inputs_from(x, self.inputs, self.name, where, tokens=isinstance(self.target, Tokens))
        y = targets_from(y, self.target, self.name, where)
        check_finite(x, self.name, where)
        return Examples(x, y, self.task)

    def batches(self, order_N: Tensor, size: int) -> Iterator[Examples]:
        """The examples at the positions `order_N`, `size` at a time, in exactly this order."""
        return read_ahead(self, order_N, size, self.workers, self.prefetch)

    def _arrays(self, rows: list[int]) -> tuple[Tree, Tree]:
        arrays, targets = self.dataset
        read = {name: _read_rows(array, rows) for name, array in entries(arrays)}
        x: Any = read if isinstance(arrays, Mapping) else read[""]
        if self.transform is not None:
            each = [{name: value[i] for name, value in read.items()} for i in range(len(rows))]
            x = self._stacked([self._item(row, item.get("", item))
                               for row, item in zip(rows, each, strict=True)], rows, "x")  # fmt: skip
        else:
            x = tensor_from(x, f"{self.name}, x")
        return x, tensor_from(_read_rows(targets, rows), f"{self.name}, y")

    def _items(self, rows: list[int]) -> tuple[Tree, Tree]:
        inputs: list[Tree] = []
        targets: list[Tree] = []
        for row in rows:
            try:
                item = self.dataset[row]
            except LifelongError:
                raise
            except Exception as error:
                raise self._broken(row, error) from error
            x, y = self._pair(item, row)
            inputs.append(self._item(row, x))
            targets.append(item_tensor(y, f"{self.name}, y of {_row_name(self.dataset, row)}"))
        return self._stacked(inputs, rows, "x"), self._stacked(targets, rows, "y")

    def _pair(self, item: Any, row: int) -> tuple[Any, Any]:
        place = f"{self.name}, {_row_name(self.dataset, row)}"
        if self.columns is None:
            if not isinstance(item, (tuple, list)) or len(item) != 2:
                fix = "; for rows that are dicts give columns=" if isinstance(item, Mapping) else ""
                raise DataError(f"{place}: expected (x, y), got {type(item).__name__}{fix}")
            return item[0], item[1]
        x, y = self.columns
        missing = [name for name in (*_names(x), y) if not isinstance(item, Mapping) or name not in item]
        if missing:
            known = sorted(item) if isinstance(item, Mapping) else type(item).__name__
            raise DataError(f"{place}: expected a dict with {', '.join(missing)}, got {known}")
        return item[x] if isinstance(x, str) else {name: item[name] for name in x}, item[y]

    def _item(self, row: int, x: Any) -> Tree:
        if self.transform is not None:
            try:
                x = self.transform(x)
            except Exception as error:
                raise self._broken(row, error) from error
        return item_tensor(x, f"{self.name}, x of {_row_name(self.dataset, row)}")

    def _broken(self, row: int, error: Exception) -> DataError:
        place = f"{self.name}, {_row_name(self.dataset, row)}"
        return DataError(f"{place} cannot be read: {type(error).__name__}: {error}; repair the row or leave it out")

    def _stacked(self, items: list[Tree], rows: list[int], what: str) -> Tree:
        """The items of a batch as one tree."""
        first = items[0]
        for row, item in zip(rows, items, strict=True):
            if isinstance(item, dict) != isinstance(first, dict) or set(_fields(item)) != set(_fields(first)):
                raise DataError(
                    f"{self.name}, {_row_name(self.dataset, row)}: expected {what} with the fields {_fields(first)} of "
                    f"row {rows[0]}, got {_fields(item)}"
                )
            for field, leaf in entries(item):
                other = dict(entries(first))[field]
                if leaf.shape != other.shape:
                    ragged = leaf.ndim == other.ndim == 1
                    fix = "pad them to one length" if ragged else "bring them to one shape first, with transform="
                    seen = [len(some) if ragged else tuple(some.shape) for some in (other, leaf)]
                    raise DataError(
                        f"{self.name}: expected {what}{f'[{field!r}]' if field else ''} of one "
                        f"{'length' if ragged else 'shape'}, got {seen[0]} at row {rows[0]} and {seen[1]} at "
                        f"{_row_name(self.dataset, row)}; {fix}"
                    )
        if isinstance(first, dict):
            return {field: torch.stack([item[field] for item in items]) for field in first}
        return torch.stack(items)


@dataclass(frozen=True)
class View:
    """Some rows of other data, each batch changed by a function.

    Args:
        data: What is read.
        rows_N: Positions in `data`; None for all.
        change: Examples to examples of the same number, applied to what was read, in the process that reads.

    Example:
        >>> even = View(Examples(torch.arange(6.0)[:, None], torch.zeros(6).long(), 1), torch.tensor([0, 2, 4]))
        >>> even.at(torch.tensor([2, 1])).x.flatten().tolist()
        [4.0, 2.0]
    """

    data: Data
    rows_N: Tensor | None = None
    change: Callable[[Examples], Examples] | None = None

    def __len__(self) -> int:
        return len(self.data) if self.rows_N is None else len(self.rows_N)

    @property
    def workers(self) -> int:
        """The processes that read."""
        return _workers(self.data)

    def with_task(self, number: int) -> View:
        """The same rows as examples of task `number`."""
        return replace(self, data=self.data.with_task(number))

    def at(self, index: Tensor | slice) -> Examples:
        """The examples at `index`; no other row is read."""
        rows = _positions(index, len(self))
        examples = self.data.at(rows if self.rows_N is None else self.rows_N[rows])
        return examples if self.change is None else self.change(examples)

    def batches(self, order_N: Tensor, size: int) -> Iterator[Examples]:
        """The examples at the positions `order_N`, `size` at a time."""
        return read_ahead(self, order_N, size, self.workers)


@dataclass(frozen=True)
class Concat:
    """The rows of several data, one after the other.

    Args:
        parts: What is joined; their examples have the same inputs and targets, their tasks may differ.

    Example:
        >>> one = Examples(torch.zeros(2, 1), torch.tensor([0, 1]), 1)
        >>> both = Concat([one, View(one.with_task(2))])
        >>> len(both), both.at(torch.tensor([3, 0])).task.tolist()
        (4, [2, 1])
    """

    parts: Sequence[Data]

    def __post_init__(self) -> None:
        require(len(self.parts) > 0, "expected at least one part to join, got none")

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    @property
    def workers(self) -> int:
        """The processes that read."""
        return max(_workers(part) for part in self.parts)

    def with_task(self, number: int) -> Concat:
        """The same rows as examples of task `number`."""
        return Concat([part.with_task(number) for part in self.parts])

    def at(self, index: Tensor | slice) -> Examples:
        """The examples at `index`; no other row is read."""
        rows = _positions(index, len(self))
        ends = torch.tensor([len(part) for part in self.parts]).cumsum(0)
        owner = torch.searchsorted(ends, rows, right=True)
        chosen: list[Tensor] = []
        pieces: list[Examples] = []
        for number in owner.unique().tolist() if len(rows) else [0]:
            chosen.append((owner == number).nonzero()[:, 0])
            start = int(ends[number]) - len(self.parts[number])
            pieces.append(self.parts[number].at(rows[chosen[-1]] - start))
        if len(pieces) == 1:
            return pieces[0]
        return Examples.cat(pieces).at(torch.cat(chosen).argsort())

    def batches(self, order_N: Tensor, size: int) -> Iterator[Examples]:
        """The examples at the positions `order_N`, `size` at a time."""
        return read_ahead(self, order_N, size, self.workers)


@dataclass(frozen=True)
class ByKind(Concat):
    """The rows of several data that do not fit into one batch: every batch is of one of them.

    Example:
        >>> vectors = Examples(torch.zeros(3, 2), torch.tensor([0, 1, 0]), 1)
        >>> images = Examples(torch.zeros(2, 1, 4, 4), torch.tensor([0, 1]), 2)
        >>> [len(batch) for batch in ByKind([vectors, images]).batches(torch.tensor([4, 2, 0, 1, 3]), 2)]
        [2, 3]
    """

    def arranged(self, order_N: Tensor, size: int) -> list[Tensor]:
        """The rows of each batch of a pass in the order `order_N`; a last batch of one joins the one before it.

        The batches of the parts are shuffled by their first rows, which are drawn where the order is.
        """
        batches: list[tuple[float, Tensor]] = []
        start = 0
        for part in self.parts:
            rows_N = order_N[(order_N >= start) & (order_N < start + len(part))]
            pieces = list(rows_N.split(size)) if len(rows_N) else []
            if len(pieces) > 1 and len(pieces[-1]) == 1:
                pieces[-2:] = [torch.cat(pieces[-2:])]
            batches += [((int(rows[0]) - start) / len(part), rows) for rows in pieces]
            start += len(part)
        return [rows for _, rows in sorted(batches, key=itemgetter(0))]

    def batches(self, order_N: Tensor, size: int) -> Iterator[Examples]:
        """The examples at the positions `order_N`, up to `size` at a time, each batch of one kind."""
        for rows in self.arranged(order_N.cpu(), size):
            yield self.at(rows)


def subset(data: Data, rows_N: Tensor) -> Data:
    """The rows of `data` at `rows_N`: copied where they are in memory, else a `View`."""
    return data.at(rows_N) if isinstance(data, Examples) else View(data, rows_N)


def concat(parts: Sequence[Data]) -> Data:
    """The rows of `parts` in order: joined in memory where all are there, else a `Concat`."""
    whole = [part for part in parts if isinstance(part, Examples)]
    return Examples.cat(whole) if len(whole) == len(parts) else Concat(parts)


# --- reading ahead ---


def read_ahead(data: Data, order_N: Tensor, size: int, workers: int, prefetch: int = 2) -> Iterator[Examples]:
    """`data.at` of the positions `order_N`, `size` at a time, read by `workers` processes before they are asked for.

    The workers end with the iteration, also where it is left early (`close()`) or interrupted. They never touch the
    caller's random numbers. Batches are pinned where this process uses a GPU.

    Raises:
        DataError: A row cannot be read, or a worker died; the batch before it has been delivered.
    """
    order = order_N.cpu()
    require(size >= 1, f"the size of a batch must be 1 or more, got {size}")
    if len(order) == 0:
        return
    if workers == 0:
        for index_B in order.split(size):
            yield data.at(index_B)
        return
    loader = DataLoader(
        _Reader(data),
        batch_size=None,
        sampler=_Chunks(order, size),
        num_workers=min(workers, -(-len(order) // size)),
        prefetch_factor=prefetch,
        collate_fn=_as_it_is,
        worker_init_fn=_return_freed_memory,
        pin_memory=torch.cuda.is_initialized(),
        generator=torch.Generator(),  # else the caller's generator would move on
        multiprocessing_context="fork" if sys.platform == "linux" else None,  # no main guard is needed to fork
    )
    with _child_signals_unchanged(), warnings.catch_warnings():
        # Python 3.12 warns of threads at a fork; a worker runs torch on one thread and takes no lock of the others'
        warnings.filterwarnings("ignore", ".*multi-threaded.*", DeprecationWarning)
        batches: Any = iter(loader)
    try:
        while True:
            trouble = ""
            try:
                batch = next(batches, None)
            except RuntimeError as error:
                trouble, batch = str(error).splitlines()[0], None
            if trouble:
                raise DataError(
                    f"{getattr(data, 'name', 'data')}: a worker process that reads ahead died ({trouble}); "
                    "memory (or /dev/shm) may be used up: use fewer workers, smaller batches, or workers=0"
                )
            if batch is None:
                return
            if isinstance(batch, LifelongError):
                raise batch
            yield Examples(*batch)
    finally:
        batches._shutdown_workers()  # at once: an error's traceback could keep the iterator, and them, for long


class _Reader(Dataset[Any]):
    """What a worker runs: errors come back as values, since torch would bury their sentence in a traceback."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def __getitem__(self, index: list[int]) -> Any:
        try:
            batch = self.data.at(torch.tensor(index))
        except LifelongError as error:
            return error
        return batch.x, batch.y, batch.task


@dataclass(frozen=True)
class _Chunks:
    """The positions of each batch, as lists: tensors would take a file descriptor each on their way to a worker."""

    order_N: Tensor
    size: int

    def __len__(self) -> int:
        return -(-len(self.order_N) // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        return (index_B.tolist() for index_B in self.order_N.split(self.size))


def _as_it_is(batch: Any) -> Any:
    return batch


def _return_freed_memory(worker: int) -> None:
    """Let glibc give large blocks back when they are freed: in a worker, freed batches would pile up to gigabytes."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


@contextmanager
def _child_signals_unchanged() -> Iterator[None]:
    """Undo what a `DataLoader` does with SIGCHLD: its handler would raise in the middle of a training step.

    A dead worker is then found when the next batch is asked for, within seconds, before anything has changed.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGCHLD, before)


@contextmanager
def _seeded(seed: int, rows: list[int]) -> Iterator[None]:
    """The global generators seeded by `seed` and `rows`, and put back as they were."""
    digest = hashlib.blake2b(np.array([seed, *rows], dtype=np.int64).tobytes(), digest_size=7).digest()
    number = int.from_bytes(digest, "little")
    before = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    random.seed(number)
    np.random.seed(number % 2**32)
    torch.default_generator.manual_seed(number)  # not torch.manual_seed: a forked worker must not touch a GPU
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.random.set_rng_state(before[2])


def _workers(data: Data) -> int:
    return int(getattr(data, "workers", 0))


def _positions(index: Tensor | slice, count: int) -> Tensor:
    """`index` as int64 positions in 0 … count − 1."""
    if isinstance(index, slice):
        return torch.arange(count)[index]
    rows = index.cpu()
    rows = rows.nonzero()[:, 0] if rows.dtype == torch.bool else rows.to(torch.int64)
    if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= count):
        raise DataError(f"expected positions in 0 … {count - 1}, got {int(rows.min())} … {int(rows.max())}")
    return rows


# --- what data sets say of themselves ---


def labels_of(data: Data) -> Tensor:
    """The class of each example, (N,).

    What the data set says of itself (`targets`, `labels`, `y`, a column) is taken where it is there; else every row is
    read once, and only its label is held.
    """
    if isinstance(data, Examples):
        return data.y
    if isinstance(data, View) and data.change is None:
        labels = labels_of(data.data)
        return labels if data.rows_N is None else labels[data.rows_N]
    if isinstance(data, Concat):
        return torch.cat([labels_of(part) for part in data.parts])
    known = _known_labels(data.dataset, data.columns) if isinstance(data, Lazy) else None
    if known is not None and len(known) == len(data):
        return targets_from(known, Classes(), getattr(data, "name", "data"))
    return torch.cat([batch.y for batch in data.batches(torch.arange(len(data)), LABEL_ROWS)])


def _known_labels(dataset: Any, columns: Columns | None) -> Tensor | None:
    if isinstance(dataset, tuple):
        return _labels(dataset[1])
    if isinstance(dataset, TensorDataset):
        return _labels(dataset.tensors[-1])
    if isinstance(dataset, Subset):
        labels = _known_labels(dataset.dataset, columns)
        return None if labels is None else labels[torch.as_tensor(list(dataset.indices), dtype=torch.int64)]
    if isinstance(dataset, ConcatDataset):
        parts = [_known_labels(part, columns) for part in dataset.datasets]
        known = [part for part in parts if part is not None]
        return torch.cat(known) if len(known) == len(parts) else None
    if columns is not None:
        return _labels(dataset[columns[1]]) if hasattr(dataset, "column_names") else None
    for name in ("targets", "labels", "y"):
        labels = _labels(getattr(dataset, name, None))
        if labels is not None:
            return labels
    return None


def _labels(values: Any) -> Tensor | None:
    """`values` as labels (N,), where they are whole numbers."""
    if values is None or callable(values):
        return None
    try:
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    except (TypeError, ValueError):
        return None
    return torch.from_numpy(array.astype(np.int64)) if array.ndim == 1 and array.dtype.kind in "iu" else None


def class_names_of(data: Data) -> dict[int, str]:
    """What a data set calls its classes: `classes`, as of torchvision, or the names of its column of labels."""
    if isinstance(data, View) and data.change is None:
        return class_names_of(data.data)
    if not isinstance(data, Lazy) or isinstance(data.dataset, tuple):
        return {}
    names = getattr(data.dataset, "classes", None)
    if data.columns is not None:
        features = getattr(data.dataset, "features", None)
        names = getattr(features.get(data.columns[1]), "names", None) if isinstance(features, Mapping) else None
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return {}
    return dict(enumerate(names))


def is_memory_mapped(data: Any) -> bool:
    """Whether `data` is a memory-mapped array, or a dict with one."""
    return any(isinstance(value, np.memmap) for value in leaves_of(data))


def _read_rows(array: Any, rows: list[int]) -> Any:
    """A copy of these rows; the pages of a memory-mapped file that were read for it are given back at once."""
    values = array[rows] if isinstance(array, Tensor) else np.asarray(array[rows])
    mapping = getattr(array, "_mmap", None)
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED") and getattr(array, "mode", "c") != "c":
        mapping.madvise(mmap.MADV_DONTNEED)
    return values


def _row_name(dataset: Any, row: int) -> str:
    """Row `row`, with its file where the data set knows it."""
    file = _file(dataset, row)
    return f"row {row}" if file is None else f"row {row} ({file})"


def _file(dataset: Any, row: int) -> str | None:
    if isinstance(dataset, tuple):
        names = [getattr(array, "filename", None) for array in leaves_of(dataset[0])]
        return next((str(name) for name in names if name is not None), None)
    if isinstance(dataset, Subset):
        return _file(dataset.dataset, int(dataset.indices[row]))
    for name in ("files", "paths", "samples"):
        files = getattr(dataset, name, None)
        if isinstance(files, Sequence) and not isinstance(files, str) and row < len(files):
            entry = files[row][0] if isinstance(files[row], (tuple, list)) else files[row]
            return str(entry)
    return None


def leaves_of(data: Any) -> list[Any]:
    """The arrays of a dict of arrays, or the one array."""
    return list(data.values()) if isinstance(data, Mapping) else [data]


def _fields(tree: Tree) -> list[str]:
    return sorted(tree) if isinstance(tree, dict) else []


def _names(column: str | Sequence[str]) -> list[str]:
    return [column] if isinstance(column, str) else list(column)
