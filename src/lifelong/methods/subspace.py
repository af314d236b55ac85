"""Orthonormal directions that span what was seen, and what a vector has outside of them.

Suffix D: the dimension of the space, K: directions kept, N: vectors seen.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lifelong.methods.base import Step

__all__ = ["NOISE", "adaptive", "extended", "outside", "principal"]

#: directions with less than this part of the largest length are rounding
NOISE = 1e-4
COLUMNS = 2**13  # few enough for a cache


def adaptive(step: Step) -> bool:
    """Whether the optimiser is of Adam's kin, which scales each number of g by its own past.

    Gradient descent, with momentum and weight decay too, is linear in g: to project the way that was walked is to
    project every g, exactly. An adaptive step is not: what g has inside the span would take part in the scale.
    """
    return step.lr * step.max_stable_stiffness > 1.5  # 1 for gradient descent


def outside(vectors_ND: Tensor, basis_KD: Tensor) -> Tensor:
    """What the vectors (…, D) have outside the span of the orthonormal rows of `basis_KD`.

    >>> outside(torch.tensor([3.0, 4.0]), torch.tensor([[1.0, 0.0]])).tolist()
    [0.0, 4.0]
    """
    if len(basis_KD) == 0:
        return vectors_ND
    return vectors_ND - (vectors_ND @ basis_KD.T) @ basis_KD


def principal(vectors_ND: Tensor) -> tuple[Tensor, Tensor]:
    """The lengths² (K,) and orthonormal directions (K, D) of the vectors' principal axes, the longest first.

    From the smaller of the two Gram matrices, in float64; axes that are rounding of the longest are left out.

    >>> squares_K, basis_KD = principal(torch.tensor([[0.0, 2.0], [0.0, 1.0]]))
    >>> [round(square, 4) for square in squares_K.tolist()], basis_KD.abs().tolist()
    ([5.0], [[0.0, 1.0]])
    """
    tall = vectors_ND.shape[0] > vectors_ND.shape[1]
    short = vectors_ND.T if tall else vectors_ND
    gram = torch.zeros(len(short), len(short), dtype=torch.float64, device=short.device)
    for piece in short.split(COLUMNS, dim=1):  # so that θ-long vectors are not copied whole
        exact = piece.double()
        gram.addmm_(exact, exact.T)
    values, axes = torch.linalg.eigh(gram)
    kept = values > NOISE**2 * values.max().clamp_min(torch.finfo(torch.float32).tiny)
    values_K, axes_K = values[kept].flip(0), axes[:, kept].flip(1)
    if tall:
        return values_K, axes_K.T.to(vectors_ND)
    return values_K, (axes_K / values_K.sqrt()).T.to(vectors_ND) @ vectors_ND


def extended(basis_KD: Tensor, vectors_ND: Tensor) -> Tensor:
    """`basis_KD` with orthonormal rows added, so that it spans `vectors_ND` too.

    >>> extended(torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[1.0, 2.0, 0.0], [0.0, 4.0, 0.0]])).abs().tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    unit_ND = _longer(vectors_ND, 0.0)
    unit_ND = unit_ND / unit_ND.norm(dim=1, keepdim=True)
    for _ in range(2):  # twice is enough: the second pass removes what rounding left of the first
        if len(unit_ND) == 0:
            return basis_KD
        rest_ND = _longer(outside(unit_ND, basis_KD), NOISE)
        unit_ND = principal(rest_ND)[1] if len(rest_ND) > 0 else rest_ND
    return torch.cat([basis_KD, unit_ND]) if len(basis_KD) > 0 else unit_ND


def _longer(vectors_ND: Tensor, length: float) -> Tensor:
    """The vectors that are longer, without a copy where all are: they may be as long as θ."""
    kept_N = vectors_ND.norm(dim=1) > length
    return vectors_ND if bool(kept_N.all()) else vectors_ND[kept_N]
