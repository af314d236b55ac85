"""MAS as the homework's code has it, in two ways in which it is not the paper's: which cells they explain.

    python benchmarks/homework_mas.py [--seeds 1] [--batched] [--once] [--samples 600]

The paper has Ω_1 + … + Ω_t after task t. The homework's code adds to each Ω_t the sums of *all* tasks before, so that
it has S_t = Ω_t + S_1 + … + S_{t−1}, where task 1 counts 2^{t−2} times; `--once` counts as the paper. And it takes the
size of the gradient of the mean over a batch of 128 where the paper has that of each sample: `--batched`. All else is
the table's own protocol.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lifelong import run, stream
from lifelong.experiments.reproduce import table
from lifelong.methods import MAS
from lifelong.methods.base import LearnerView
from lifelong.methods.inference import chunks, evaluating
from lifelong.methods.mas import sensitivity
from lifelong.methods.quadratic_penalty import Spring, merge
from lifelong.types import Data


@dataclass
class Counted(Spring):
    """The spring of the newest sum, and the sum of all sums."""

    total_P: Tensor = field(default_factory=lambda: torch.zeros(0))


def batched(learner: LearnerView, task: Data, size: int = 128) -> Tensor:
    """1/⌈N/B⌉ Σ_b |∂/∂θ 1/|b| Σ_{n ∈ b} ‖f(x_n)‖²| (P,)."""
    total_P, parts = torch.zeros_like(learner.flat.grad_P), 0
    for some in chunks(learner, task, size):
        with evaluating(learner.model), torch.enable_grad():
            total_P += learner.flat.gradient(learner.model(some.x).square().sum(1).mean()).abs()
        parts += 1
    return total_P / parts


@dataclass(frozen=True)
class HomeworkMAS(MAS):
    """MAS that counts task k of t tasks 2^{t−k−1} times (the newest and the one before once), unless `once`."""

    by_batch: bool = False
    once: bool = False

    name = "homework-mas"

    def init(self, learner: LearnerView) -> Counted:
        empty = super().init(learner)
        return Counted(empty.importance_P, empty.centre_P, 0.0, torch.zeros_like(empty.centre_P))

    def end_task(self, state: Spring, learner: LearnerView, task: Data) -> Counted:
        assert isinstance(state, Counted)
        own_P = batched(learner, task) if self.by_batch else sensitivity(learner, task, self.samples)
        sum_P = own_P + state.total_P
        spring = merge(state, sum_P, learner.flat.theta_P.detach(), decay=0.0, online=True)
        return Counted(
            spring.importance_P, spring.centre_P, spring.largest, (0 if self.once else state.total_P) + sum_P
        )


def seen(seeds: int, samples: int | None, **how: Any) -> Iterator[tuple[float, list[float]]]:
    """For each task the published mean accuracy on the tasks so far, and ours of every seed."""
    part = next(part for part in table("homework").parts if part.label == "mas")
    experiment = part.experiment
    settings: dict[str, Any] = dict(experiment.methods[0].settings)
    training = {name: getattr(experiment.training, name) for name in ("epochs", "batch", "optimizer", "lr")}
    fewer: dict[str, Any] = {} if samples is None else {"samples": samples}
    tasks = stream(experiment.stream, **experiment.stream_settings, **fewer)
    found = run(tasks, [HomeworkMAS(**settings, **how)], seeds=seeds, model=experiment.model, training=training)
    for number, cell in enumerate(part.cells, start=1):
        yield cell.published, [100 * float(matrix[number, :number].mean()) for matrix in found.matrix]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--samples", type=int, help="so many images of a task instead of all, to try it")
    parser.add_argument("--batched", action="store_true")
    parser.add_argument("--once", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| tasks seen | published | ours |\n|---|---|---|")
    found = seen(options.seeds, options.samples, by_batch=options.batched, once=options.once)
    for number, (published, ours) in enumerate(found, start=1):
        print(f"| {number} | {published:.2f} | {', '.join(f'{value:.2f}' for value in ours)} |")


if __name__ == "__main__":
    main()
