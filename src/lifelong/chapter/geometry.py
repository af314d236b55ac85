"""Losses as functions of the weights: points on a plane, curvatures and angles between gradients.

Suffixes: K points or weights that were drawn, M moves, P parameters, T gradients of past tasks, 2 the coordinates on a
plane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from lifelong.errors import require
from lifelong.evaluation import Array
from lifelong.methods import LearnerView
from lifelong.types import Examples

__all__ = [
    "CONFLICT",
    "Loss",
    "Plane",
    "around",
    "degrees",
    "drawn",
    "loss_along",
    "losses",
    "plane_through",
    "rank_correlation",
    "second_differences",
    "surface",
    "task_loss",
]

#: θ (P,) → the loss there, one number
Loss = Callable[[Tensor], Tensor]

CHUNK = 16


def task_loss(learner: LearnerView, examples: Examples, dtype: torch.dtype = torch.float32) -> Loss:
    """The mean cross-entropy of `examples`, of one task, as a function of θ (P,) that `vmap` can take many of.

    Arguments: `dtype` of θ and of the arithmetic. The weights of the learner are neither used nor changed.

    >>> from lifelong import Learner, stream
    >>> digits = stream("permuted-digits", tasks=1)
    >>> learner = Learner("mlp:8", space=digits.space)
    >>> loss = task_loss(learner, digits.task(1).train)
    >>> round(float(loss(torch.zeros(len(learner.flat)))), 4)  # ln 10: it knows nothing
    2.3026
    """
    x_BD, number = examples.x.to(dtype), int(examples.task_numbers()[0])

    def loss(theta_P: Tensor) -> Tensor:
        logits_BC = learner.flat.call(learner.model, learner.flat.named(theta_P), x_BD)
        return learner.objective.loss(logits_BC, examples.y, number)

    return loss


@torch.no_grad()
def losses(at: Callable[[Tensor], Tensor], points_KD: Tensor, chunk: int = CHUNK) -> Tensor:
    """`at(point)` for each of K points, `chunk` of them at a time: (K,).

    >>> losses(lambda x_D: x_D.square().sum(), torch.tensor([[1.0, 2.0], [3.0, 0.0]])).tolist()
    [5.0, 9.0]
    """
    values_K: Tensor = vmap(at, chunk_size=chunk)(points_KD)
    return values_K


@dataclass(frozen=True)
class Plane:
    """A point and two directions of length 1 at a right angle, so that distances on the plane are those of θ."""

    origin_P: Tensor
    axes_2P: Tensor

    def at(self, point_2: Tensor) -> Tensor:
        """The weights (P,) at a point of the plane."""
        return self.origin_P + point_2 @ self.axes_2P

    def of(self, theta_KP: Tensor) -> Tensor:
        """The points (K, 2) of the plane that are nearest to the weights θ (K, P)."""
        return (theta_KP - self.origin_P) @ self.axes_2P.T


def plane_through(first_P: Tensor, second_P: Tensor, third_P: Tensor) -> Plane:
    """The plane through three points: the first is its origin, the second lies on its first axis.

    Raises: `SettingError` where the three points lie on one line.

    >>> plane = plane_through(torch.tensor([1.0, 0, 0]), torch.tensor([3.0, 0, 0]), torch.tensor([2.0, 5.0, 0]))
    >>> plane.of(torch.tensor([[2.0, 5.0, 9.0]])).tolist()
    [[1.0, 5.0]]

    Reference: Garipov et al. 2018, Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs, appendix A.1.
    """
    along_P, other_P = second_P - first_P, third_P - first_P
    across_P = along_P / along_P.norm().clamp_min(torch.finfo(along_P.dtype).tiny)
    rest_P = other_P - (other_P @ across_P) * across_P
    apart = bool(rest_P.norm() > 1e-6 * other_P.norm()) and bool(along_P.norm() > 0)
    require(apart, "expected three points that span a plane, got points on one line; take another third point")
    return Plane(first_P, torch.stack([across_P, rest_P / rest_P.norm()]))


def around(points_K2: Array, steps: int, air: float = 0.25) -> tuple[Array, Array]:
    """Two axes of `steps` ticks that hold all points, with `air` times the larger of both widths on every side.

    >>> across, up = around(np.array([[0.0, 0.0], [4.0, 2.0]]), steps=3)
    >>> across.tolist(), up.tolist()
    ([-1.0, 2.0, 5.0], [-1.0, 1.0, 3.0])
    """
    low, high = points_K2.min(0), points_K2.max(0)
    margin = air * float((high - low).max())
    across, up = (np.linspace(low[i] - margin, high[i] + margin, steps) for i in range(2))
    return across, up


def surface(loss: Loss, plane: Plane, across: Sequence[float] | Array, up: Sequence[float] | Array) -> Array:
    """The loss on the grid of two axes: rows are `up`, columns `across`."""
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    points_K2 = torch.from_numpy(grid).to(plane.origin_P)
    values_K = losses(lambda point_2: loss(plane.at(point_2)), points_K2)
    return values_K.double().numpy().reshape(len(up), len(across))


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


#: above this angle two gradients are in conflict; a right angle, but for the rounding of float32
CONFLICT = 90.01


def degrees(one_P: Tensor, others_TP: Tensor) -> Tensor:
    """The angle (T,) between a vector (P,) and each of others (T, P); 90 where one of them is zero.

    >>> degrees(torch.tensor([1.0, 0.0]), torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 1.0], [0.0, 0.0]])).tolist()
    [0.0, 90.0, 135.0, 90.0]
    """
    one_P, others_TP = one_P.double(), others_TP.double()
    sizes_T = others_TP.norm(dim=1) * one_P.norm()
    cosines_T = torch.where(sizes_T > 0, others_TP @ one_P / sizes_T.clamp_min(1e-300), 0.0)
    return torch.rad2deg(torch.acos(cosines_T.clamp(-1, 1)))
