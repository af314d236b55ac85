"""One class per example: logits, cross-entropy, accuracy.

| scenario | training loss over | prediction over |
|---|---|---|
| domain | all outputs | all outputs |
| class | all outputs of the head: every class from the start (`all`), the classes so far (`growing`) | the same |
| task | the classes of the example's own task | the classes of the named task |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from lifelong.errors import DataError, require
from lifelong.objectives import metrics
from lifelong.objectives.base import Objective
from lifelong.types import Scenario, Target, Tree

__all__ = ["ClassObjective", "softmax_distance"]


def softmax_distance(logits_BC: Tensor, teacher_BC: Tensor, temperature: float) -> Tensor:
    """T² · KL(softmax(teacher / T) ‖ softmax(logits / T)), the mean over the batch; the teacher may hold −∞.

    The factor keeps the size of the gradient where T grows (Hinton et al. 2015).

    Example:
        >>> now, then = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
        >>> round(float(softmax_distance(now, then, 1.0)), 4), abs(float(softmax_distance(then, then, 2.0))) < 1e-6
        (0.4621, True)
    """
    if temperature != 1:
        teacher_BC, logits_BC = teacher_BC / temperature, logits_BC / temperature
    then_BC, now_BC = torch.softmax(teacher_BC, dim=1), torch.log_softmax(logits_BC, dim=1)
    finite_BC = now_BC.clamp_min(torch.finfo(now_BC.dtype).min)  # 0 · −∞ would be no number
    return F.kl_div(finite_BC, then_BC, reduction="sum") * (temperature**2 / len(then_BC))


class ClassObjective(Objective):
    """−log softmax(logits)_y over the outputs that count.

    Attributes:
        weight_C: Weights of the classes in the training loss; None weighs them alike.

    Example:
        >>> objective = ClassObjective(scenario="task")
        >>> objective.announce(1, (0, 1)); objective.announce(2, (2, 3))
        >>> logits_BC = torch.tensor([[9.0, 0.0, 1.0, 2.0]])
        >>> objective.masked(logits_BC, 2).argmax(1).item()
        3
    """

    name = "classes"
    noun = "classes"

    def __init__(
        self, target: Target | None = None, scenario: Scenario = "domain", announced_only: bool = False
    ) -> None:
        super().__init__(target, scenario, announced_only)
        self.weight_C: Tensor | None = None
        self._table_TC = torch.zeros(1, 0, dtype=torch.bool)
        self._gaps = False

    def announce(self, task: int, classes: tuple[int, ...]) -> None:
        super().announce(task, classes)
        known = {label for some in self.classes.values() for label in some}
        self._gaps = self.announced_only and self.scenario != "task" and len(known) < self.count
        self._table_TC = torch.zeros(1, 0, dtype=torch.bool)

    def columns(self, task: int) -> slice | None:
        """The outputs of `task` as a slice where they are neighbours (None: all outputs, or no neighbours)."""
        classes = self.of_task(task) if self.scenario == "task" else ()
        if not classes or classes != tuple(range(classes[0], classes[-1] + 1)):
            return None
        return slice(classes[0], classes[-1] + 1)

    def masked(self, answer: Tensor, task: int | Tensor) -> Tensor:
        """The logits with −∞ for outputs that do not count for `task` (a number, or one per row)."""
        if self.scenario != "task":
            return answer.masked_fill(~self._table(answer)[-1], float("-inf")) if self._gaps else answer
        if isinstance(task, int):
            self.of_task(task)
        return answer.masked_fill(~self._table(answer)[task], float("-inf"))

    def losses(self, answer: Tensor, y: Tensor, task: int | Tensor) -> Tensor:
        return F.cross_entropy(self.masked(answer, task), y, reduction="none")

    def loss(self, answer: Tensor, y: Tensor, task: int | Tensor) -> Tensor:
        """Mean cross-entropy over the outputs that count, weighted by class where `weight_C` is set."""
        columns = self.columns(task) if isinstance(task, int) else None
        weight_C = self.weight_C
        if columns is not None:
            weight_C = weight_C if weight_C is None else weight_C[columns].to(answer)
            return F.cross_entropy(answer[:, columns], y - columns.start, weight_C)
        if weight_C is None:
            return F.cross_entropy(self.masked(answer, task), y)
        # not the function's own weight: it would multiply the −∞ of outputs that do not count by 0
        weight_B = weight_C.to(answer)[y]
        return (self.losses(answer, y, task) * weight_B).sum() / weight_B.sum()

    def log_probabilities(self, answer: Tensor, task: int | Tensor) -> Tensor:
        """log p(class | x) over the outputs that count; −∞ elsewhere."""
        return F.log_softmax(self.masked(answer, task), dim=1)

    def support(self, answer: Tensor, task: int | Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Each class that counts, weighted by its probability: C passes."""
        p_BC = self.log_probabilities(answer, task).exp()
        for label in (p_BC > 0).any(0).nonzero()[:, 0].tolist():
            yield torch.full((len(p_BC),), label, device=p_BC.device), p_BC[:, label]

    def draw(self, answer: Tensor, task: int | Tensor, generator: torch.Generator) -> Tensor:
        p_BC = self.log_probabilities(answer, task).exp()
        return torch.multinomial(p_BC.double().cpu(), 1, generator=generator)[:, 0].to(answer.device)

    def distance(self, answer: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        return softmax_distance(answer, teacher, temperature)

    def decide(self, answer: Tensor) -> Tensor:
        return answer.argmax(1)

    def scores(self, collected: Mapping[str, Tensor]) -> dict[str, float]:
        answer_NC, y_N, decision_N = collected["answer"], collected["y"], collected["decision"]
        found = {"accuracy": metrics.accuracy(decision_N, y_N), "macro_f1": metrics.macro_f1(decision_N, y_N)}
        if answer_NC.shape[1] > 5:
            found["top5"] = metrics.top_k(answer_NC, y_N, 5)
        found["calibration_error"] = metrics.calibration_error(answer_NC, y_N)
        return found

    def check(self, y: Tree, place: str) -> None:
        if not isinstance(y, Tensor) or y.ndim != 1:
            shape = tuple(y.shape) if isinstance(y, Tensor) else sorted(y)
            raise DataError(f"{place}: expected one label per example, got {shape}")
        if y.dtype != torch.int64:
            raise DataError(f"{place}: expected int64 labels, got {y.dtype}; use y.long()")
        if len(y) and int(y.min()) < 0:
            raise DataError(f"{place}: labels must be in 0 or more, got {int(y.min())} … {int(y.max())}")

    def check_outputs(self, y: Tensor, place: str, outputs: int) -> None:
        """Raise `DataError` where a label is beyond the `outputs` that the network has."""
        low, high = int(y.min()), int(y.max())
        if high >= outputs:
            raise DataError(f"{place}: labels must be in 0 … {outputs - 1}, got {low} … {high}")

    def check_answer(self, answer: Tensor, y: Tensor) -> None:
        require(
            isinstance(answer, Tensor) and answer.ndim == 2,
            f"the model must map (B, …) to logits (B, C), got {getattr(answer, 'shape', type(answer))}",
        )

    def _table(self, logits_BC: Tensor) -> Tensor:
        """Rows: task numbers, the last all tasks; columns: outputs; made again when a task or the device is new."""
        height, width = max(self.classes, default=0) + 2, logits_BC.shape[1]
        if self._table_TC.shape != (height, width) or self._table_TC.device != logits_BC.device:
            table_TC = torch.zeros(height, width, dtype=torch.bool)
            for task, classes in self.classes.items():
                table_TC[task, list(classes)] = True
            table_TC[-1] = table_TC.any(0)
            self._table_TC = table_TC.to(logits_BC.device)
        return self._table_TC
