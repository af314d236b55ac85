"""A level at which a falling quantity has a wanted value, found by halving."""

from __future__ import annotations

from collections.abc import Callable

from lifelong.errors import require

__all__ = ["nearest", "tried"]


def tried(
    value: Callable[[float], float], wanted: float, low: float, high: float, steps: int
) -> list[tuple[float, float]]:
    """The levels that halving `low` … `high` looks at, each with its value, which falls as the level rises.

    >>> [level for level, _ in tried(lambda level: 1 - level, 0.9, 0.0, 0.8, 3)]
    [0.4, 0.2, 0.1]
    """
    require(low < high and steps >= 1, f"expected low < high and 1 step or more, got {low}, {high}, {steps}")
    found: list[tuple[float, float]] = []
    for _ in range(steps):
        middle = (low + high) / 2
        found.append((middle, value(middle)))
        low, high = (middle, high) if found[-1][1] > wanted else (low, middle)
    return found


def nearest(found: list[tuple[float, float]], wanted: float) -> float:
    """The level whose value is nearest to `wanted`; the first of equals.

    >>> nearest([(0.4, 0.6), (0.2, 0.8), (0.1, 0.9)], 0.88)
    0.1
    """
    return min(found, key=lambda pair: abs(pair[1] - wanted))[0]
