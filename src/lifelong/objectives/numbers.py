"""Vectors of numbers: regression with a Gaussian of unit variance around the answer.

−log p(y | x) = ½ Σ_c (f_c − y_c)², up to a constant. In the scenario `task` each task has outputs of its own, whose
numbers the target holds; in `domain` all tasks share them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.errors import DataError, require
from lifelong.objectives import metrics
from lifelong.objectives.base import Objective
from lifelong.types import Tree

__all__ = ["NumberObjective"]


class NumberObjective(Objective):
    """½ Σ_c (f_c − y_c)² over the outputs of the task.

    R holds R², where less than 0 (worse than the mean of the exam's targets) counts as 0; `r2` and `rmse` among the
    scores are unbounded.

    Example:
        >>> objective = NumberObjective()
        >>> objective.losses(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0]]), 1).tolist()
        [2.5]
    """

    name = "numbers"
    noun = "numbers"
    scenarios = ("task", "domain")

    def masked(self, answer: Tensor, task: int | Tensor) -> Tensor:
        """The outputs of the task, (B, its outputs)."""
        if self.scenario != "task":
            return answer
        if isinstance(task, int):
            return answer[:, list(self.of_task(task))]
        rows = [self.of_task(number) for number in task.tolist()]
        require(len({len(row) for row in rows}) == 1, "tasks of one batch need as many numbers each")
        return answer.gather(1, torch.tensor(rows, device=answer.device))

    def losses(self, answer: Tensor, y: Tensor, task: int | Tensor) -> Tensor:
        return 0.5 * F.mse_loss(self.masked(answer, task), y.to(answer.dtype), reduction="none").flatten(1).sum(1)

    def support(self, answer: Tensor, task: int | Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Targets one below the answer in one output each: the gradient of the loss is ∂f_c, and Σ_c (∂f_c)² exact."""
        mean_BC = self.masked(answer, task)
        for output in range(mean_BC.shape[1]):
            y_BC = mean_BC.clone()
            y_BC[:, output] -= 1
            yield y_BC, torch.ones_like(mean_BC[:, 0])

    def draw(self, answer: Tensor, task: int | Tensor, generator: torch.Generator) -> Tensor:
        mean_BC = self.masked(answer, task)
        return mean_BC + torch.randn(mean_BC.shape, generator=generator).to(mean_BC)

    def distance(self, answer: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """KL of the two Gaussians: ½ Σ_c (f_c − f*_c)²; a temperature has no meaning here and no effect."""
        return 0.5 * F.mse_loss(answer, teacher, reduction="none").flatten(1).sum(1).mean()

    def decide(self, answer: Tensor) -> Tensor:
        return answer

    def collect(self, answer: Tensor, y: Tensor, task: int | Tensor) -> dict[str, Tensor]:
        return {"decision": answer, "y": y}

    def scores(self, collected: Mapping[str, Tensor]) -> dict[str, float]:
        decision, y = collected["decision"], collected["y"]
        r2 = metrics.r2(decision, y)
        return {"r2_clipped": max(0.0, r2), "r2": r2, "rmse": metrics.rmse(decision, y)}

    def check(self, y: Tree, place: str) -> None:
        if not isinstance(y, Tensor) or y.ndim != 2 or not y.is_floating_point():
            found = f"{y.dtype} of shape {tuple(y.shape)}" if isinstance(y, Tensor) else f"fields {sorted(y)}"
            raise DataError(f"{place}: expected targets of floating-point numbers (N, C), got {found}; use y[:, None]")
        super().check(y, place)

    def check_answer(self, answer: Tensor, y: Tensor) -> None:
        wide = y.shape[1] if self.scenario != "task" else None
        require(
            isinstance(answer, Tensor) and answer.ndim == 2 and wide in (None, answer.shape[1]),
            f"the model must map (B, …) to numbers (B, {wide or 'C'}), got {getattr(answer, 'shape', type(answer))}",
        )
