"""Test sets that are asked for after every task, kept in memory within a limit instead of made anew each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lifelong.streams.stream import Stream
from lifelong.types import Examples, Split, Task

__all__ = ["cache_test_splits"]


def cache_test_splits(stream: Stream, limit: int = 256 * 2**20) -> Stream:
    """`stream` with the test parts kept once made, the first ones up to `limit` bytes; the rest is made each time.

    >>> import torch
    >>> x, y = torch.rand(8, 2), torch.tensor([0, 1] * 4)
    >>> kept = cache_test_splits(Stream.from_datasets([((x, y), (x, y))]).map(lambda x: x + 1))
    >>> kept.task(1).test.x is kept.task(1).test.x
    True
    """
    held: dict[int, Examples] = {}

    def loader(task: Task) -> Callable[[Split], Examples | None]:
        def load(split: Split) -> Examples | None:
            if split != "test":
                return task.load(split)
            if task.number in held:
                return held[task.number]
            examples = task.load(split)
            if examples is not None:
                used = sum(other.x.nbytes for other in held.values())
                if used + examples.x.nbytes <= limit:
                    held[task.number] = examples
            return examples

        return load

    return replace(stream, tasks=tuple(replace(task, load=loader(task)) for task in stream.tasks))
