"""Tasks with targets of their own: each is learned and scored by the objective of its kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

import torch
from torch import Tensor

from lifelong.errors import SettingError
from lifelong.objectives.base import Objective
from lifelong.objectives.registry import objective_for
from lifelong.types import Scenario, Space, Target, Tree

__all__ = ["MixedObjective"]


class MixedObjective(Objective):
    """The objective of the task that an example belongs to.

    Attributes:
        whole: What a network answers that has an output for every target of the stream; None where a network of the
            user's answers inputs with the outputs of their task alone.
        columns: Where the outputs of each task are in such an answer.

    Example:
        >>> mixed = MixedObjective()
        >>> mixed.add(1, Space((4,), 3)).name, mixed.of(1).name
        ('classes', 'classes')
    """

    name = "mixed"

    def __init__(
        self, target: Target | None = None, scenario: Scenario = "domain", announced_only: bool = False
    ) -> None:
        super().__init__(target, scenario, announced_only)
        self.whole: Space | None = None
        self.columns: dict[int, slice] = {}

    def add(self, task: int, space: Space) -> Objective:
        """The objective of task number `task`, one for all tasks of the same target.

        Raises:
            SettingError: The network has no outputs for such a task.
        """
        if task not in self.parts:
            columns = slice(None) if self.whole is None else self.whole.columns(space.input_kind).get(space.goal)
            if columns is None:
                raise SettingError(
                    f"task {task} has inputs {space.inputs} and target {space.target}, which the stream's space did "
                    "not announce; give Space(…, kinds=…) all that will come"
                )
            same = [part for number, part in self.parts.items() if self.spaces[number].goal == space.goal]
            self.spaces[task], self.columns[task] = space, columns
            part = same[0] if same else objective_for(space.target, self.scenario, self.announced_only)
            self.parts[task] = part
        self.parts[task].metrics = self.metrics
        return self.parts[task]

    def copied(self) -> Self:
        twin = super().copied()
        twin.columns = dict(self.columns)
        return twin

    def of(self, task: int | Tensor) -> Objective:
        number = task if isinstance(task, int) else int(task[0])
        if number not in self.parts:
            known = sorted(self.parts) or "none yet"
            raise SettingError(f"task {number} is unknown: known are {known}; learn it first")
        return self.parts[number]

    def announce(self, task: int, classes: tuple[int, ...]) -> None:
        super().announce(task, classes)
        self.of(task).announce(task, classes)

    def outputs(self, answer: Tensor, task: int | Tensor) -> Tensor:
        self.of(task)  # which says where it is unknown
        return answer[..., self.columns[task if isinstance(task, int) else int(task[0])]]

    def _groups(self, task: int | Tensor) -> list[Tensor] | None:
        """The rows of each target in a batch of several; None where it is one."""
        if isinstance(task, int):
            return None
        tasks: dict[Target, list[int]] = {}
        for number in task.unique().tolist():
            self.of(number)  # which says where it is unknown
            tasks.setdefault(self.spaces[number].goal, []).append(number)
        if len(tasks) == 1:
            return None
        return [torch.isin(task, task.new_tensor(some)).nonzero()[:, 0] for some in tasks.values()]

    def losses(self, answer: Tensor, y: Tensor, task: int | Tensor) -> Tensor:
        groups = self._groups(task)
        if groups is None:
            return self.of(task).losses(self.outputs(answer, task), y, task)
        assert isinstance(task, Tensor)
        losses = [self.losses(answer[rows], y[rows], task[rows]) for rows in groups]
        return torch.cat(losses)[torch.cat(groups).argsort()]

    def loss(self, answer: Tensor, y: Tensor, task: int | Tensor) -> Tensor:
        groups = self._groups(task)
        if groups is None:
            return self.of(task).loss(self.outputs(answer, task), y, task)
        assert isinstance(task, Tensor)
        parts = [self.loss(answer[rows], y[rows], task[rows]) * (len(rows) / len(y)) for rows in groups]
        return torch.stack(parts).sum()

    def masked(self, answer: Tensor, task: int | Tensor) -> Tensor:
        return self.of(task).masked(self.outputs(answer, task), task)

    def support(self, answer: Tensor, task: int | Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        return self.of(task).support(self.outputs(answer, task), task)

    def draw(self, answer: Tensor, task: int | Tensor, generator: torch.Generator) -> Tensor:
        return self.of(task).draw(self.outputs(answer, task), task, generator)

    def distance(self, answer: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        [only] = {id(part): part for part in self.parts.values()}.values()  # methods that distil learn one kind
        return only.distance(answer, teacher, temperature)

    def decide(self, answer: Tensor) -> Tensor:
        raise SettingError("the decision depends on the task: name it, as in predict(x, task=1)")

    def collect(self, answer: Tensor, y: Tensor, task: int | Tensor) -> dict[str, Tensor]:
        return self.of(task).collect(answer, y, task)

    def scores(self, collected: Mapping[str, Tensor]) -> dict[str, float]:
        raise SettingError("the scores depend on the task: use Learner.scores(task)")

    def check(self, y: Tree, place: str) -> None:
        """Nothing: each task's targets are checked by its own objective."""
