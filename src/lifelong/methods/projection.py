"""The nearest gradient that no past task objects to: least distance to a cone, by non-negative least squares."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["dual", "project"]


def project(grad_P: Tensor, past_TP: Tensor, margin: float = 0.0) -> Tensor:
    """The z nearest to g with ⟨z, g_k⟩ ≥ 0 for all past gradients g_k; g itself where nothing is violated.

    Formula: z = g + Gᵀ v with v = argmin_{v ≥ γ} ½ vᵀ G Gᵀ v + vᵀ G g, rows of G the past gradients.
    With margin γ = 0 this is the exact projection; γ > 0 biases it towards the past.

    >>> project(torch.tensor([1.0, -1.0]), torch.tensor([[0.0, 1.0]])).tolist()
    [1.0, 0.0]
    """
    dots_T = past_TP @ grad_P
    if bool((dots_T >= 0).all()) or not bool(torch.isfinite(dots_T).all()):
        return grad_P  # what is not finite is for the loss check to report
    past = past_TP.double()
    v_T = dual((past @ past.T).cpu().numpy(), (past @ grad_P.double()).cpu().numpy(), margin)
    return torch.addmv(grad_P, past_TP.T, torch.from_numpy(v_T).to(past_TP))


def dual(gram_TT: NDArray[np.float64], dots_T: NDArray[np.float64], margin: float = 0.0) -> NDArray[np.float64]:
    """argmin_{v ≥ margin} ½ vᵀ A v + dᵀ v for a positive semi-definite A = G Gᵀ and d = G g.

    With u = v − γ ≥ 0 the objective is ½ ‖R u − b‖² + const for any A = Rᵀ R and Rᵀ b = −(d + A γ1). R comes from
    the eigenvalues, those that are zero up to rounding left out, so a singular A (past gradients that repeat or
    vanish) is no special case.

    >>> round(float(dual(np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([-2.0, -2.0])).sum()), 9)
    2.0
    """
    from scipy.optimize import nnls  # here, so that importing a method does not load scipy

    scale = float(np.abs(gram_TT).max(initial=0.0))
    if scale == 0.0:
        return np.full(len(dots_T), margin)
    gram_TT, dots_T = gram_TT / scale, dots_T / scale
    values, vectors = np.linalg.eigh(gram_TT)
    kept = values > len(values) * np.finfo(np.float64).eps * values.max()
    root = np.sqrt(values[kept])
    basis = vectors[:, kept]
    target = -(dots_T + gram_TT @ np.full(len(dots_T), margin))
    u_T, _ = nnls(root[:, None] * basis.T, (basis.T @ target) / root, maxiter=max(100, 30 * len(dots_T)))
    return np.asarray(u_T + margin, dtype=np.float64)
