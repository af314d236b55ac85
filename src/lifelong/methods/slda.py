"""Streaming linear discriminant analysis: class means and one covariance for all classes."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.methods.base import LearnerView, StreamSize
from lifelong.methods.closed_form import ClassMeans, ClosedForm, chunks, feature_count, means_of, merged, scatter
from lifelong.types import Data

__all__ = ["SLDA", "SLDAState"]


def _none(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.float64)


@dataclass
class SLDAState:
    """The class means, the scatter around them, and the linear classifier that follows from both."""

    means: ClassMeans = field(default_factory=ClassMeans)
    scatter_DD: Tensor = field(default_factory=lambda: _none(0, 0))
    weight_CD: Tensor = field(default_factory=lambda: _none(0, 0))
    bias_C: Tensor = field(default_factory=lambda: _none(0))


@dataclass(frozen=True)
class SLDA(ClosedForm[SLDAState]):
    """Answer as if every class were a Gaussian cloud, all of one shape, with the means and the shape seen so far.

    Chinese: 把每个类别看作形状相同的高斯分布，均值和形状来自至今见过的数据。

    Formula: logit_c(x) = μ_cᵀ Λ φ(x) − ½ μ_cᵀ Λ μ_c, Λ = ((1 − ε) Σ + ε I)⁻¹, Σ = 1/N Σ_n (φ(x_n) − μ_{y_n}) (φ(x_n) −
    μ_{y_n})ᵀ over all examples so far. No gradient step is taken.

    Arguments:
        features: φ: `raw`, the inputs as they are; `backbone`, the network without its head, as it came; or `auto`,
            the backbone where the network may have been trained before, and raw for those named here that start at
            random.
        shrinkage: ε in 0 … 1 (0 excluded): 1 is the nearest class mean.

    Stores: means, scatter and classifier in float64, 8 · (D² + 2 · C · (D + 1)) bytes for D features.

    Reference: Hayes & Kanan 2020, Lifelong Machine Learning with Deep Streaming Linear Discriminant Analysis.

    Deviations: Σ is the exact covariance within the classes, whatever the order of the examples; the paper updates it
    example by example around means that still move, and may begin with a covariance from a first batch. Classes count
    as equally likely, as in the paper. The classifier is made at the end of a task.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import SLDA
        >>> digits = stream("split-digits", scenario="class")
        >>> learner = Learner("linear", SLDA(shrinkage=0.01), digits.space)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> sum(learner.evaluate(digits)) / 5 > 0.9
        True
    """

    shrinkage: float = 0.006

    name = "slda"
    reference = "Hayes & Kanan 2020"
    state_class = SLDAState
    one_kind = True

    def validate(self) -> None:
        require(0 < self.shrinkage <= 1, f"slda.shrinkage must be in 0 … 1 (0 excluded), got {self.shrinkage}")

    def declared_bytes(self, size: StreamSize) -> int:
        features = feature_count(size, self.features)
        return 8 * (features**2 + 2 * size.outputs * (features + 1))

    def end_task(self, state: SLDAState, learner: LearnerView, task: Data) -> SLDAState:
        means, scatter_DD = state.means, state.scatter_DD
        for h_BD, y_B in chunks(learner, task, self.features):
            new = means_of(h_BD, y_B, learner.objective.count)
            more_DD = scatter(means, new, h_BD, y_B)
            scatter_DD = more_DD.add_(scatter_DD) if scatter_DD.numel() else more_DD
            means = merged(means, new)
        identity_DD = torch.eye(len(scatter_DD), dtype=scatter_DD.dtype, device=scatter_DD.device)
        covariance_DD = scatter_DD / means.count_C.sum()
        shrunk_DD = (1 - self.shrinkage) * covariance_DD + self.shrinkage * identity_DD
        weight_CD = torch.cholesky_solve(means.mean_CD.T, torch.linalg.cholesky(shrunk_DD)).T.contiguous()
        return SLDAState(means, scatter_DD, weight_CD, -0.5 * (weight_CD * means.mean_CD).sum(1))

    def counts(self, state: SLDAState) -> Tensor:
        return state.means.count_C

    def scores(self, state: SLDAState, h_BD: Tensor) -> Tensor:
        return h_BD @ state.weight_CD.T + state.bias_C
