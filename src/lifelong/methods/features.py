"""The features on which prototypes are built, and the statistics of a task that learns no gradient step.

Suffixes: B batch, C classes, D features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from lifelong.errors import require
from lifelong.methods.base import Extent, Student
from lifelong.models import Network
from lifelong.types import Examples

__all__ = [
    "ClassMeans",
    "FeatureKind",
    "check_features",
    "chunks",
    "feature_count",
    "features_of",
    "grown",
    "merge",
    "one_hot",
]

FeatureKind = Literal["raw", "backbone"]

CHUNK = 2048


def check_features(kind: FeatureKind, method: str, model: nn.Module) -> None:
    """`SettingError` where `model` has no backbone to take features from."""
    require(
        kind == "raw" or isinstance(model, Network),
        f"{method}.features = 'backbone' needs a network with a backbone, got {type(model).__name__}; "
        "use features='raw' or give models.with_head(backbone, features, space)",
    )


def features_of(student: Student, x: Tensor, kind: FeatureKind) -> Tensor:
    """The features (B, D) of inputs `x` in float64: the inputs themselves, or what the backbone makes of them."""
    model = student.model
    if kind == "backbone" and isinstance(model, Network):
        with student.autocast():
            x = model.backbone(x)
    return x.flatten(1).double()


@torch.no_grad()
def chunks(student: Student, task: Examples, kind: FeatureKind) -> Iterator[tuple[Tensor, Tensor]]:
    """Features (B, D) and labels (B,) of all examples, some at a time, the network in evaluation mode."""
    training = student.model.training
    student.model.eval()
    try:
        for start in range(0, len(task), CHUNK):
            some = task.at(slice(start, start + CHUNK))
            yield features_of(student, some.x, kind), some.y
    finally:
        student.model.train(training)


def feature_count(extent: Extent, kind: FeatureKind) -> int:
    """The most features there may be: the numbers of an input, or of what any layer reads, the head among them."""
    return extent.numbers if kind == "raw" else max(extent.numbers, *extent.widths, round(extent.parameters**0.5))


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


def merge(means: ClassMeans, h_BD: Tensor, y_B: Tensor, classes: int) -> tuple[ClassMeans, Tensor]:
    """The means with a batch added, and the growth (D, D) of the scatter Σ (h − μ_y)(h − μ_y)ᵀ around them.

    The order of batches does not matter (Chan et al. 1983): for parts of n and m examples with means μ and ν the
    scatter of both is the sum of theirs and n m / (n + m) (μ − ν)(μ − ν)ᵀ.

    >>> one, first = merge(ClassMeans(), torch.tensor([[1.0], [3.0]]).double(), torch.tensor([0, 0]), 1)
    >>> both, more = merge(one, torch.tensor([[8.0]]).double(), torch.tensor([0]), 1)
    >>> both.mean_CD.item(), first.item(), more.item()
    (4.0, 2.0, 24.0)
    """
    one_hot_BC = one_hot(y_B, classes)
    new_C = one_hot_BC.sum(0)
    new_CD = one_hot_BC.T @ h_BD / new_C.clamp_min(1)[:, None]
    count_C = grown(means.count_C.to(h_BD.device), classes)
    mean_CD = means.mean_CD.to(h_BD.device) if means.mean_CD.numel() else new_CD.new_zeros(0, h_BD.shape[1])
    mean_CD = grown(mean_CD, classes)
    apart_CD, total_C = new_CD - mean_CD, count_C + new_C
    centred_BD = h_BD - new_CD[y_B]
    between_CD = apart_CD * (count_C * new_C / total_C.clamp_min(1))[:, None]
    scatter_DD = centred_BD.T @ centred_BD + between_CD.T @ apart_CD
    mean_CD = mean_CD + apart_CD * (new_C / total_C.clamp_min(1))[:, None]
    return ClassMeans(total_C, mean_CD), scatter_DD
