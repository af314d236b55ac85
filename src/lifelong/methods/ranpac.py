"""RanPAC: ridge regression on a random layer, whose statistics add up over the tasks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lifelong.errors import require
from lifelong.methods.base import LearnerView, StreamSize
from lifelong.methods.closed_form import ClosedForm, chunks, feature_count, grown, least_error, one_hot, solve
from lifelong.types import Data

__all__ = ["RanPAC", "RanPACState"]


def _none(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


@dataclass
class RanPACState:
    """Examples per class, the random layer, the sums HᵀH and HᵀY, the classifier, and λ."""

    count_C: Tensor = field(default_factory=lambda: _none(0))
    projection_DM: Tensor = field(default_factory=lambda: _none(0, 0, dtype=torch.float32))
    gram_MM: Tensor = field(default_factory=lambda: _none(0, 0))
    cross_MC: Tensor = field(default_factory=lambda: _none(0, 0))
    weight_MC: Tensor = field(default_factory=lambda: _none(0, 0))
    ridge: float = 1.0


@dataclass(frozen=True)
class RanPAC(ClosedForm[RanPACState]):
    """Pass the features through a fixed random layer, and answer by ridge regression on all examples so far.

    Chinese: 让特征通过一个固定的随机层，再用至今所有样本的岭回归来回答。

    Formula: h = relu(Wᵀ φ(x)), W (D, M) standard normal; G = Σ_n h_n h_nᵀ, C = Σ_n h_n y_nᵀ with one-hot y_n over all
    tasks; logits = hᵀ (G + λ I)⁻¹ C. No gradient step is taken.

    Arguments:
        features: φ: `raw`, the inputs as they are; `backbone`, the network without its head, as it came; or `auto`,
            the backbone where the network may have been trained before, and raw for those named here that start at
            random.
        width: M, units of the random layer.
        ridge: λ ≥ 0. None chooses it anew after each task from 10⁻⁸ … 10⁸ by generalised cross-validation over all
            examples so far, N ‖Y − H W‖² / (N − Σ_k s_k / (s_k + λ))², s the eigenvalues of G.

    Stores: 8 · M² + 16 · M · C bytes of sums and classifier in float64, and W, 4 · D · M bytes for D features.

    Reference: McDonnell et al. 2023, RanPAC: Random Projections and Pre-trained Models for Continual Learning,
    algorithm 1.

    Deviations: the paper chooses λ by the error on a held-out part of the newest task; here it follows from the sums,
    so that no order matters, of examples or of tasks. No adapter is trained in the first task ("phase 1" of the paper);
    features are taken as they are. M is 10000 in the paper. λ below 10⁻¹³ of the trace of G is raised to that, as
    float64 cannot carry less.

    Example:
        >>> from lifelong import Learner, stream
        >>> from lifelong.methods import RanPAC
        >>> digits = stream("split-digits", scenario="class")
        >>> learner = Learner("linear", RanPAC(width=300), digits.space)
        >>> for task in digits:
        ...     learner.learn(task)
        >>> sum(learner.evaluate(digits)) / 5 > 0.9
        True
    """

    width: int = 1000
    ridge: float | None = None

    name = "ranpac"
    reference = "McDonnell et al. 2023"
    state_class = RanPACState
    one_kind = True

    def validate(self) -> None:
        require(self.width >= 1, f"ranpac.width must be 1 or more, got {self.width}")
        require(self.ridge is None or self.ridge >= 0, f"ranpac.ridge must be 0 or more, got {self.ridge}")

    def declared_bytes(self, size: StreamSize) -> int:
        sums = 8 * (self.width**2 + 2 * self.width * size.outputs + size.outputs)
        return sums + 4 * feature_count(size, self.features) * self.width

    def end_task(self, state: RanPACState, learner: LearnerView, task: Data) -> RanPACState:
        if state.projection_DM.numel() == 0:
            state = self._begun(learner, task)
        gram_MM, cross_MC, count_C = self._sums(state, learner, task)
        gram_MM += state.gram_MM
        cross_MC += grown(state.cross_MC, learner.objective.count, dim=1)
        count_C += grown(state.count_C, learner.objective.count)
        ridge = least_error(gram_MM, cross_MC, float(count_C.sum())) if self.ridge is None else self.ridge
        weight_MC = solve(gram_MM, cross_MC, ridge)
        return RanPACState(count_C, state.projection_DM, gram_MM, cross_MC, weight_MC, ridge)

    def counts(self, state: RanPACState) -> Tensor:
        return state.count_C

    def scores(self, state: RanPACState, h_BD: Tensor) -> Tensor:
        return torch.relu(h_BD @ state.projection_DM.double()) @ state.weight_MC

    def _begun(self, learner: LearnerView, task: Data) -> RanPACState:
        """The state once it is known how many features there are."""
        [(first_BD, _)] = chunks(learner, task.at(slice(0, 1)), self.features)
        drawn_DM = torch.randn(first_BD.shape[1], self.width, generator=learner.generator)
        empty = first_BD.new_zeros
        return RanPACState(empty(0), drawn_DM.to(first_BD.device), empty(self.width, self.width), empty(self.width, 0))

    def _hidden(self, state: RanPACState, learner: LearnerView, task: Data) -> Iterator[tuple[Tensor, Tensor]]:
        """Hidden units (B, M) and one-hot labels (B, C) of the examples, some at a time."""
        for h_BD, y_B in chunks(learner, task, self.features):
            yield torch.relu(h_BD @ state.projection_DM.double()), one_hot(y_B, learner.objective.count)

    def _sums(self, state: RanPACState, learner: LearnerView, task: Data) -> tuple[Tensor, Tensor, Tensor]:
        """HᵀH and HᵀY over the examples, and how many there are of each class."""
        gram_MM = torch.zeros_like(state.gram_MM)
        cross_MC = gram_MM.new_zeros(self.width, learner.objective.count)
        count_C = gram_MM.new_zeros(learner.objective.count)
        for h_BM, y_BC in self._hidden(state, learner, task):
            count_C += y_BC.sum(0)
            gram_MM.addmm_(h_BM.T, h_BM)
            cross_MC.addmm_(h_BM.T, y_BC)
        return gram_MM, cross_MC, count_C
