"""A stream: an ordered, lazy sequence of tasks with a scenario."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

import torch
from torch import Tensor

from lifelong.data import View
from lifelong.errors import require
from lifelong.types import Data, Examples, Field, Scenario, Space, Split, Target, Task, Tree

__all__ = ["Stream", "cache_test_splits", "held_out", "input_fields", "relabelled", "shared_space"]

SPLITS: tuple[Split, ...] = get_args(Split)
SHOWN = 12


@dataclass(frozen=True, repr=False)
class Stream:
    """Tasks numbered 1 … T, made when they are asked for: nothing is held but the data that they are made from.

    Args:
        name: For people.
        space: Inputs, target and scenario.
        tasks: One `Task` each, whose data is lazy.

    Example:
        >>> x, y = torch.rand(20, 4), torch.arange(20) % 2
        >>> Stream.from_datasets([((x, y), (x, y)), ((1 - x, y), (1 - x, y))], validation=0.2)
        Stream 'own': 2 tasks, scenario domain, inputs (4,), target 2
          1 task 1: train 16, validation 4, test 20
          2 task 2: train 16, validation 4, test 20
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

    def __repr__(self) -> str:
        lines = [f"Stream {self.name!r}: {self._summary()}"]
        for task in self.tasks[:SHOWN]:
            sizes = ", ".join(f"{split} {size}" for split, size in _sizes(task).items())
            lines.append(f"  {task.number} {task.name}" + (f": {sizes}" if sizes else ""))
        hidden = len(self) - SHOWN
        return "\n".join([*lines, *([f"  … {hidden} more"] if hidden > 0 else [])])

    def _repr_html_(self) -> str:
        """The stream as a table, for notebooks."""
        head = "".join(f"<th>{name}</th>" for name in ("", "task", "classes", *SPLITS))
        rows = []
        for task in self.tasks[:SHOWN]:
            sizes = _sizes(task)
            names = task.class_names or tuple(str(label) for label in task.classes)
            shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
            cells = (task.number, task.name, shown, *(sizes.get(split, "") for split in SPLITS))
            rows.append("".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells))
        if len(self) > SHOWN:
            rows.append(f"<td colspan={3 + len(SPLITS)}>… {len(self) - SHOWN} more</td>")
        title = f"<b>{html.escape(self.name)}</b>: {html.escape(self._summary())}"
        return f"<p>{title}</p><table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"

    def _summary(self) -> str:
        inputs, target = self.space.inputs, self.space.target
        return (
            f"{len(self)} task{'s' if len(self) > 1 else ''}, scenario {self.scenario}, "
            f"inputs {'differ by task' if inputs is None else inputs}, "
            f"target {'differs by task' if target is None else target}"
            + ("" if self.space.boundaries else ", no boundaries")
        )

    def task(self, number: int) -> Task:
        """Task `number`, from 1."""
        require(1 <= number <= len(self), f"task number must be in 1 … {len(self)}, got {number}")
        return self.tasks[number - 1]

    @property
    def scenario(self) -> Scenario:
        """`task`, `domain` or `class`."""
        return self.space.scenario

    @property
    def class_names(self) -> tuple[str, ...]:
        """What people call outputs 0, 1, …; () where nobody said, or where an output has several names."""
        names: dict[int, set[str]] = {}
        for task in self.tasks:
            for label, name in zip(task.classes, task.class_names, strict=False):
                names.setdefault(label, set()).add(name)
        known = sorted(names) == list(range(len(names))) and all(len(some) == 1 for some in names.values())
        return tuple(min(names[label]) for label in sorted(names)) if known else ()

    def first(self, tasks: int) -> Stream:
        """The stream that ends after `tasks` tasks."""
        require(1 <= tasks <= len(self), f"expected 1 … {len(self)} tasks, got {tasks}")
        return replace(self, tasks=self.tasks[:tasks])

    def map(self, function: Callable[[Tree], Tree], name: str | None = None) -> Stream:
        """The stream with `function` applied to the inputs x (N, …) of every task, when they are asked for.

        Example:
            >>> x, y = torch.ones(4, 2), torch.tensor([0, 1, 0, 1])
            >>> Stream.from_datasets([((x, y), (x, y))]).map(lambda x: x * 3).task(1).test.x.max().item()
            3.0
        """

        def mapped(task: Task) -> Callable[[Split], Data | None]:
            def load(split: Split) -> Data | None:
                data = task.load(split)
                if data is None:
                    return None
                change = partial(_mapped, function=function)
                return change(data) if isinstance(data, Examples) else View(data, change=change)

            return load

        def of_mapped(task: Task, space: Space) -> Space:
            return replace(space, inputs=input_fields(task.split("test").at(slice(0, 1)).x, space.inputs))

        tasks = tuple(replace(task, load=mapped(task)) for task in self.tasks)
        tasks = tuple(
            task if task.space is None else replace(task, space=of_mapped(task, task.space)) for task in tasks
        )
        space = (
            of_mapped(tasks[0], self.space) if tasks[0].space is None else shared_space(tasks, self.space.boundaries)
        )
        return replace(self, name=name or self.name, space=space, tasks=tasks)

    @staticmethod
    def from_datasets(
        datasets: Sequence[tuple[object, object]],
        *,
        scenario: Scenario = "domain",
        target: Target | Sequence[Target] | None = None,
        inputs: Field | Mapping[str, Field] | Sequence[Field | Mapping[str, Field]] | None = None,
        classes: Sequence[Sequence[int]] | None = None,
        overlap: bool = False,
        validation: float = 0.0,
        names: Sequence[str] | None = None,
        name: str = "own",
        seed: int = 0,
    ) -> Stream:
        """A stream of your own data: one (train, test) pair per task.

        Args:
            datasets: Train and test are each a pair (x, y) of tensors or NumPy arrays, x also a dict of them; these
                are taken into memory. Or they are read batch by batch: torch `Dataset`s of (x, y), pairs with an
                `np.memmap`, or `lifelong.data.Lazy` with settings of your own (workers, columns of Hugging Face
                `datasets`, a transform).
            scenario: `task`, `domain` or `class`.
            target: What y is: `Classes`, `Numbers(C)`, `Labels(C)` or `Tokens(V)`; None is classes. One for each task
                where they differ.
            inputs: What x is, where the data does not say: `Field(shape, vocabulary)`, or one for each entry of a
                dict. Whole numbers (int64, int32) are tokens in a dict and where the target is tokens, else numbers.
                One for each task where they differ.
            classes: The classes of each task, where reading the labels is too slow, and the labels of each task in the
                scenarios `task` and `class`. The default is what the data has: of a `Dataset`, what its `targets`,
                `labels` or `y` say, else one pass over its rows.
            overlap: Tasks may share classes: in the scenario `class` they share outputs; in `task` every task has
                outputs of its own, numbered one task after the other.
            validation: The fraction of the training split that is held out, drawn from `seed`; 0 holds nothing out.
            names: Of the tasks.
            name: Of the stream.
            seed: Of what is held out.

        Returns:
            The stream. In the scenarios `task` and `class`, y are the outputs of the whole stream, each task's own.

        Raises:
            DataError: Tasks are empty or share a class, or x or y do not fit `inputs` or `target`, or are not finite.
            SettingError: `names`, `classes`, `target` or `inputs` are not one for each task.
        """
        from lifelong.streams.from_data import stream_from

        return stream_from(datasets, scenario, target, inputs, classes, overlap, validation, names, name, seed)


def _sizes(task: Task) -> dict[str, int]:
    """How many examples each split has, as far as it is known without making them."""
    return {split: task.sizes[split] for split in SPLITS if split in task.sizes} if task.sizes is not None else {}


def _mapped(examples: Examples, function: Callable[[Tree], Tree]) -> Examples:
    return replace(examples, x=function(examples.x))


def input_fields(
    x: Tree, known: tuple[int, ...] | Field | dict[str, Field] | None = None
) -> tuple[int, ...] | Field | dict[str, Field]:
    """What the inputs `x` (N, …) are; vocabularies are those `known` of fields that are still whole numbers."""
    if isinstance(x, dict):
        fields = known if isinstance(known, dict) else {}
        return {name: _field(leaf, fields.get(name)) for name, leaf in x.items()}
    field = _field(x, known if isinstance(known, Field) else None)
    return field.shape if field.vocabulary is None else field


def _field(x: Tensor, known: Field | None) -> Field:
    whole = known is not None and not x.is_floating_point()
    return Field(tuple(x.shape[1:]), known.vocabulary if known is not None and whole else None)


def shared_space(tasks: Sequence[Task], boundaries: bool = True) -> Space:
    """The space of a stream whose tasks have spaces of their own: what is the same in all, and the kinds there are.

    Example:
        >>> spaces = [Space((4,), 3), Space((2,), 3)]
        >>> both = shared_space([Task(1, "", (), {}.get, space=spaces[0]), Task(2, "", (), {}.get, space=spaces[1])])
        >>> both.inputs, both.target, len(both.kinds)
        (None, 3, 2)
    """
    kinds = list({repr(task.space): task.space for task in tasks if task.space is not None}.values())
    first = kinds[0]
    inputs = first.inputs if all(kind.inputs == first.inputs for kind in kinds) else None
    target = first.target if all(kind.goal == first.goal for kind in kinds) else None
    return Space(inputs, target, first.scenario, boundaries, tuple(kinds) if len(kinds) > 1 else ())


def cache_test_splits(stream: Stream, limit: int = 256 * 2**20) -> Stream:
    """`stream` whose test splits stay in memory once made, the first ones up to `limit` bytes; others are made anew.

    Test splits are asked for after every task. What is read batch by batch is never cached.

    Example:
        >>> x, y = torch.rand(8, 2), torch.tensor([0, 1] * 4)
        >>> cached = cache_test_splits(Stream.from_datasets([((x, y), (x, y))]).map(lambda x: x + 1))
        >>> cached.task(1).test.x is cached.task(1).test.x
        True
    """
    cache: dict[int, Examples] = {}

    def loader(task: Task) -> Callable[[Split], Data | None]:
        def load(split: Split) -> Data | None:
            if split != "test":
                return task.load(split)
            if task.number in cache:
                return cache[task.number]
            data = task.load(split)
            used = sum(other.nbytes for other in cache.values())
            if isinstance(data, Examples) and used + data.nbytes <= limit:
                cache[task.number] = data
            return data

        return load

    return replace(stream, tasks=tuple(replace(task, load=loader(task)) for task in stream.tasks))


def held_out(count: int, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Positions to train on and positions held out for validation, drawn from `seed`.

    Example:
        >>> train, validation = held_out(10, 0.2, seed=0)
        >>> len(train), len(validation), sorted(torch.cat([train, validation]).tolist()) == list(range(10))
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

    Example:
        >>> relabelled(torch.tensor([7, 3, 7]), labels=[3, 7], outputs=[0, 1]).tolist()
        [1, 0, 1]
    """
    ranked, place = torch.tensor(list(labels)).sort()
    return torch.tensor(list(outputs))[place[torch.searchsorted(ranked, y_N)]]
