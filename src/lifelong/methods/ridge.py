"""Ridge regression from sums: W = (G + λ I)⁻¹ C with G = HᵀH, C = HᵀY, and the λ that promises the least error.

Suffixes: C outputs, K directions, M features.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["GRID", "least_error", "solve"]

#: of the trace of G: less is not carried by float64
LEAST = 1e-13
GRID = [10.0**power for power in range(-8, 9)]


def solve(gram_MM: Tensor, cross_MC: Tensor, ridge: float) -> Tensor:
    """W for one λ, raised to what float64 can carry: 10⁻¹³ of the trace of G.

    >>> solve(torch.eye(2).double(), torch.ones(2, 1).double(), 3.0).tolist()
    [[0.25], [0.25]]
    """
    least = LEAST * float(gram_MM.diagonal().sum())
    identity_MM = torch.eye(len(gram_MM), dtype=gram_MM.dtype, device=gram_MM.device)
    factor_MM = torch.linalg.cholesky(gram_MM + max(ridge, least) * identity_MM)
    return torch.cholesky_solve(cross_MC, factor_MM).contiguous()


def least_error(gram_MM: Tensor, cross_MC: Tensor, examples: float) -> float:
    """The λ of `GRID` with the least error by generalised cross-validation, for one-hot targets of `examples`.

    N ‖Y − H W‖² / (N − Σ_k s_k / (s_k + λ))² with G = U diag(s) Uᵀ, which needs no example: ‖Y‖² = N, and with Z = Uᵀ C
    ‖Y − H W‖² = N − Σ_k ‖z_k‖² / s_k + Σ_k (λ / (s_k + λ))² ‖z_k‖² / s_k. It is a sum over the examples, so their order
    does not matter. What `solve` would raise is not among the candidates.

    >>> x = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]).double()
    >>> y = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).double()
    >>> least_error(x.T @ x, x.T @ y, 3) < 1
    True

    Reference: Golub, Heath & Wahba 1979, Generalized cross-validation as a method for choosing a good ridge parameter.
    """
    values_M, basis_MM = torch.linalg.eigh(gram_MM)
    trace = float(gram_MM.diagonal().sum())
    kept = values_M > LEAST * trace  # below are zeros, up to rounding
    values_K = values_M[kept]
    energy_K = (basis_MM[:, kept].T @ cross_MC).square().sum(1) / values_K
    beyond = max(0.0, examples - float(energy_K.sum()))
    found: list[tuple[float, float]] = []
    for ridge in (ridge for ridge in GRID if ridge >= LEAST * trace):
        left_K = ridge / (values_K + ridge)
        residual = beyond + float((left_K.square() * energy_K).sum())
        free = examples - len(values_K) + float(left_K.sum())
        found.append((examples * residual / free**2, ridge))
    return min(found, default=(0.0, GRID[-1]))[1]
