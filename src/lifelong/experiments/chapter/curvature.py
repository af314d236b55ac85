"""How much a loss bends when one weight alone is moved, and how well a method's importance follows it.

Suffixes: K weights that were drawn, M moves, P parameters.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lifelong.evaluation import Array
from lifelong.experiments.chapter.losses import Loss, losses

__all__ = ["drawn", "loss_along", "rank_correlation", "second_differences"]


def drawn(parameters: int, count: int, seed: int) -> NDArray[np.int64]:
    """The positions of `count` different weights of `parameters`, drawn from `seed`, ascending.

    >>> drawn(5, 9, seed=0).tolist()
    [0, 1, 2, 3, 4]
    """
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(parameters, min(count, parameters), replace=False))


def loss_along(loss: Loss, theta_P: Tensor, index_K: NDArray[np.int64], moves_M: Array) -> Array:
    """`loss` with the weight i alone moved by m: (K, M) for all i of `index_K` and all m of `moves_M`.

    >>> bowl = loss_along(lambda theta_P: theta_P.square().sum(), torch.zeros(3), np.array([2]), np.array([-1.0, 2.0]))
    >>> bowl.tolist()
    [[1.0, 4.0]]
    """
    moves = np.stack(np.meshgrid(index_K, moves_M, indexing="ij"), axis=-1).reshape(-1, 2)
    position_P = torch.arange(len(theta_P))

    def moved(move_2: Tensor) -> Tensor:
        return loss(torch.where(position_P == move_2[0], theta_P + move_2[1], theta_P))

    values = losses(moved, torch.from_numpy(moves).to(theta_P.dtype))
    return values.double().numpy().reshape(len(index_K), len(moves_M))


def second_differences(loss: Loss, theta_P: Tensor, index_K: NDArray[np.int64], step: float) -> Array:
    """The curvature (K,) that a move of one weight by ±h feels: (L(θ + h e_i) − 2 L(θ) + L(θ − h e_i)) / h².

    It is ∂²L/∂θ_i² as h → 0. Take θ in float64: the loss is known to one part in 10¹⁶, so with h = 10⁻³ the quotient
    is known to about 10⁻¹⁰ of the loss.

    >>> theta = torch.tensor([2.0, 1.0], dtype=torch.float64)
    >>> second_differences(lambda t: 3 * t[0] ** 2 + t[0] * t[1], theta, np.array([0, 1]), 0.5).tolist()
    [6.0, 0.0]
    """
    down_K, up_K = loss_along(loss, theta_P, index_K, np.array([-step, step])).T
    here = float(losses(loss, theta_P[None]))
    return np.asarray((up_K - 2 * here + down_K) / step**2)


def rank_correlation(measured_K: Array, assigned_K: Array) -> float | None:
    """Spearman's ρ; None where one of the two is the same for all weights.

    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0, 100.0]))
    1.0
    """
    from scipy.stats import spearmanr  # here, as it is slow to import

    if np.ptp(measured_K) == 0 or np.ptp(assigned_K) == 0:
        return None
    return round(float(spearmanr(measured_K, assigned_K).statistic), 12)
