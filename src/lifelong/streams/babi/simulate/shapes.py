"""Task 17: where shapes lie, left and right of, above and below each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lifelong.streams.babi.simulate.script import Asked, Fact, Line, pick, shuffled

__all__ = ["positions"]

SHAPES = ("blue square", "pink rectangle", "red sphere", "red square", "triangle", "yellow square")
STEPS = {"to the left of": (-1, 0), "to the right of": (1, 0), "above": (0, 1), "below": (0, -1)}
OPPOSITE = {
    "to the left of": "to the right of",
    "to the right of": "to the left of",
    "above": "below",
    "below": "above",
}


def positions(rng: np.random.Generator) -> Iterator[Line]:
    """Task 17: Is the red square above the triangle? Two shapes each one step from a third, and eight questions about
    these two. Half of the answers are yes; what lies straight beside is neither above nor below.
    """
    first, middle, second = shuffled(rng, SHAPES)[:3]
    one = pick(rng, tuple(STEPS))
    two = pick(rng, [step for step in STEPS if step != one])
    facts = {first: _fact(rng, first, one, middle), second: _fact(rng, second, two, middle)}
    yield from facts.values()
    dx, dy = STEPS[one][0] - STEPS[two][0], STEPS[one][1] - STEPS[two][1]
    true = [step for step, (x, y) in STEPS.items() if x * dx + y * dy > 0]
    false = [step for step in STEPS if step not in true]
    for _ in range(8):
        truth = rng.random() < 0.5
        step = pick(rng, true if truth else false)
        pair, support = (first, second), tuple(facts.values())
        if rng.random() < 0.5:
            step, pair, support = OPPOSITE[step], pair[::-1], support[::-1]
        yield Asked(f"Is the {pair[0]} {step} the {pair[1]}?", "yes" if truth else "no", support)


def _fact(rng: np.random.Generator, shape: str, step: str, middle: str) -> Fact:
    """`shape` lies one `step` from `middle`; two of three sentences name the middle first."""
    if rng.random() < 2 / 3:
        return Fact(f"The {middle} is {OPPOSITE[step]} the {shape}.")
    return Fact(f"The {shape} is {step} the {middle}.")
