"""What the methods share that learn from statistics of a task's features, and take no gradient step at all.

Suffixes: B batch, C classes, D features, K directions, M hidden units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from lifelong.errors import require
from lifelong.methods import inference
from lifelong.methods.base import Claim, LearnerView, Method, StreamSize
from lifelong.models import headed
from lifelong.types import Data, Examples, Space, Tree, leaves

__all__ = [
    "ClassMeans",
    "ClosedForm",
    "FeatureKind",
    "chunks",
    "feature_count",
    "features_of",
    "grown",
    "least_error",
    "means_of",
    "merged",
    "one_hot",
    "scatter",
    "solve",
]

FeatureKind = Literal["auto", "raw", "backbone"]
StateT = TypeVar("StateT")

CHUNK = 2048
#: of the trace of G: less is not carried by float64
LEAST = 1e-13
GRID = [10.0**power for power in range(-8, 9)]


@dataclass(frozen=True)
class ClosedForm(Method[StateT]):
    """Gives the loop no examples, so that θ stays as it is, and answers from its statistics.

    A class of which nothing was seen is never the answer, unless nothing was seen of any class that may be: then the
    network's own head answers, as it does before the first task.
    """

    features: FeatureKind = "auto"

    family = "prototypes"
    needs = ("labels",)
    claims = Claim.SOLVES
    objectives = ("classes",)

    def adapt(self, model: nn.Module, space: Space, seed: int) -> nn.Module:
        require(
            self.features != "backbone" or headed(model) is not None or _last_linear(model) is not None,
            f"{self.name}.features = 'backbone' needs a network with a backbone, got {type(model).__name__}; "
            "use features='raw' or give models.with_head(backbone, features, space)",
        )
        return model

    def examples(self, state: StateT, task: Data) -> Examples:
        return task.at(slice(0, 0))

    def counts(self, state: StateT) -> Tensor:
        """How many examples of each class (C,) were seen."""
        raise NotImplementedError

    def scores(self, state: StateT, h_BD: Tensor) -> Tensor:
        """The logits (B, C) for features in float64."""
        raise NotImplementedError

    def predict(self, state: StateT, learner: LearnerView, x: Tree, task: int) -> Tensor:
        seen_C, objective = self.counts(state) > 0, learner.objective
        asked = objective.classes.get(task, ()) if objective.scenario == "task" else range(len(seen_C))
        if not bool(seen_C[[label for label in asked if label < len(seen_C)]].any()):
            return super().predict(state, learner, x, task)
        scores_BC = self.scores(state, features_of(learner, x, self.features))
        logits_BC = scores_BC.new_full((len(scores_BC), max(objective.count, len(seen_C))), float("-inf"))
        logits_BC[:, : len(seen_C)] = torch.where(seen_C, scores_BC, float("-inf"))
        return logits_BC


# --- features ---


def features_of(learner: LearnerView, x: Tree, kind: FeatureKind) -> Tensor:
    """The features (B, D) of inputs `x` in float64: the inputs themselves, or what the backbone makes of them.

    The backbone of a network without a named head is all before the linear layer that gives its answer. `auto` is the
    backbone, but for networks that begin at random, as those named in this package do, and for those that have none.
    """
    model = learner.model
    if (network := headed(model)) is not None:
        if kind == "backbone" or (kind == "auto" and not getattr(model, "untrained", False)):
            with learner.autocast():
                return network.backbone(x).flatten(1).double()
    elif kind != "raw":
        with learner.autocast():
            before_head = _before_last_linear(model, x)
        if before_head is not None:
            return before_head.flatten(1).double()
    return torch.cat([leaf.flatten(1).double() for leaf in leaves(x)], 1)


@torch.no_grad()
def chunks(learner: LearnerView, data: Data, kind: FeatureKind) -> Iterator[tuple[Tensor, Tensor]]:
    """Features (B, D) and labels (B,) of all examples, some at a time, the network in evaluation mode."""
    with inference.evaluating(learner.model):
        for some in inference.chunks(learner, data, CHUNK):
            yield features_of(learner, some.x, kind), some.y


def feature_count(size: StreamSize, kind: FeatureKind) -> int:
    """The most features there may be: the numbers of an input, or of what any layer reads, the head among them."""
    return size.numbers if kind == "raw" else max(size.numbers, *size.widths, round(size.parameters**0.5))


def _last_linear(model: nn.Module) -> nn.Linear | None:
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear) and layer is not model]
    return layers[-1] if layers else None


def _before_last_linear(model: nn.Module, x: Tree) -> Tensor | None:
    """The inputs of the last linear layer, where its answer is the network's; else None."""
    layer, calls = _last_linear(model), list[tuple[Tensor, Tensor]]()
    if layer is None:
        return None

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls.append((inputs[0], output))

    handle = layer.register_forward_hook(note)
    try:
        with inference.uncompiled():
            answer = model(x)
    finally:
        handle.remove()
    return calls[-1][0] if calls and calls[-1][1] is answer else None


def one_hot(y_B: Tensor, classes: int) -> Tensor:
    """Labels as rows (B, C) of zeros with a one, in float64."""
    return torch.nn.functional.one_hot(y_B, classes).double()


def grown(statistic: Tensor, size: int, dim: int = 0) -> Tensor:
    """`statistic` with zeros appended until it has `size` entries along `dim`."""
    shape = list(statistic.shape)
    shape[dim] = max(0, size - shape[dim])
    return torch.cat([statistic, statistic.new_zeros(shape)], dim)


@dataclass
class ClassMeans:
    """How many examples of each class were seen, and their mean, in float64."""

    count_C: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    mean_CD: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.float64))


def means_of(h_BD: Tensor, y_B: Tensor, classes: int) -> ClassMeans:
    """The counts and means of a batch.

    >>> means_of(torch.tensor([[1.0], [3.0]]).double(), torch.tensor([0, 0]), 1).mean_CD.item()
    2.0
    """
    one_hot_BC = one_hot(y_B, classes)
    count_C = one_hot_BC.sum(0)
    return ClassMeans(count_C, one_hot_BC.T @ h_BD / count_C.clamp_min(1)[:, None])


def merged(past: ClassMeans, new: ClassMeans) -> ClassMeans:
    """The counts and means of both parts together; `past` may be of fewer classes.

    >>> x, y = torch.tensor([[1.0], [3.0], [8.0]]).double(), torch.tensor([0, 0, 0])
    >>> merged(means_of(x[:2], y[:2], 1), means_of(x[2:], y[2:], 1)).mean_CD.item()
    4.0
    """
    past = _beside(past, new)
    total_C = past.count_C + new.count_C
    part_C = new.count_C / total_C.clamp_min(1)
    return ClassMeans(total_C, past.mean_CD + (new.mean_CD - past.mean_CD) * part_C[:, None])


def scatter(past: ClassMeans, new: ClassMeans, h_BD: Tensor, y_B: Tensor) -> Tensor:
    """How much the scatter (D, D), Σ (h − μ_y)(h − μ_y)ᵀ, grows with a batch, whose means are `new`.

    The order of batches does not matter (Chan et al. 1983): for parts of n and m examples with means μ and ν the
    scatter of both is the sum of theirs and n m / (n + m) (μ − ν)(μ − ν)ᵀ.

    >>> one, h, y = ClassMeans(), torch.tensor([[1.0], [3.0]]).double(), torch.tensor([0, 0])
    >>> scatter(one, means_of(h, y, 1), h, y).item()
    2.0
    """
    past = _beside(past, new)
    weight_C = past.count_C * new.count_C / (past.count_C + new.count_C).clamp_min(1)
    apart_CD = new.mean_CD - past.mean_CD
    centred_BD = h_BD - new.mean_CD[y_B]
    return torch.addmm(apart_CD.T @ (apart_CD * weight_C[:, None]), centred_BD.T, centred_BD)


def _beside(past: ClassMeans, new: ClassMeans) -> ClassMeans:
    """`past` on the device of `new`, with a row for each of its classes."""
    count_C, mean_CD = past.count_C.to(new.count_C), past.mean_CD.to(new.mean_CD)
    if mean_CD.numel() == 0:
        mean_CD = mean_CD.new_zeros(0, new.mean_CD.shape[1])
    classes = len(new.count_C)
    return ClassMeans(grown(count_C, classes), grown(mean_CD, classes))


# --- ridge regression from sums: W = (G + λ I)⁻¹ C with G = HᵀH, C = HᵀY, and the λ that promises the least error ---


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
