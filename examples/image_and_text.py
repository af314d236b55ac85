"""Inputs of two kinds at once: a picture of a digit and a word that says what to do with it.

python examples/image_and_text.py
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import lifelong
from lifelong import Field, Learner, Stream


class PictureAndWord(nn.Module):
    """A picture (B, 1, 8, 8) and a word (B, 1), each to 64 numbers, their product to ten digits."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU())
        self.word = nn.Embedding(4, 64)
        self.digit = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x: dict[str, Tensor]) -> Tensor:
        answer: Tensor = self.digit(self.picture(x["image"]) * self.word(x["word"])[:, 0])
        return answer


def main() -> None:
    """Task 1: name the digit ("same"); task 2: name the next one ("next"); task 3: the one after ("skip")."""
    digits = lifelong.stream("permuted-digits", tasks=1).task(1)
    datasets = []
    for shift, _ in enumerate(("same", "next", "skip")):
        pairs = []
        for examples in (digits.train, digits.test):
            word = torch.full((len(examples), 1), shift + 1)
            pairs.append(({"image": examples.x, "word": word}, (examples.y + shift) % 10))
        datasets.append((pairs[0], pairs[1]))
    fields = {"image": Field((1, 8, 8)), "word": Field((1,), vocabulary=4)}
    stream = Stream.from_datasets(datasets, inputs=fields, names=["same", "next", "skip"])
    print("accuracy on same, next, skip after the last task")
    for method in (lifelong.Finetune(), lifelong.EWC(strength=100.0), lifelong.ER(capacity=200)):
        torch.manual_seed(0)
        learner = Learner(PictureAndWord(), method, stream.space, epochs=5, lr=0.1, seed=0)
        for task in stream:
            learner.learn(task)
        print(f"{method.name:>9}  {'  '.join(f'{value:.2f}' for value in learner.evaluate(stream))}")


if __name__ == "__main__":
    main()
