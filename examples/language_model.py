"""A language model reads two small corpora in turn, and is asked about the first again.

python examples/language_model.py
"""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

import lifelong
from lifelong import Field, Learner, Stream, Tokens

LENGTH = 12
KITCHEN = {
    "who": ["the cook", "a guest", "the waiter"],
    "does": ["peels", "tastes", "serves"],
    "what": ["an apple", "the soup", "fresh bread"],
}
HARBOUR = {
    "who": ["the sailor", "a pilot", "the captain"],
    "does": ["paints", "steers", "follows"],
    "what": ["an old boat", "the tide", "grey gulls"],
}


class Reader(nn.Module):
    """An embedding, an LSTM, and a layer that names the next word; the words so far are all that it sees."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, 24)
        self.memory = nn.LSTM(24, 48, batch_first=True)
        self.next = nn.Linear(48, vocabulary)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.next(self.memory(self.words(x))[0])
        return answer


def sentences(grammar: dict[str, list[str]], count: int, seed: int) -> list[list[str]]:
    """Random sentences of a grammar, word by word."""
    draw = random.Random(seed)
    return [" ".join(draw.choice(grammar[part]) for part in ("who", "does", "what")).split() for _ in range(count)]


def main() -> None:
    """Print the perplexity on both corpora after each."""
    texts = [sentences(grammar, 400, seed) for seed, grammar in enumerate((KITCHEN, HARBOUR))]
    number = {word: place for place, word in enumerate(sorted({w for text in texts for s in text for w in s}), start=1)}

    def tokens(text: list[list[str]]) -> Tensor:
        return torch.tensor([[number[word] for word in words] + [0] * (LENGTH - len(words)) for words in text])

    vocabulary = len(number) + 1
    datasets = []
    for text in texts:
        x = tokens(text)
        datasets.append(((x[:300, :-1], x[:300, 1:]), (x[300:, :-1], x[300:, 1:])))
    inputs = Field((LENGTH - 1,), vocabulary)
    stream = Stream.from_datasets(datasets, target=Tokens(vocabulary), inputs=inputs, names=["kitchen", "harbour"])
    for method in (lifelong.Finetune(), lifelong.ER(capacity=60), lifelong.EWC(strength=300.0)):
        torch.manual_seed(0)
        learner = Learner(Reader(vocabulary), method, stream.space, epochs=8, optimizer="adam", lr=0.01, seed=0)
        print(f"\n{method.name}: perplexity on kitchen, harbour")
        for task in stream:
            learner.learn(task)
            found = [learner.scores(each)["perplexity"] for each in stream]
            print(f"  after {task.name:>8}: {'  '.join(f'{value:8.2f}' for value in found)}")


if __name__ == "__main__":
    main()
