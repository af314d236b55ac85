"""Test, then train: every batch is answered before it is learned.

One pass over the stream gives a score per batch. Their mean over the stream is the prequential score; a curve with
a fading factor forgets what the learner answered long ago.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lifelong.errors import require
from lifelong.evaluation.matrix import Array

__all__ = ["Prequential", "fading_mean", "windowed_mean"]


def fading_mean(values: ArrayLike, weights: ArrayLike, factor: float = 0.99) -> Array:
    """The weighted mean of all values so far, each counted `factor` times less with every value that follows.

    Formula: S_i = w_i v_i + α S_{i−1}, N_i = w_i + α N_{i−1}, curve_i = S_i / N_i.

    Args:
        values: One score per batch, (B,).
        weights: The examples of each batch, (B,).
        factor: α in 0 … 1; 1 forgets nothing.

    Returns:
        The curve, (B,).

    Reference: Gama, Sebastião & Rodrigues 2013, On evaluating stream learning algorithms, section 3.2.

    Example:
        >>> fading_mean([1.0, 0.0], [1, 1], factor=0.5).round(3).tolist()
        [1.0, 0.333]
    """
    require(0 < factor <= 1, f"the fading factor must be above 0 and at most 1, got {factor}")
    curve: list[float] = []
    above = below = 0.0
    for value, weight in zip(np.asarray(values, np.float64), np.asarray(weights, np.float64), strict=True):
        above, below = weight * value + factor * above, weight + factor * below
        curve.append(above / below)
    return np.array(curve)


def windowed_mean(values: ArrayLike, weights: ArrayLike, window: int) -> Array:
    """The weighted mean of the last `window` values, (B,); of fewer where there are no more.

    Example:
        >>> windowed_mean([1.0, 0.0, 0.5], [1, 1, 1], 2).tolist()
        [1.0, 0.5, 0.25]
    """
    require(window >= 1, f"the window must hold 1 batch or more, got {window}")
    sums = np.cumsum(np.asarray(values, np.float64) * np.asarray(weights, np.float64))
    counts = np.cumsum(np.asarray(weights, np.float64))
    before = np.concatenate([np.zeros(min(window, len(sums))), sums[:-window]])
    counted = np.concatenate([np.zeros(min(window, len(sums))), counts[:-window]])
    return np.asarray((sums - before) / (counts - counted))


@dataclass
class Prequential:
    """The batches of a life in their order, each answered before it was learned.

    Args:
        task: The task number of each batch.
        examples: How many examples it had.
        score: The first score of its objective on the batch alone. For numbers (R² of one batch) `loss` says more.
        loss: The mean loss of its examples.
    """

    task: list[int] = field(default_factory=list)
    examples: list[int] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)

    def add(self, task: int, examples: int, score: float, loss: float) -> None:
        """Append the answers to one batch."""
        self.task.append(task)
        self.examples.append(examples)
        self.score.append(score)
        self.loss.append(loss)

    @property
    def mean_score(self) -> float:
        """The prequential score: the mean over all examples of the stream."""
        return float(np.average(self.score, weights=self.examples)) if self.examples else float("nan")

    @property
    def mean_loss(self) -> float:
        """The mean loss of all examples, each before it was learned."""
        return float(np.average(self.loss, weights=self.examples)) if self.examples else float("nan")

    def curve(self, factor: float = 0.99) -> Array:
        """The score with a fading factor, (B,)."""
        return fading_mean(self.score, self.examples, factor)

    def to_json(self) -> dict[str, Any]:
        """Plain values: the two means, and the lists."""
        means = {"mean_score": self.mean_score, "mean_loss": self.mean_loss}
        return {name: value if np.isfinite(value) else None for name, value in means.items()} | {
            name: list(values) for name, values in vars(self).items()
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Prequential:
        """What `to_json` gave."""
        return Prequential(data["task"], data["examples"], data["score"], data["loss"])
