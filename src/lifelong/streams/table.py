"""A CSV table as a stream; every fault is named with its line and column."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from lifelong.errors import DataError, require
from lifelong.streams.from_data import stream_of
from lifelong.streams.split import class_groups, split
from lifelong.streams.stream import Stream, held_out
from lifelong.types import Examples, Scenario
from lifelong.values import check_precision

__all__ = ["Table", "ascending", "from_csv", "read_table", "test_rows"]

LARGEST = torch.finfo(torch.float32).max


def from_csv(
    path: str | Path,
    *,
    label: str,
    task: str | None = None,
    classes_per_task: int | Sequence[int] | None = None,
    test: float = 0.2,
    validation: float = 0.0,
    scenario: Scenario = "domain",
    standardize: bool = True,
    seed: int = 0,
) -> Stream:
    """A CSV table with a header as a stream of rows of features.

    Args:
        path: A comma-separated file in UTF-8. All columns but `label` and `task` are features and must be numbers.
        label: The column of the classes; outputs follow their sorted values (by value where all are numbers).
        task: A column with one task per distinct value, in order of first appearance.
        classes_per_task: Without `task`: classes that come with each task, see `split_by_class`; None puts all in one.
        test: The fraction of every class in a task that becomes its test, drawn from `seed`.
        validation: The fraction of the rest that is held out.
        scenario: See `split_by_class`.
        standardize: Subtract the mean and divide by the standard deviation of every column over the training split of
            task 1, and of nothing else, so neither test data nor later tasks leak in; in float64, so that columns far
            from 0 (seconds since 1970) lose nothing. A column that is constant there is only centred.
        seed: Of both draws.

    Raises:
        DataError: The file is missing, empty or no CSV, lacks a column, has a row of another length, or a cell that is
            no finite number, with its line and column; or float32 cannot tell the values of a column apart.
        SettingError: A setting is out of its range.

    Example:
        >>> import tempfile
        >>> rows = "".join(f"{i},{i * i},{'ab'[i % 2]},{'summer' if i < 20 else 'winter'}\\n" for i in range(40))
        >>> with tempfile.TemporaryDirectory() as place:
        ...     table = Path(place) / "seasons.csv"
        ...     _ = table.write_text("size,weight,kind,season\\n" + rows)
        ...     stream = from_csv(table, label="kind", task="season")
        >>> [(task.name, task.classes, tuple(task.train.x.shape), len(task.test)) for task in stream]
        [('summer', (0, 1), (16, 2), 4), ('winter', (0, 1), (16, 2), 4)]
    """
    require(task is None or classes_per_task is None, "give task= or classes_per_task=, not both: each defines tasks")
    require(task != label, f"label and task must be two columns, got {label!r} for both")
    source = Path(path)
    table = read_table(source, label, task)
    if task is None:
        learn, exam = test_rows(table.y_N, test, seed)
        rows = Examples(table.x_ND, table.y_N, 0)
        each = list(classes_per_task) if isinstance(classes_per_task, Sequence) else classes_per_task
        groups = class_groups(range(len(table.classes)), each)
        pair = rows.at(learn), rows.at(exam)
        stream = split(source.stem, *pair, groups, scenario, validation, seed, dict(enumerate(table.classes)))
    else:
        stream = _by_column(table, source.stem, test, validation, scenario, seed)
    return _standardized(stream) if standardize else _as_float32(stream, table, str(source))


def _by_column(table: Table, name: str, test: float, validation: float, scenario: Scenario, seed: int) -> Stream:
    """One task for each value of the column of tasks."""
    rows = Examples(table.x_ND, table.y_N, 0)
    parts: list[tuple[Tensor, Tensor]] = []
    for number in range(len(table.tasks)):
        of_task = (table.task_N == number).nonzero()[:, 0]
        learn, exam = test_rows(table.y_N[of_task], test, seed + number)
        parts.append((of_task[learn], of_task[exam]))
    pairs = [(rows.at(learn), rows.at(exam)) for learn, exam in parts]
    stream = stream_of(pairs, table.tasks, name=name, scenario=scenario, validation=validation, seed=seed)
    tasks = (replace(task, class_names=tuple(table.classes[label] for label in task.classes)) for task in stream)
    return replace(stream, tasks=tuple(tasks))


def _standardized(stream: Stream) -> Stream:
    first_ND = stream.task(1).train.x
    constant_D = first_ND.amax(0) == first_ND.amin(0)
    mean_D = torch.where(constant_D, first_ND[0], first_ND.mean(0))
    scale_D = torch.where(constant_D, 1.0, (first_ND - mean_D).square().mean(0).sqrt())
    return stream.map(partial(_standardize, mean_D=mean_D, scale_D=scale_D))


def _standardize(x_ND: Tensor, mean_D: Tensor, scale_D: Tensor) -> Tensor:
    return ((x_ND - mean_D) / scale_D).float()


def _as_float32(stream: Stream, table: Table, place: str) -> Stream:
    fix = "use standardize=True, or subtract an offset from the column first"
    check_precision(table.x_ND, place, table.columns, fix)
    return stream.map(torch.Tensor.float)


def test_rows(y_N: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Positions to learn from and positions of the test: `fraction` of every class, at least one where it has two."""
    require(0 < fraction < 1, f"test must be a fraction between 0 and 1, got {fraction}")
    learn: list[Tensor] = []
    exam: list[Tensor] = []
    for label in torch.unique(y_N):
        positions = (y_N == label).nonzero()[:, 0]
        count = len(positions)
        train, held = held_out(count, max(fraction, 1 / count) if count > 1 else fraction, seed)
        learn.append(positions[train])
        exam.append(positions[held])
    return torch.cat(learn).sort().values, torch.cat(exam).sort().values


def ascending(names: Iterable[str]) -> list[str]:
    """The distinct names: by value where all are numbers, else by alphabet.

    Example:
        >>> ascending(["10", "9", "10"]), ascending(["10", "9", "b"])
        (['9', '10'], ['10', '9', 'b'])
    """
    distinct = sorted(set(names))
    try:
        return sorted(distinct, key=float)
    except ValueError:
        return distinct


@dataclass(frozen=True, slots=True)
class Table:
    """A table as tensors: features `x_ND` float64, labels `y_N` and task positions `task_N` int64, and their names."""

    x_ND: Tensor
    y_N: Tensor
    task_N: Tensor
    columns: list[str]
    classes: list[str]
    tasks: list[str]


def read_table(path: Path, label: str, task: str | None) -> Table:
    """The CSV file at `path` (comma-separated, UTF-8, with a header): column `label` names classes, `task` tasks.

    Classes are `ascending`, tasks in order of their first row (one nameless task where `task` is None); all other
    columns must be finite numbers. Blank lines are passed over.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = _records(file, path)
            nothing: tuple[int, list[str]] = (1, [])
            _, header = next(lines, nothing)
            columns = [name.strip() for name in header]
            places = {name: _place(path, columns, name) for name in (label, task) if name is not None}
            features = [place for place in range(len(columns)) if place not in places.values()]
            if not features:
                raise DataError(f"{path} has no feature columns beside {', '.join(places)}; expected at least one")
            rows: list[list[float]] = []
            large: dict[int, set[Decimal]] = {}
            names: dict[str, list[str]] = {name: [] for name in places}
            for line, cells in lines:
                if len(cells) != len(columns):
                    raise DataError(f"{path}, line {line}: expected {len(columns)} cells, got {len(cells)}")
                rows.append([_number(path, line, columns[place], cells[place]) for place in features])
                for place, value in zip(features, rows[-1], strict=True):
                    if abs(value) > 2**53:
                        large.setdefault(place, set()).add(Decimal(cells[place].strip()))
                for name, place in places.items():
                    names[name].append(cells[place].strip())
                    if not cells[place].strip():
                        raise DataError(f"{path}, line {line}, column {name!r}: expected a name or number, got nothing")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a UTF-8 CSV table: {error}") from error
    if not rows:
        raise DataError(f"{path} has no rows: expected a header row and at least one row of data")
    for place, values in large.items():
        if len({float(value) for value in values}) < len(values):
            raise DataError(
                f"{path}, column {columns[place]!r}: numbers beyond 2^53 that differ would become equal; subtract an "
                "offset from the column first, or drop it"
            )
    classes = ascending(names[label])
    tasks = list(dict.fromkeys(names[task])) if task is not None else [""]
    numbers = _codes(names[task], tasks) if task is not None else torch.zeros(len(rows), dtype=torch.int64)
    x_ND = torch.tensor(rows, dtype=torch.float64)
    known = [columns[place] for place in features]
    return Table(x_ND, _codes(names[label], classes), numbers, known, classes, tasks)


def _records(file: Iterable[str], path: Path) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank with the number of its first line (quoted cells may span lines)."""
    reader = csv.reader(file, strict=True)
    line = 1
    for cells in reader:
        if cells:
            yield line, cells
        line = reader.line_num + 1


def _place(path: Path, columns: list[str], name: str) -> int:
    """Where column `name` is in the header."""
    if not columns:
        raise DataError(f"{path} is empty: expected a header row with a column {name!r}")
    if columns.count(name) == 1:
        return columns.index(name)
    known = f"its columns: {', '.join(columns)}"
    if name in columns:
        raise DataError(f"{path} has {columns.count(name)} columns {name!r}, expected one; {known}")
    nearest = get_close_matches(name, columns, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ";"
    raise DataError(f"{path} has no column {name!r}{hint} {known}")


def _number(path: Path, line: int, column: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if abs(value) <= LARGEST:
        return value
    fix = "turn dates into numbers first, as days or seconds" if _is_date(cell) else "correct the cell"
    raise DataError(
        f"{path}, line {line}, column {column!r}: expected a finite number, got {cell[:40]!r}; {fix}, or drop it"
    )


def _is_date(cell: str) -> bool:
    try:
        datetime.fromisoformat(cell.strip())
    except ValueError:
        return False
    return True


def _codes(values: Sequence[str], names: Sequence[str]) -> Tensor:
    code = {name: number for number, name in enumerate(names)}
    return torch.tensor([code[value] for value in values])
