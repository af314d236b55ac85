"""Test sets that are asked for after every task, kept in memory within a limit instead of made anew each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lifelong.streams.stream import Stream
from lifelong.types import Examples, Part, Task

__all__ = ["keeping_tests"]


def keeping_tests(stream: Stream, limit: int = 256 * 2**20) -> Stream:
    """`stream` with the test parts kept once made, the first ones up to `limit` bytes; the rest is made each time.

    >>> import torch
    >>> x, y = torch.rand(8, 2), torch.tensor([0, 1] * 4)
    >>> kept = keeping_tests(Stream.from_datasets([((x, y), (x, y))]).map(lambda x: x + 1))
    >>> kept.task(1).test.x is kept.task(1).test.x
    True
    """
    held: dict[int, Examples] = {}

    def loader(task: Task) -> Callable[[Part], Examples | None]:
        def load(part: Part) -> Examples | None:
            if part != "test":
                return task.load(part)
            if task.number in held:
                return held[task.number]
            examples = task.load(part)
            if examples is not None:
                used = sum(other.x.nbytes for other in held.values())
                if used + examples.x.nbytes <= limit:
                    held[task.number] = examples
            return examples

        return load

    return replace(stream, tasks=tuple(replace(task, load=loader(task)) for task in stream.tasks))
