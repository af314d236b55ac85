"""Regression: a target that drifts from task to task, and what is left of the first one.

python examples/regression.py
"""

from __future__ import annotations

import torch

import lifelong
from lifelong import Learner, Numbers, Stream


def drifting(tasks: int) -> Stream:
    """Two numbers from six inputs by a rule that turns in each task; the first input says where the world stands."""
    generator = torch.Generator().manual_seed(0)
    rule, turn = torch.randn(2, 5, 2, generator=generator)
    datasets = []
    for number in range(tasks):
        x = torch.randn(600, 6, generator=generator)
        x[:, 0] = number
        y = torch.sin(x[:, 1:] @ (rule + 0.25 * number * turn) / 2)
        datasets.append(((x[:400], y[:400]), (x[400:], y[400:])))
    return Stream.from_datasets(datasets, target=Numbers(2))


def main() -> None:
    """Print R² on every task after the last one, and the error on the first."""
    stream = drifting(tasks=4)
    print("R² on tasks 1 … 4 after task 4 (0: no better than the mean), RMSE on task 1")
    for method in (lifelong.Finetune(), lifelong.EWC(strength=10.0), lifelong.ER(capacity=200), lifelong.Joint()):
        learner = Learner("mlp:64", method, stream.space, epochs=30, lr=0.02, seed=0)
        for task in stream:
            learner.learn(task)
        row, rmse = learner.evaluate(stream), learner.scores(stream.task(1))["rmse"]
        print(f"{method.name:>9}  {'  '.join(f'{value:.2f}' for value in row)}   {rmse:.2f}")


if __name__ == "__main__":
    main()
