"""One labelled data set cut into tasks by class: split-MNIST and its kin, even or not, with classes that come back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from lifelong.data import class_names_of, labels_of, subset
from lifelong.errors import DataError, SettingError, require
from lifelong.streams.from_data import as_outputs, data_of
from lifelong.streams.stream import Stream, held_out, input_fields
from lifelong.types import Data, Scenario, Space, Split, Task

__all__ = ["class_groups", "long_tail", "read_order", "split", "split_by_class", "with_repetition"]


def split_by_class(
    train: object,
    test: object,
    *,
    classes_per_task: int | Sequence[int] | str = 2,
    first: int | None = None,
    overlap: int = 0,
    order: Sequence[int] | str | Path | None = None,
    scenario: Scenario = "class",
    repetition: float = 0.0,
    imbalance: float = 1.0,
    validation: float = 0.0,
    seed: int = 0,
    name: str = "own",
) -> Stream:
    """One labelled data set as a stream whose tasks bring new classes.

    Args:
        train: A pair (x, y) of tensors or NumPy arrays, x (N, …) and y (N,), where bytes become 0 … 1; or what is read
            batch by batch: a torch `Dataset` of (x, y), a pair with an `np.memmap`, or `lifelong.data.Lazy`.
        test: The same.
        classes_per_task: New classes in each task: a number, or one for each task as [50, 10, 10] or "50,10,10".
        first: Classes in the first task, where it is larger.
        overlap: Classes that each task shares with the one before it, in the scenarios `class` and `task`.
        order: Every class once, in the order in which they come (default: ascending); or a text or JSON file of them.
        scenario: In `class` the output of a class is its place in the order. In `task` every task has outputs of its
            own, one task after the other, also for classes that it shares. In `domain` the output of a class is its
            place within its task.
        repetition: The probability with which each class comes back in each later task, in the scenarios `class` and
            `task` (Hemati et al. 2023, class-incremental learning with repetition).
        imbalance: ρ in 0 … 1: class c of C trains on ρ^(c / (C − 1)) times the examples of the largest, if it has so
            many (Cao et al. 2019, long-tailed; Liu et al. 2022). 1 keeps all; the test keeps all.
        validation: The fraction of every task's training split that is held out, drawn from `seed`.
        seed: Of every draw.
        name: Of the stream.

    Returns:
        The stream. The training examples of a class that comes in several tasks are shared out among them, each in one;
        every task is examined on all test examples of its classes.

    Raises:
        DataError: Data is empty, not finite, of unequal length, its classes differ between train and test, or a class
            has fewer examples than tasks.
        SettingError: The classes cannot be shared out as asked, or `order` is no order of them.

    Example:
        >>> x, y = torch.rand(40, 3), torch.arange(40) % 4
        >>> stream = split_by_class((x, y), (x, y), order=[2, 0, 3, 1], validation=0.1)
        >>> [(task.name, task.classes, len(task.train), len(task.test)) for task in stream]
        [('classes 2, 0', (0, 1), 18, 20), ('classes 3, 1', (2, 3), 18, 20)]
        >>> [task.name for task in split_by_class((x, y), (x, y), first=2, classes_per_task=1)]
        ['classes 0, 1', 'class 2', 'class 3']
    """
    learn, exam = data_of(train, "training part"), data_of(test, "test part")
    shapes = [input_fields(part.at(slice(0, 1)).x) for part in (learn, exam)]
    if repr(shapes[0]) != repr(shapes[1]):
        raise DataError(f"expected inputs of one shape, got {shapes[0]} in training and {shapes[1]} in test")
    labels = labels_of(learn), labels_of(exam)
    classes = torch.unique(torch.cat(labels)).tolist()
    groups = class_groups(read_order(order, classes), classes_per_task, first, overlap)
    groups = with_repetition(groups, repetition, None, seed)
    names = class_names_of(learn)
    return split(name, learn, exam, groups, scenario, validation, seed, names, imbalance, labels)


def split(
    name: str,
    train: Data,
    test: Data,
    groups: Sequence[Sequence[int]],
    scenario: Scenario,
    validation: float,
    seed: int,
    class_names: Mapping[int, str] | None = None,
    imbalance: float = 1.0,
    labels: tuple[Tensor, Tensor] | None = None,
) -> Stream:
    """A stream with one task per group of classes; examples of other classes are left out.

    Args:
        name: Of the stream.
        train: What is learned from, y the classes.
        test: What is examined.
        groups: The classes of each task. A class may be in several, but not in the scenario `domain`: its training
            examples are then shared out among them in turn.
        scenario: Which outputs the classes have, see `split_by_class`.
        validation: The fraction of every task's training split that is held out, drawn from `seed` and its number.
        seed: Of what is held out, and of what `imbalance` leaves out.
        class_names: What people call the classes; the default is their number.
        imbalance: See `long_tail`.
        labels: The classes of all examples of `train` and `test`, where they are known already.

    Raises:
        SettingError: No groups, an empty group, a class twice in one, or, in the scenario `domain`, in two, or groups
            of unequal size there.
        DataError: A class has no test example, or fewer training examples than tasks.

    Example:
        >>> from lifelong.types import Examples
        >>> data = Examples(torch.arange(12.0).view(12, 1), torch.arange(12) % 4, 0)
        >>> stream = split("quarters", data, data, [[3, 0], [1, 2]], "class", validation=0, seed=0)
        >>> [(task.name, task.classes, task.train.y.tolist()) for task in stream]
        [('classes 3, 0', (0, 1), [1, 0, 1, 0, 1, 0]), ('classes 1, 2', (2, 3), [2, 3, 2, 3, 2, 3])]
    """
    _check_groups(groups, scenario)
    names = class_names or {}
    train_y, test_y = labels or (labels_of(train), labels_of(test))
    train_rows, test_rows = _rows_by_class(train_y), _rows_by_class(test_y)
    if imbalance != 1:
        train_rows = _long_tailed(train_rows, imbalance, seed)
    times, turns = Counter(chain.from_iterable(groups)), Counter[int]()
    outputs = _outputs(groups, scenario)
    tasks: list[Task] = []
    for number, (group, new) in enumerate(zip(groups, outputs, strict=True), start=1):
        called = [names.get(label, str(label)) for label in group]
        _check_present(group, called, train_rows, times, "training")
        _check_present(group, called, test_rows, Counter(), "test")
        rows = torch.cat([train_rows[label][turns[label] :: times[label]] for label in group]).sort().values
        turns.update(group)
        chosen, others = held_out(len(rows), validation, seed + number)
        index: dict[Split, Tensor] = {
            "train": rows[chosen],
            "validation": rows[others],
            "test": torch.cat([test_rows[label] for label in group]).sort().values,
        }
        sizes = {part: len(some) for part, some in index.items()}
        title = ("class " if len(group) == 1 else "classes ") + ", ".join(called)
        ranked = sorted(zip(new, called, strict=True))
        load = _loader(index, train, test, group, new)
        classes = tuple(output for output, _ in ranked)
        tasks.append(Task(number, title, classes, load, sizes, class_names=tuple(known for _, known in ranked)))
    inputs = input_fields(train.at(slice(0, 1)).x)
    return Stream(name, Space(inputs, 1 + max(chain.from_iterable(outputs)), scenario), tuple(tasks))


def class_groups(
    order: Sequence[int],
    classes_per_task: int | Sequence[int] | str | None = None,
    first: int | None = None,
    overlap: int = 0,
    rest: bool = False,
) -> list[list[int]]:
    """`order` cut into the classes of each task.

    Args:
        order: The classes.
        classes_per_task: A number, or one for each task; None puts all classes in one.
        first: Classes in the first task, where it is larger.
        overlap: Classes that each task shares with the one before it.
        rest: Whether classes that fill no task are left out; else they are refused.

    Example:
        >>> class_groups(range(6), 2), class_groups(range(6), 1, first=4), class_groups(range(6), "3,1,2")
        ([[0, 1], [2, 3], [4, 5]], [[0, 1, 2, 3], [4], [5]], [[0, 1, 2], [3], [4, 5]])
        >>> class_groups(range(5), 3, overlap=1)
        [[0, 1, 2], [2, 3, 4]]
    """
    count = len(order)
    each = _numbers(classes_per_task) if isinstance(classes_per_task, str) else classes_per_task
    if isinstance(each, list) and len(each) == 1 and "," not in str(classes_per_task):
        each = each[0]
    if each is None or isinstance(each, int):
        each = count if each is None else each
        require(each >= 1, f"classes_per_task must be 1 or more, got {each}")
        require(first is None or 1 <= first <= count, f"first must be in 1 … {count}, the classes, got {first}")
        begin = each if first is None else first
        require(0 <= overlap < min(each, begin), f"overlap must be 0 or more, and less than a task has, got {overlap}")
        left = count - begin
        sizes = [begin, *[each] * (max(0, left) // (each - overlap))] if left >= 0 else []
        require(
            rest or (left >= 0 and left % (each - overlap) == 0),
            f"{count} classes cannot be shared out evenly with classes_per_task={each}"
            + (f", first={first}" if first is not None else "")
            + (f", overlap={overlap}" if overlap else f"; use a divisor of {left if first is not None else count}"),
        )
    else:
        sizes = [int(size) for size in each]
        require(first is None, "give first= or a list of classes_per_task, not both")
        require(bool(sizes) and min(sizes) >= 1, f"classes_per_task must be 1 or more each, got {sizes}")
        require(0 <= overlap < min(sizes), f"overlap must be 0 or more, and less than a task has, got {overlap}")
        needed = sum(sizes) - overlap * (len(sizes) - 1)
        require(
            needed == count or (rest and needed < count),
            f"classes_per_task={sizes} shares out {needed} classes, there are {count}",
        )
    groups: list[list[int]] = []
    end = 0
    for size in sizes:
        begin = max(0, end - overlap)
        end = begin + size
        groups.append(list(order[begin:end]))
    return groups


def with_repetition(
    groups: Sequence[Sequence[int]], probability: float, tasks: int | None, seed: int
) -> list[list[int]]:
    """The groups of `tasks` tasks, to each of which every class of earlier ones comes back with `probability`.

    Tasks beyond the groups bring no new class; where none comes back to one, one is drawn. The probability is one for
    all classes and tasks, where the generator of Hemati et al. 2023 takes one for each class.

    Example:
        >>> with_repetition([[0, 1], [2], [3]], 1.0, 4, seed=0)
        [[0, 1], [2, 0, 1], [3, 0, 1, 2], [0, 1, 2, 3]]
    """
    require(0 <= probability <= 1, f"repetition must be a probability in 0 … 1, got {probability}")
    count = len(groups) if tasks is None else tasks
    if probability == 0:
        return [list(group) for group in groups[:count]]
    generator = torch.Generator().manual_seed(seed * 1_000_003 + 11)
    seen: list[int] = []
    repeated: list[list[int]] = []
    for place in range(count):
        new = list(groups[place]) if place < len(groups) else []
        past = [label for label in seen if label not in new]
        back = (torch.rand(len(past), generator=generator, dtype=torch.float64) < probability).tolist()
        returned = [label for label, drawn in zip(past, back, strict=True) if drawn]
        if not new and not returned:
            returned = [past[int(torch.randint(len(past), (), generator=generator))]]
        repeated.append([*new, *returned])
        seen += [label for label in new if label not in seen]
    return repeated


def long_tail(counts: Sequence[int], ratio: float) -> list[int]:
    """How many examples each class keeps: n_c = n_max ρ^(c / (C − 1)), at most what it has and at least one.

    Reference: Cao et al. 2019 (LDAM), section 4.1, where n_max is what all classes have; here it is the largest.

    Example:
        >>> long_tail([100, 100, 100], 0.01)
        [100, 10, 1]
    """
    require(0 < ratio <= 1, f"imbalance must be above 0 and at most 1, got {ratio}")
    last = max(1, len(counts) - 1)
    return [max(1, min(count, round(max(counts) * ratio ** (c / last)))) for c, count in enumerate(counts)]


def read_order(order: Sequence[int] | str | Path | None, classes: Sequence[int]) -> list[int]:
    """The order of `classes`: a sequence, a text as "2,0,1", or a text or JSON file of their numbers.

    Raises:
        SettingError: The file cannot be read, or does not list every class once.

    Example:
        >>> read_order("2,0,1", [0, 1, 2]), read_order(None, [4, 7])
        ([2, 0, 1], [4, 7])
    """
    if order is None:
        return list(classes)
    numbers = _numbers(order) if isinstance(order, (str, Path)) else [int(label) for label in order]
    if sorted(numbers) != sorted(classes):
        shown = list(order) if not isinstance(order, (str, Path)) else numbers
        raise SettingError(f"order must list every class once: expected an order of {list(classes)}, got {shown}")
    return numbers


def _numbers(text: str | Path) -> list[int]:
    """Whole numbers from "50,10", from a JSON file with a list, or from a file with spaces or commas between."""
    content = str(text)
    if isinstance(text, Path) or not set(content) <= set("0123456789, -"):
        try:
            content = Path(text).read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{text} is no list of numbers as 2,0,1, nor a file of them: {error}") from error
    try:
        values = json.loads(content) if content.lstrip().startswith("[") else content.replace(",", " ").split()
        return [int(value) for value in values]
    except (TypeError, ValueError) as error:
        raise SettingError(f"{text} must list whole numbers, as 2,0,1 or a JSON list: {error}") from error


def _check_groups(groups: Sequence[Sequence[int]], scenario: Scenario) -> None:
    require(len(groups) > 0 and all(groups), f"expected groups of at least one class, got {list(groups)}")
    twice = any(len(set(group)) != len(group) for group in groups)
    if scenario == "domain":
        labels = list(chain.from_iterable(groups))
        twice = len(set(labels)) != len(labels)
        sizes = sorted({len(group) for group in groups})
        require(twice or len(sizes) == 1, f"in the scenario domain all groups need one size, got sizes {sizes}")
    require(not twice, f"every class may be in one group only, got {list(groups)}")


def _outputs(groups: Sequence[Sequence[int]], scenario: Scenario) -> list[list[int]]:
    """The outputs of the classes of each group."""
    if scenario == "domain":
        return [list(range(len(group))) for group in groups]
    if scenario == "task":
        starts = [sum(len(group) for group in groups[:place]) for place in range(len(groups))]
        return [list(range(start, start + len(group))) for start, group in zip(starts, groups, strict=True)]
    place = {label: output for output, label in enumerate(dict.fromkeys(chain.from_iterable(groups)))}
    return [[place[label] for label in group] for group in groups]


def _rows_by_class(y_N: Tensor) -> dict[int, Tensor]:
    """The positions of each class, ascending."""
    labels, counts = y_N.unique(return_counts=True)
    return dict(zip(labels.tolist(), y_N.argsort(stable=True).split(counts.tolist()), strict=True))


def _long_tailed(rows: dict[int, Tensor], ratio: float, seed: int) -> dict[int, Tensor]:
    few = long_tail([len(some) for some in rows.values()], ratio)
    chosen: dict[int, Tensor] = {}
    for place, ((label, some), count) in enumerate(zip(rows.items(), few, strict=True)):
        order = torch.randperm(len(some), generator=torch.Generator().manual_seed(seed * 1_000_003 + place))
        chosen[label] = some[order[:count]].sort().values
    return chosen


def _check_present(
    group: Sequence[int], names: Sequence[str], rows: dict[int, Tensor], times: Counter[int], part: str
) -> None:
    """Every class has an example for each task that it comes in."""
    missing = [name for label, name in zip(group, names, strict=True) if label not in rows]
    if missing:
        raise DataError(f"the {part} part has no example of class {', '.join(missing)}; expected at least one of each")
    for label, name in zip(group, names, strict=True):
        if len(rows[label]) < times[label]:
            raise DataError(
                f"class {name} comes in {times[label]} tasks and has {len(rows[label])} training examples; expected "
                "one for each: use a smaller repetition or fewer tasks"
            )


def _loader(
    index: dict[Split, Tensor], train: Data, test: Data, group: Sequence[int], outputs: Sequence[int]
) -> Callable[[Split], Data]:
    def load(split: Split) -> Data:
        data = subset(test if split == "test" else train, index[split])
        return as_outputs(data, group, outputs, f"the {split} split")

    return load
