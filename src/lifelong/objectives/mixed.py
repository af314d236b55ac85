"""Tasks with targets of their own: each is learned and scored by the objective of its kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from lifelong.errors import SettingError
from lifelong.objectives.base import Objective
from lifelong.objectives.registry import objective_for
from lifelong.types import Space, Tree

__all__ = ["MixedObjective"]


class MixedObjective(Objective):
    """The objective of the task that an example belongs to; the examples of a batch are of one kind.

    Example:
        >>> mixed = MixedObjective()
        >>> mixed.add(1, Space((4,), 3)).name, mixed.of(1).name
        ('classes', 'classes')
    """

    name = "mixed"

    def add(self, task: int, space: Space) -> Objective:
        """The objective of task number `task`, one for all tasks of the same inputs and target."""
        if task not in self.parts:
            kind = repr((space.inputs, space.target))
            same = [part for number, part in self.parts.items() if self._kind(number) == kind]
            self.spaces[task] = space
            self.parts[task] = same[0] if same else objective_for(space.target, self.scenario)
        self.parts[task].metrics = self.metrics
        return self.parts[task]

    def _kind(self, task: int) -> str:
        return repr((self.spaces[task].inputs, self.spaces[task].target))

    def of(self, task: int | Tensor) -> Objective:
        number = task if isinstance(task, int) else int(task[0])
        if number not in self.parts:
            known = sorted(self.parts) or "none yet"
            raise SettingError(f"task {number} is unknown: known are {known}; learn it first")
        return self.parts[number]

    def announce(self, task: int, classes: tuple[int, ...]) -> None:
        super().announce(task, classes)
        self.of(task).announce(task, classes)

    def losses(self, answer: Tensor, y: Tensor, task: int | Tensor) -> Tensor:
        return self.of(task).losses(answer, y, task)

    def loss(self, answer: Tensor, y: Tensor, task: int | Tensor) -> Tensor:
        return self.of(task).loss(answer, y, task)

    def masked(self, answer: Tensor, task: int | Tensor) -> Tensor:
        return self.of(task).masked(answer, task)

    def support(self, answer: Tensor, task: int | Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        return self.of(task).support(answer, task)

    def draw(self, answer: Tensor, task: int | Tensor, generator: torch.Generator) -> Tensor:
        return self.of(task).draw(answer, task, generator)

    def decide(self, answer: Tensor) -> Tensor:
        raise SettingError("the decision depends on the task: name it, as in predict(x, task=1)")

    def collect(self, answer: Tensor, y: Tensor, task: int | Tensor) -> dict[str, Tensor]:
        return self.of(task).collect(answer, y, task)

    def scores(self, collected: Mapping[str, Tensor]) -> dict[str, float]:
        raise SettingError("the scores depend on the task: use Learner.scores(task)")

    def check(self, y: Tree, place: str) -> None:
        """Nothing: each task's targets are checked by its own objective."""
