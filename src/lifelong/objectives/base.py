"""What an answer means: its loss, its likelihood, its decision and its scores. The only place that knows a loss.

An objective is told of each task (`announce`) and then asked about answers of the network. An answer and a target have
the examples in their first dimension; suffixes: B batch, C outputs, L positions, N examples.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Self, TypeAlias

import torch
from torch import Tensor

from lifelong.errors import DataError, SettingError
from lifelong.types import Scenario, Space, Target, Tree, leaves

__all__ = ["Metric", "Objective"]

#: decisions (N, …) and targets (N, …) → one number; higher is better
Metric: TypeAlias = Callable[[Tensor, Tensor], float]


class Objective(ABC):
    """One kind of target. Derive from it for a target of your own; `losses`, `decide` and `scores` are enough for many.

    Args:
        target: What the stream asks for; None where only the tasks know.
        scenario: `task`, `domain` or `class`.
        announced_only: Outputs that no task has announced do not count (a growing head has rows for them).

    Attributes:
        classes: The outputs of each task by its number.
        count: The outputs needed for every task announced.
        metrics: Metrics of your own by name, reported after the objective's.
        parts, spaces: The objectives and the spaces of tasks that have their own (`MixedObjective`).
    """

    #: as in `lifelong run` results and refusals
    name: ClassVar[str]
    #: the scenarios in which this target is defined
    scenarios: ClassVar[tuple[Scenario, ...]] = ("task", "domain", "class")
    #: what a method that learns this objective only would call it in an error
    noun: ClassVar[str] = "targets"

    def __init__(
        self, target: Target | None = None, scenario: Scenario = "domain", announced_only: bool = False
    ) -> None:
        if scenario not in self.scenarios:
            raise SettingError(
                f"the objective {self.name!r} is not defined in the scenario {scenario!r}, "
                f"only in {', '.join(self.scenarios)}"
            )
        self.target, self.scenario, self.announced_only = target, scenario, announced_only
        self.classes: dict[int, tuple[int, ...]] = {}
        self.count = 0
        self.metrics: Mapping[str, Metric] = {}
        self.parts: dict[int, Objective] = {}
        self.spaces: dict[int, Space] = {}

    def announce(self, task: int, classes: tuple[int, ...]) -> None:
        """Make the outputs of task number `task` known.

        Raises:
            DataError: The task is known with other outputs.
        """
        known = self.classes.get(task)
        if known is not None and known != classes:
            raise DataError(f"task {task} had the classes {known}, now {classes}; number your tasks apart")
        self.classes[task] = classes
        self.count = max(self.count, max(classes, default=-1) + 1)

    def copied(self) -> Self:
        """An objective that may be told of more tasks without this one knowing."""
        twin = copy.copy(self)
        parts = {id(part): part.copied() for part in self.parts.values()}
        twin.parts = {number: parts[id(part)] for number, part in self.parts.items()}
        twin.classes, twin.spaces = dict(self.classes), dict(self.spaces)
        return twin

    def of(self, task: int | Tensor) -> Objective:
        """The objective of one task; this one, unless tasks have targets of their own."""
        return self

    def of_task(self, task: int) -> tuple[int, ...]:
        """The outputs of one announced task.

        Raises:
            SettingError: The task was never announced.
        """
        if task not in self.classes:
            raise SettingError(
                f"task {task} is unknown in the scenario 'task': known are {sorted(self.classes) or 'none yet'}; "
                "learn it first, or evaluate with its Task"
            )
        return self.classes[task]

    # --- training ---

    @abstractmethod
    def losses(self, answer: Tensor, y: Tensor, task: int | Tensor) -> Tensor:
        """−log p(y | x) of each example, (B,)."""

    def loss(self, answer: Tensor, y: Tensor, task: int | Tensor) -> Tensor:
        """The training loss of a batch: the mean of `losses`."""
        return self.losses(answer, y, task).mean()

    def masked(self, answer: Tensor, task: int | Tensor) -> Tensor:
        """`answer` without the outputs that do not count for `task` (a number, or one per example)."""
        return answer

    def outputs(self, answer: Tensor, task: int | Tensor) -> Tensor:
        """The outputs in `answer` that the objective of `task` reads: all, unless tasks have targets of their own."""
        return answer

    def support(self, answer: Tensor, task: int | Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Targets (B, …) with weights (B,), so that Σ weight · (∂ losses/∂θ)² is the exact Fisher information."""
        raise SettingError(
            f"the exact Fisher information of {self.name} is no short sum; use fisher='sampled' or 'empirical'"
        )

    def draw(self, answer: Tensor, task: int | Tensor, generator: torch.Generator) -> Tensor:
        """A target drawn from p(y | x) for each example."""
        raise SettingError(f"no target can be drawn from the answers of {self.name}; use fisher='empirical'")

    def distance(self, answer: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """How far the answers are from a teacher's, the mean over the batch; 0 where they are equal."""
        raise SettingError(f"distillation is not defined for {self.name}; use a method without, as er")

    # --- answers ---

    @abstractmethod
    def decide(self, answer: Tensor) -> Tensor:
        """The prediction for each example."""

    def collect(self, answer: Tensor, y: Tensor, task: int | Tensor) -> dict[str, Tensor]:
        """What `scores` needs of a batch: tensors by name, each (B, …); joined over the batches."""
        return {"answer": answer, "decision": self.decide(answer), "y": y}

    @abstractmethod
    def scores(self, collected: Mapping[str, Tensor]) -> dict[str, float]:
        """The scores of collected answers by name; the first one, in 0 … 1, enters R."""

    def all_scores(self, collected: Mapping[str, Tensor]) -> dict[str, float]:
        """`scores`, then the metrics of your own."""
        own = {name: float(metric(collected["decision"], collected["y"])) for name, metric in self.metrics.items()}
        return {**self.scores(collected), **own}

    # --- checks ---

    def check(self, y: Tree, place: str) -> None:
        """Check targets before anything is learned from them.

        Raises:
            DataError: They are no targets of this objective.
        """
        for leaf in leaves(y):
            if leaf.is_floating_point() and not bool(torch.isfinite(leaf).all()):
                row = int((~torch.isfinite(leaf.flatten(1) if leaf.ndim > 1 else leaf[:, None])).any(1).nonzero()[0])
                raise DataError(f"{place}: the target of row {row} is NaN or infinite; remove or impute it")

    def check_answer(self, answer: Tensor, y: Tensor) -> None:  # noqa: B027 - anything is right unless a target says so
        """Check the answer of a network of your own.

        Raises:
            SettingError: The network gives something else than this objective needs.
        """
