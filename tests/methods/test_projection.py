"""The projection of GEM against the conditions that make a point the nearest one, and against a general QP solver."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from lifelong.methods.projection import dual, project


@given(st.integers(1, 8), st.integers(1, 12), st.integers(0, 10_000), st.sampled_from(["full", "repeated", "zero"]))
def test_the_projection_meets_the_optimality_conditions(tasks: int, size: int, seed: int, kind: str) -> None:
    """z is nearest to g in the cone iff: Gz ≥ 0, v ≥ 0, z = g + Gᵀv, v ⟂ Gz. Also where G has no full rank."""
    generator = torch.Generator().manual_seed(seed)
    g = torch.randn(size, dtype=torch.float64, generator=generator)
    G = torch.randn(tasks, size, dtype=torch.float64, generator=generator)
    if kind == "repeated":
        G[tasks // 2 :] = 3 * G[0]
    if kind == "zero":
        G[0] = 0
    z = project(g, G)
    scale = float(G.norm() * g.norm()) + 1e-12
    assert float((G @ z).min()) >= -1e-8 * scale
    v = torch.from_numpy(dual((G @ G.T).numpy(), (G @ g).numpy()))
    if bool((G @ g >= 0).all()):
        assert torch.equal(z, g)
    else:
        assert bool((v >= 0).all())
        assert torch.allclose(z, g + G.T @ v, atol=1e-9)
        assert abs(float(v @ (G @ z))) <= 1e-7 * scale * (1 + float(v.norm()))


def test_the_margin_bounds_the_dual_from_below() -> None:
    torch.manual_seed(0)
    g, G = torch.randn(6, dtype=torch.float64), torch.randn(3, 6, dtype=torch.float64)
    A, d = (G @ G.T).numpy(), (G @ g).numpy()
    v = dual(A, d, margin=0.5)

    def objective(u: np.ndarray) -> float:
        return float(0.5 * u @ A @ u + u @ d)

    best = minimize(objective, np.ones(3), bounds=[(0.5, None)] * 3, options={"ftol": 1e-14, "gtol": 1e-10})
    assert v == pytest.approx(best.x, abs=1e-4)
    assert v.min() >= 0.5


def test_one_constraint_has_a_closed_form() -> None:
    """A-GEM's case: z = g − (gᵀr / rᵀr) r."""
    torch.manual_seed(1)
    r = torch.randn(50)
    g = torch.randn(50) - r
    expected = g - (g @ r) / (r @ r) * r
    assert torch.allclose(project(g, r[None]), expected, atol=1e-5)


def test_gradients_that_are_not_finite_are_left_to_the_loss_check() -> None:
    g = torch.tensor([float("nan"), 1.0])
    assert torch.equal(project(g, torch.tensor([[1.0, -1.0]])).isnan(), g.isnan())
