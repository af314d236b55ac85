"""Several labels per example: each task brings two more of them, and the model is asked for all so far.

python examples/multi_label.py
"""

from __future__ import annotations

import torch

import lifelong
from lifelong import Labels, Learner, Stream, Task
from lifelong.types import Examples, Space


def growing(tasks: int, per_task: int = 2) -> Stream:
    """Labels are half-spaces of eight inputs; a task names its own and says nothing of the others."""
    generator = torch.Generator().manual_seed(0)
    labels = tasks * per_task
    planes = torch.randn(8, labels, generator=generator)
    chunks = []
    for number in range(tasks):
        named = tuple(range(number * per_task, (number + 1) * per_task))
        x = torch.randn(600, 8, generator=generator)
        y = torch.zeros(600, labels)
        y[:, list(named)] = (x @ planes > 0.5).float()[:, list(named)]
        splits = {"train": Examples(x[:400], y[:400], 0), "test": Examples(x[400:], y[400:], 0)}
        chunks.append(Task(number + 1, f"labels {named[0]} and {named[1]}", named, splits.get))
    return Stream("half-spaces", Space((8,), Labels(labels), "task"), tuple(chunks))


def main() -> None:
    """Print the F1 on every task after every task, and three more scores of the first."""
    stream = growing(tasks=3)
    for method in (lifelong.Finetune(), lifelong.ER(capacity=150), lifelong.LwF(strength=1.0)):
        learner = Learner("mlp:64", method, stream.space, epochs=20, lr=0.05, seed=0)
        print(f"\n{method.name}: F1 on tasks 1 … 3")
        for task in stream:
            learner.learn(task)
            print(f"  after {task.name}: {'  '.join(f'{value:.2f}' for value in learner.evaluate(stream))}")
        more = learner.scores(stream.task(1))
        print(f"  task 1 in the end: {', '.join(f'{name} {value:.2f}' for name, value in more.items())}")


if __name__ == "__main__":
    main()
