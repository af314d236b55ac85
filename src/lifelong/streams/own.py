"""A stream of your own data in three lines: from arrays by class, from a folder of images, from a CSV table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lifelong.errors import DataError, SettingError, require
from lifelong.streams.convert import examples_of
from lifelong.streams.readers import ascending, class_images, read_images, read_table
from lifelong.streams.split import split
from lifelong.streams.stream import Stream, held_out
from lifelong.types import Scenario

__all__ = ["from_csv", "from_folder", "split_by_class"]


def split_by_class(
    train: object,
    test: object,
    *,
    classes_per_task: int = 2,
    scenario: Scenario = "class",
    order: Sequence[int] | None = None,
    validation: float = 0.1,
    seed: int = 0,
    name: str = "own",
) -> Stream:
    """One labelled data set as a stream whose tasks bring `classes_per_task` new classes each.

    Arguments: `train` and `test` are (x, y) pairs of tensors or numpy arrays, x (N, …) and y (N,), or torch `Dataset`s
        of (x, y); bytes become 0 … 1. `order` lists every class once, in the order in which they come (default:
        ascending). In the scenarios `class` and `task` the output of a class is its position in `order`, 0 … K − 1; in
        the scenario `domain` it is its position within its task, 0 … classes_per_task − 1. `validation` is the
        fraction of every task's training part that is held out, drawn from `seed`.

    Raises: `DataError` for data that is empty, not finite, of unequal length, or whose classes differ between train and
        test; `SettingError` where the classes cannot be shared out evenly or `order` is no order of them.

    >>> x, y = torch.rand(40, 3), torch.arange(40) % 4
    >>> stream = split_by_class((x, y), (x, y), order=[2, 0, 3, 1])
    >>> [(task.name, task.classes, len(task.train), len(task.test)) for task in stream]
    [('classes 2, 0', (0, 1), 18, 20), ('classes 3, 1', (2, 3), 18, 20)]
    """
    learn, exam = examples_of(train, "training part"), examples_of(test, "test part")
    if learn.x.shape[1:] != exam.x.shape[1:]:
        shapes = f"{tuple(learn.x.shape[1:])} in training and {tuple(exam.x.shape[1:])} in test"
        raise DataError(f"expected inputs of one shape, got {shapes}")
    known = torch.unique(torch.cat([learn.y, exam.y]))
    classes = known.tolist()
    if order is not None and sorted(order) != classes:
        raise SettingError(f"order must list every class once: expected an order of {classes}, got {list(order)}")
    ranks = range(len(classes)) if order is None else [classes.index(label) for label in order]
    parts = (learn.x, torch.searchsorted(known, learn.y), exam.x, torch.searchsorted(known, exam.y))
    groups = _groups(ranks, classes_per_task)
    return split(name, *parts, groups, scenario, validation, seed, class_names=[str(label) for label in classes])


def from_folder(
    folder: str | Path,
    *,
    size: tuple[int, int] | None = None,
    gray: bool = False,
    test: float = 0.2,
    classes_per_task: int | None = None,
    scenario: Scenario = "class",
    validation: float = 0.1,
    seed: int = 0,
) -> Stream:
    """A folder of images as a stream: `folder/<class>/<image>.png`, or the same under `folder/train` and `folder/test`.

    Arguments: `size` is the (height, width) in pixels that all images are resized to; without it they must have one
        size. `gray` gives one channel, else three. `test` is the fraction of every class that becomes the test, drawn
        from `seed`; it is not used where `train` and `test` folders exist. Classes are numbered in the order of their
        names (by value where all are numbers); `classes_per_task` of them come with each task, all in one task where
        it is None. Inputs are float32 in 0 … 1, (N, channels, height, width); 8-bit images only, transparency is
        dropped. Images are kept as bytes and scaled when a task is asked for. `scenario` and `validation`: see
        `split_by_class`.

    Raises: `DataError` for images that are damaged or differ in size, a class folder without images, no class folders,
        or a class that only `train` or only `test` has; `SettingError` where Pillow is missing, or classes cannot be
        shared out evenly.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for number, animal in enumerate(["cat", "dog", "cat", "dog"]):
    ...         (Path(place) / animal).mkdir(exist_ok=True)
    ...         Image.new("RGB", (5, 4), "white").save(Path(place) / animal / f"{number}.png")
    ...     stream = from_folder(place, test=0.5, classes_per_task=1)
    >>> [(task.name, tuple(task.train.x.shape), task.train.x.max().item()) for task in stream]
    [('class cat', (1, 3, 4, 5), 1.0), ('class dog', (1, 3, 4, 5), 1.0)]
    """
    if size is not None:
        require(len(size) == 2 and min(size) > 0, f"size must be (height, width) in pixels, got {size!r}")
    root = Path(folder)
    ready = (root / "train").is_dir() and (root / "test").is_dir()
    parts = [class_images(root / part) for part in ("train", "test")] if ready else [class_images(root)]
    names = ascending(parts[0])
    if set(parts[-1]) != set(names):
        only = ", ".join(sorted(set(names) ^ set(parts[-1])))
        raise DataError(f"{root / 'train'} and {root / 'test'} must have the same classes; only one has: {only}")
    groups = _groups(range(len(names)), classes_per_task)
    files = [(path, number) for part in parts for number, name in enumerate(names) for path in part[name]]
    x = read_images([path for path, _ in files], size, gray)
    y = torch.tensor([number for _, number in files])
    first = sum(len(paths) for paths in parts[0].values())
    learn, exam = (torch.arange(first), torch.arange(first, len(y))) if ready else _test_part(y, test, seed)
    stream = split(root.resolve().name, x[learn], y[learn], x[exam], y[exam], groups, scenario, validation, seed, names)
    return stream.map(lambda pixels: pixels.float().div_(255))


def from_csv(
    path: str | Path,
    *,
    label: str,
    task: str | None = None,
    classes_per_task: int | None = None,
    test: float = 0.2,
    validation: float = 0.1,
    scenario: Scenario = "domain",
    standardize: bool = True,
    seed: int = 0,
) -> Stream:
    """A CSV table with a header as a stream of rows of features.

    Arguments: `label` is the column of the classes; outputs follow their sorted values (by value where all are
        numbers). `task` is a column with one task per distinct value, in order of first appearance; without it,
        `classes_per_task` classes come with each task (see `split_by_class`), or all in one task where it is None too.
        All other columns are features and must be numbers. `test` is the fraction of every class in a task that
        becomes its test, drawn from `seed`; `validation` is held out of the rest. `standardize` subtracts the mean and
        divides by the standard deviation of every column over the training part of task 1, and of nothing else, so
        neither test data nor later tasks leak in; a column that is constant there is only centred.

    Raises: `DataError` for a file that is missing, empty or no CSV, a column that it has not, a row of another length,
        and a cell that is no finite number, with its line and column; `SettingError` for settings out of range.

    >>> import tempfile
    >>> rows = "".join(f"{i},{i * i},{'ab'[i % 2]},{'summer' if i < 20 else 'winter'}\\n" for i in range(40))
    >>> with tempfile.TemporaryDirectory() as place:
    ...     table = Path(place) / "seasons.csv"
    ...     _ = table.write_text("size,weight,kind,season\\n" + rows)
    ...     stream = from_csv(table, label="kind", task="season")
    >>> [(task.name, task.classes, tuple(task.train.x.shape), len(task.test)) for task in stream]
    [('summer', (0, 1), (14, 2), 4), ('winter', (0, 1), (14, 2), 4)]
    """
    require(task is None or classes_per_task is None, "give task= or classes_per_task=, not both: each defines tasks")
    require(task != label, f"label and task must be two columns, got {label!r} for both")
    source = Path(path)
    table = read_table(source, label, task)
    if task is None:
        learn, exam = _test_part(table.y_N, test, seed)
        x, y = table.x_ND, table.y_N
        groups = _groups(range(len(table.classes)), classes_per_task)
        parts = (x[learn], y[learn], x[exam], y[exam])
        stream = split(source.stem, *parts, groups, scenario, validation, seed, table.classes)
    else:
        datasets = []
        for number in range(len(table.tasks)):
            rows = (table.task_N == number).nonzero()[:, 0]
            x, y = table.x_ND[rows], table.y_N[rows]
            learn, exam = _test_part(y, test, seed + number)
            datasets.append(((x[learn], y[learn]), (x[exam], y[exam])))
        stream = Stream.from_datasets(
            datasets, scenario=scenario, validation=validation, names=table.tasks, name=source.stem, seed=seed
        )
    return _standardized(stream) if standardize else stream


def _groups(order: Sequence[int], size: int | None) -> list[list[int]]:
    """`order` cut into groups of `size`; one group where it is None."""
    size = len(order) if size is None else size
    require(size >= 1, f"classes_per_task must be 1 or more, got {size}")
    require(
        len(order) % size == 0,
        f"{len(order)} classes cannot be shared out evenly with classes_per_task={size}; use a divisor of {len(order)}",
    )
    return [list(order[start : start + size]) for start in range(0, len(order), size)]


def _test_part(y_N: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Positions to learn from and positions of the test: `fraction` of every class, at least one where it has two."""
    require(0 < fraction < 1, f"test must be a fraction between 0 and 1, got {fraction}")
    learn: list[Tensor] = []
    exam: list[Tensor] = []
    for label in torch.unique(y_N):
        positions = (y_N == label).nonzero()[:, 0]
        count = len(positions)
        kept, held = held_out(count, max(fraction, 1 / count) if count > 1 else fraction, seed)
        learn.append(positions[kept])
        exam.append(positions[held])
    return torch.cat(learn).sort().values, torch.cat(exam).sort().values


def _standardized(stream: Stream) -> Stream:
    first_ND = stream.task(1).train.x.double()
    constant_D = first_ND.amax(0) == first_ND.amin(0)
    mean_D = first_ND.mean(0)
    scale_D = torch.where(constant_D, 1.0, first_ND.std(0, correction=0))
    return stream.map(lambda x: ((x - mean_D) / scale_D).float())
