"""Angles between gradients, in degrees: above 90 a step along one raises the loss of the other."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["CONFLICT", "degrees"]

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
