"""One labelled data set cut into tasks by class: split-MNIST and its kin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import torch
from torch import Tensor

from lifelong.errors import DataError, require
from lifelong.streams.stream import Stream, held_out, relabelled
from lifelong.types import Examples, Scenario, Space, Split, Task

__all__ = ["split"]


def split(
    name: str,
    train_x: Tensor,
    train_y: Tensor,
    test_x: Tensor,
    test_y: Tensor,
    groups: Sequence[Sequence[int]],
    scenario: Scenario,
    validation: float,
    seed: int,
    class_names: Sequence[str] | None = None,
) -> Stream:
    """A stream with one task per group of classes.

    In the scenarios `class` and `task` the output of a class is its place in `groups`, read from first to last; in the
    scenario `domain` it is its place within its own group, so every task has the outputs 0 … size of a group − 1.

    Arguments: `train_x` (N, …), `train_y` (N,) int64 and the same for the test; `groups` the labels of each task;
        examples of other classes are left out. `validation` is the fraction of every task's training part that is held
        out, drawn from `seed` and the task's number. `class_names[label]` is used to name tasks, else the label.

    Raises: `SettingError` for no groups, an empty group, a class in two places, or groups of unequal size in the
        scenario `domain`; `DataError` where a class has no training example or no test example.

    >>> x, y = torch.arange(12.0).view(12, 1), torch.arange(12) % 4
    >>> stream = split("quarters", x, y, x, y, [[3, 0], [1, 2]], "class", validation=0, seed=0)
    >>> [(task.name, task.classes, task.train.y.tolist()) for task in stream]
    [('classes 3, 0', (0, 1), [1, 0, 1, 0, 1, 0]), ('classes 1, 2', (2, 3), [2, 3, 2, 3, 2, 3])]
    """
    labels = list(chain.from_iterable(groups))
    domain = scenario == "domain"
    require(len(groups) > 0 and all(groups), f"expected groups of at least one class, got {list(groups)}")
    require(len(set(labels)) == len(labels), f"every class may be in one group only, got {list(groups)}")
    if domain:
        sizes = sorted({len(group) for group in groups})
        require(len(sizes) == 1, f"in the scenario domain all groups need one size, got sizes {sizes}")
    space = Space(tuple(train_x.shape[1:]), len(groups[0]) if domain else len(labels), scenario)
    tasks: list[Task] = []
    start = 0
    for number, group in enumerate(groups, start=1):
        outputs = range(start, start + len(group))
        names = [class_names[label] if class_names else str(label) for label in group]
        train, test = _positions(train_y, group, names, "training"), _positions(test_y, group, names, "test")
        kept, held = held_out(len(train), validation, seed + number)
        index: dict[Split, Tensor] = {"train": train[kept], "validation": train[held], "test": test}
        load = _loader(index, (train_x, train_y), (test_x, test_y), group, outputs)
        title = ("class " if len(group) == 1 else "classes ") + ", ".join(names)
        tasks.append(Task(number, title, tuple(outputs), load))
        start = 0 if domain else outputs.stop
    return Stream(name, space, tuple(tasks))


def _positions(y_N: Tensor, group: Sequence[int], names: Sequence[str], part: str) -> Tensor:
    """Where the classes of `group` are in `y_N`; every one of them must be."""
    positions = torch.isin(y_N, torch.tensor(list(group))).nonzero()[:, 0]
    found = set(y_N[positions].tolist())
    missing = [name for label, name in zip(group, names, strict=True) if label not in found]
    if missing:
        raise DataError(f"the {part} part has no example of class {', '.join(missing)}; expected at least one of each")
    return positions


def _loader(
    index: dict[Split, Tensor],
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    group: Sequence[int],
    outputs: Sequence[int],
) -> Callable[[Split], Examples]:
    def load(split: Split) -> Examples:
        x, y = test if split == "test" else train
        return Examples(x[index[split]], relabelled(y[index[split]], group, outputs), task=0)

    return load
