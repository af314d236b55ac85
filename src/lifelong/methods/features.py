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
from lifelong.methods.base import LearnerView, StreamSize
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
    "means_of",
    "merged",
    "one_hot",
    "scatter",
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


def features_of(learner: LearnerView, x: Tensor, kind: FeatureKind) -> Tensor:
    """The features (B, D) of inputs `x` in float64: the inputs themselves, or what the backbone makes of them."""
    model = learner.model
    if kind == "backbone" and isinstance(model, Network):
        with learner.autocast():
            x = model.backbone(x)
    return x.flatten(1).double()


@torch.no_grad()
def chunks(learner: LearnerView, task: Examples, kind: FeatureKind) -> Iterator[tuple[Tensor, Tensor]]:
    """Features (B, D) and labels (B,) of all examples, some at a time, the network in evaluation mode."""
    training = learner.model.training
    learner.model.eval()
    try:
        for start in range(0, len(task), CHUNK):
            some = task.at(slice(start, start + CHUNK))
            yield features_of(learner, some.x, kind), some.y
    finally:
        learner.model.train(training)


def feature_count(size: StreamSize, kind: FeatureKind) -> int:
    """The most features there may be: the numbers of an input, or of what any layer reads, the head among them."""
    return size.numbers if kind == "raw" else max(size.numbers, *size.widths, round(size.parameters**0.5))


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
