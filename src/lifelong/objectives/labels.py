"""Any of C labels per example: independent yes-or-no answers.

−log p(y | x) = Σ_c −y_c log σ(z_c) − (1 − y_c) log(1 − σ(z_c)). In the scenarios `task` and `class` a target has a
column for every label of the stream, and the labels of the task (so far) count.
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

__all__ = ["LabelObjective"]


class LabelObjective(Objective):
    """Σ_c of the binary cross-entropy over the labels that count.

    R holds the F1 over all answers of an exam (micro).

    Example:
        >>> objective = LabelObjective()
        >>> objective.decide(torch.tensor([[2.0, -1.0, 0.5]])).tolist()
        [[1.0, 0.0, 1.0]]
    """

    name = "labels"
    noun = "labels"

    def _counts(self, answer: Tensor, task: int | Tensor) -> Tensor | None:
        """1 for labels that count, (C,) or (B, C); None where all do."""
        if self.scenario == "domain":
            return None
        if self.scenario == "class":
            known = sorted({label for some in self.classes.values() for label in some})
            return torch.zeros(answer.shape[1], device=answer.device).index_fill_(
                0, torch.tensor(known, dtype=torch.int64, device=answer.device), 1.0
            )
        if isinstance(task, int):
            chosen = torch.tensor(self.of_task(task), dtype=torch.int64, device=answer.device)
            return torch.zeros(answer.shape[1], device=answer.device).index_fill_(0, chosen, 1.0)
        numbers, place_B = task.unique(return_inverse=True)
        rows = [self._counts(answer, int(number)) for number in numbers]
        return torch.stack([row for row in rows if row is not None])[place_B]

    def masked(self, answer: Tensor, task: int | Tensor) -> Tensor:
        counts = self._counts(answer, task)
        return answer if counts is None else answer.masked_fill(counts == 0, float("-inf"))

    def losses(self, answer: Tensor, y: Tensor, task: int | Tensor) -> Tensor:
        counts = self._counts(answer, task)
        finite = answer if counts is None else torch.where(counts > 0, answer, 0.0)  # those that do not count may be −∞
        each_BC = F.binary_cross_entropy_with_logits(finite, y[:, : answer.shape[1]].to(answer), reduction="none")
        return (each_BC if counts is None else each_BC * counts).sum(1)

    def support(self, answer: Tensor, task: int | Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The Fisher information is Σ_c p_c (1 − p_c) (∂z_c)²: targets whose loss has the gradient ∂z_c alone."""
        p_BC, counts = answer.sigmoid(), self._counts(answer, task)
        for label in range(answer.shape[1]) if counts is None else counts.nonzero()[:, -1].unique().tolist():
            y_BC = p_BC.clone()
            y_BC[:, label] -= 1
            yield y_BC, p_BC[:, label] * (1 - p_BC[:, label])

    def draw(self, answer: Tensor, task: int | Tensor, generator: torch.Generator) -> Tensor:
        uniform_BC = torch.rand(answer.shape, generator=generator).to(answer)
        return (uniform_BC < answer.sigmoid()).to(answer)

    def distance(self, answer: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """T² Σ_c KL(σ(teacher_c / T) ‖ σ(z_c / T)), the mean over the batch, without labels whose teacher is −∞."""
        known = torch.isfinite(teacher)
        then, now = torch.where(known, teacher, 0.0) / temperature, torch.where(known, answer, 0.0) / temperature
        p = then.sigmoid()
        kl = p * (F.logsigmoid(then) - F.logsigmoid(now)) + (1 - p) * (F.logsigmoid(-then) - F.logsigmoid(-now))
        return (kl * known).sum() * (temperature**2 / len(answer))

    def decide(self, answer: Tensor) -> Tensor:
        return (answer > 0).float()

    def collect(self, answer: Tensor, y: Tensor, task: int | Tensor) -> dict[str, Tensor]:
        counts = self._counts(answer, task)
        asked = torch.ones_like(answer) if counts is None else counts.expand_as(answer)
        return {**super().collect(answer, y[:, : answer.shape[1]], task), "asked": asked}

    def scores(self, collected: Mapping[str, Tensor]) -> dict[str, float]:
        columns = collected["asked"].bool().any(0)
        answer, decision, y = (collected[name][:, columns] for name in ("answer", "decision", "y"))
        return {
            "micro_f1": metrics.micro_f1(decision, y),
            "macro_f1": metrics.multi_label_macro_f1(decision, y),
            "mean_average_precision": metrics.mean_average_precision(answer, y),
            "exact_match": float((decision == y).all(1).double().mean()),
        }

    def check(self, y: Tree, place: str) -> None:
        if not isinstance(y, Tensor) or y.ndim != 2:
            shape = tuple(y.shape) if isinstance(y, Tensor) else sorted(y)
            raise DataError(f"{place}: expected labels (N, C) of 0 and 1, got {shape}")
        if not bool(((y == 0) | (y == 1)).all()):
            row = int(((y != 0) & (y != 1)).any(1).nonzero()[0])
            raise DataError(f"{place}: labels must be 0 or 1, got {y[row].tolist()} in row {row}")

    def check_answer(self, answer: Tensor, y: Tensor) -> None:
        require(
            isinstance(answer, Tensor) and answer.ndim == 2 and answer.shape[1] >= 1,
            f"the model must map (B, …) to one logit per label (B, C), got {getattr(answer, 'shape', type(answer))}",
        )
