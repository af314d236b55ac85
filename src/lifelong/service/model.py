"""A version that can answer. Suffixes: N inputs, C outputs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lifelong.loop.schema import Inputs
from lifelong.training import Learner

__all__ = ["Answers", "Model", "warmed"]


class Answers(NamedTuple):
    """Of N inputs the likeliest output (N,), its probability (N,), and all probabilities (N, C)."""

    output_N: NDArray[np.int64]
    confidence_N: NDArray[np.float32]
    probability_NC: NDArray[np.float32]

    def at(self, rows: slice) -> Answers:
        """The answers to some of the inputs."""
        return Answers(self.output_N[rows], self.confidence_N[rows], self.probability_NC[rows])


@dataclass(frozen=True, eq=False)
class Model:
    """A version that can answer. `seconds` is what one input took when it was warmed up, and what `rows` of them took.

    It is used by one thread at a time, which `Batcher` sees to.
    """

    version: str
    classes: tuple[str, ...]
    learner: Learner = field(repr=False)
    seconds: tuple[float, float] = (0.0, 0.0)
    rows: int = 1

    @property
    def tasks(self) -> list[int] | None:
        """The tasks of which one must be named with every request; None where none is needed."""
        learner = self.learner
        needed = learner.objective.scenario == "task" or "task number at test" in learner.method.needs
        return sorted(learner.objective.classes) if needed else None

    def answer(self, x_N: Inputs, task: int | None = None) -> Answers:
        """Answers to inputs (N, *shape) that were checked; the softmax of `Learner.logits`, bit for bit.

        It is written out here, as `Learner.logits` first sets every module to evaluation, which `Models` did for good:
        for a small model that takes as long as the answer.
        """
        learner = self.learner
        with torch.inference_mode(), learner.autocast():
            x = torch.from_numpy(x_N).to(learner.training.device)
            logits_NC = learner.forward_raw(x, task or 0)
            probability_NC = torch.softmax(learner.objective.masked(logits_NC.float(), task or 0), dim=1).cpu()
            confidence_N, output_N = probability_NC.max(dim=1)
        return Answers(output_N.numpy(), confidence_N.numpy(), probability_NC.numpy())

    def expected_seconds(self, rows: int) -> float:
        """How long `rows` inputs will take, on the line through what was measured."""
        one, many = self.seconds
        return one + (many - one) * (rows - 1) / max(1, self.rows - 1)


def warmed(model: Model, shape: tuple[int, ...]) -> Model:
    """The model after its first answers, which are slow, with the time that the next ones took."""
    taken: list[float] = []
    for rows in (1, model.rows):
        x_N = np.zeros((rows, *shape), dtype=np.float32)
        tasks = model.tasks
        least = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            model.answer(x_N, tasks[0] if tasks else None)
            least = min(least, time.perf_counter() - start)
        taken.append(least)
    return Model(model.version, model.classes, model.learner, (taken[0], taken[1]), model.rows)
