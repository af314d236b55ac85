"""The plane through three points of the space of all weights, on which a loss can be drawn as a landscape.

Suffixes: K points, P parameters, 2 the two coordinates on the plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.evaluation import Array
from lifelong.experiments.chapter.losses import Loss, losses

__all__ = ["Plane", "around", "plane_through", "surface"]


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

    def away(self, theta_KP: Tensor) -> Tensor:
        """How far θ (K, P) lies from the plane (K,)."""
        return (theta_KP - self.origin_P - self.of(theta_KP) @ self.axes_2P).norm(dim=1)


def plane_through(first_P: Tensor, second_P: Tensor, third_P: Tensor) -> Plane:
    """The plane through three points: the first is its origin, the second lies on its first axis.

    Raises: `SettingError` where the three points lie on one line.

    >>> plane = plane_through(torch.tensor([1.0, 0, 0]), torch.tensor([3.0, 0, 0]), torch.tensor([2.0, 5.0, 0]))
    >>> plane.of(torch.tensor([[2.0, 5.0, 9.0]])).tolist(), plane.away(torch.tensor([[2.0, 5.0, 9.0]])).tolist()
    ([[1.0, 5.0]], [9.0])

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
