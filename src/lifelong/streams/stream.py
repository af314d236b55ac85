"""A stream: an ordered, lazy sequence of tasks with a scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lifelong.errors import DataError, require
from lifelong.types import Examples, Scenario, Space, Split, Task

__all__ = ["Stream", "held_out", "relabelled"]

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Stream:
    """Tasks numbered 1 … T, made when they are asked for: nothing is held but the data that they are made from.

    Fields: `name`; `space` (input shape, outputs, scenario); `tasks`, one `Task` each, whose data is lazy.

    >>> x, y = torch.rand(20, 4), torch.arange(20) % 2
    >>> own = Stream.from_datasets([((x, y), (x, y)), ((1 - x, y), (1 - x, y))], validation=0.2)
    >>> [task.name for task in own], len(own.task(1).train), len(own.task(1).validation)
    (['task 1', 'task 2'], 16, 4)
    """

    name: str
    space: Space
    tasks: tuple[Task, ...]

    def __post_init__(self) -> None:
        require(len(self.tasks) > 0, f"stream {self.name!r} has no tasks")

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def task(self, number: int) -> Task:
        """Task `number`, from 1."""
        require(1 <= number <= len(self), f"task number must be in 1 … {len(self)}, got {number}")
        return self.tasks[number - 1]

    @property
    def scenario(self) -> Scenario:
        """`task`, `domain` or `class`."""
        return self.space.scenario

    def first(self, tasks: int) -> Stream:
        """The stream that ends after `tasks` tasks."""
        require(1 <= tasks <= len(self), f"expected 1 … {len(self)} tasks, got {tasks}")
        return replace(self, tasks=self.tasks[:tasks])

    def map(self, function: Callable[[Tensor], Tensor], name: str | None = None) -> Stream:
        """The stream with `function` applied to the inputs x (N, …) of every task, when they are asked for.

        >>> x, y = torch.ones(4, 2), torch.tensor([0, 1, 0, 1])
        >>> Stream.from_datasets([((x, y), (x, y))]).map(lambda x: x * 3).task(1).test.x.max().item()
        3.0
        """

        def mapped(task: Task) -> Callable[[Split], Examples | None]:
            def load(split: Split) -> Examples | None:
                examples = task.load(split)
                return None if examples is None else replace(examples, x=function(examples.x))

            return load

        tasks = tuple(replace(task, load=mapped(task)) for task in self.tasks)
        shape = tuple(tasks[0].test.x.shape[1:])
        return replace(self, name=name or self.name, space=replace(self.space, inputs=shape), tasks=tasks)

    @staticmethod
    def from_datasets(
        datasets: Sequence[tuple[object, object]],
        *,
        scenario: Scenario = "domain",
        validation: float = 0.1,
        names: Sequence[str] | None = None,
        name: str = "own",
        seed: int = 0,
    ) -> Stream:
        """A stream of your own data: one (train, test) pair per task.

        Arguments: train and test are (x, y) pairs of tensors or numpy arrays, or torch `Dataset`s of (x, y);
            y are the outputs that the model should give (0, 1, …); in the scenarios `task` and `class` every task
            has its own. `validation` is the fraction of the training part that is held out.

        Raises: `DataError` for empty tasks, inputs that are not finite, labels that are no whole numbers, or, in the
            scenarios `task` and `class`, a class in two tasks.
        """
        from lifelong.streams.convert import examples_of

        require(len(datasets) > 0, "from_datasets needs one (train, test) pair per task, got none")
        titles = list(names) if names is not None else [f"task {i}" for i in range(1, len(datasets) + 1)]
        require(len(titles) == len(datasets), f"expected {len(datasets)} names, got {len(titles)}")
        tasks = []
        for number, ((train, test), title) in enumerate(zip(datasets, titles, strict=True), start=1):
            parts = examples_of(train, f"training part of {title}"), examples_of(test, f"test part of {title}")
            labels = sorted({int(label) for part in parts for label in part.y.unique()})
            load = _parts_of(*parts, validation, seed + number)
            tasks.append(Task(number, title, tuple(labels), load))
        if scenario == "domain":
            everything = tuple(sorted({label for task in tasks for label in task.classes}))
            tasks = [replace(task, classes=everything) for task in tasks]
        else:
            _check_apart(tasks, scenario)
        shapes = {tuple(task.train.x.shape[1:]) for task in tasks}
        if len(shapes) != 1:
            raise DataError(f"all tasks need inputs of one shape, got {sorted(shapes)}; map them to one first")
        outputs = 1 + max(max(task.classes) for task in tasks)
        return Stream(name, Space(shapes.pop(), outputs, scenario), tuple(tasks))


def _check_apart(tasks: Sequence[Task], scenario: Scenario) -> None:
    """Raise `DataError` where two tasks share a class."""
    owner: dict[int, Task] = {}
    for task in tasks:
        for label in task.classes:
            other = owner.setdefault(label, task)
            if other is not task:
                raise DataError(
                    f"class {label} is in {other.name!r} and in {task.name!r}; in the scenario {scenario!r} every task "
                    "has classes of its own: number the outputs apart, or use scenario='domain'"
                )


def _parts_of(train: Examples, test: Examples, validation: float, seed: int) -> Callable[[Split], Examples | None]:
    kept, held = held_out(len(train), validation, seed)
    index = {"train": kept, "validation": held}

    def load(split: Split) -> Examples:
        return test if split == "test" else train.at(index[split])

    return load


def held_out(count: int, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Positions to train on and positions held out for validation, drawn from `seed`.

    >>> kept, held = held_out(10, 0.2, seed=0)
    >>> len(kept), len(held), sorted(torch.cat([kept, held]).tolist()) == list(range(10))
    (8, 2, True)
    """
    require(0 <= fraction < 1, f"validation must be a fraction in 0 … 1 (1 excluded), got {fraction}")
    if fraction == 0:
        return torch.arange(count), torch.arange(0)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    held = min(count - 1, round(count * fraction))
    return order[held:].sort().values, order[:held].sort().values


def relabelled(y_N: Tensor, labels: Sequence[int], outputs: Sequence[int]) -> Tensor:
    """`y_N` with each of `labels` replaced by the output at the same place of `outputs`.

    >>> relabelled(torch.tensor([7, 3, 7]), labels=[3, 7], outputs=[0, 1]).tolist()
    [1, 0, 1]
    """
    ranked, place = torch.tensor(list(labels)).sort()
    return torch.tensor(list(outputs))[place[torch.searchsorted(ranked, y_N)]]
