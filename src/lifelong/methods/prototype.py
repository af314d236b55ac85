"""What the methods share that learn from statistics of a task's features, and take no gradient step at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from lifelong.errors import require
from lifelong.methods.base import Claim, LearnerView, Method
from lifelong.methods.features import FeatureKind, check_features, features_of
from lifelong.types import Examples, Space

__all__ = ["Prototype"]

StateT = TypeVar("StateT")


@dataclass(frozen=True)
class Prototype(Method[StateT]):
    """Gives the loop no examples, so that θ stays as it is, and answers from its statistics.

    A class of which nothing was seen is never the answer, unless nothing was seen of any class that may be: then the
    network's own head answers, as it does before the first task.
    """

    features: FeatureKind = "raw"

    family = "prototypes"
    needs = ("labels",)
    claims = Claim.SOLVES

    def validate(self) -> None:
        known = ("raw", "backbone")
        require(self.features in known, f"{self.name}.features must be raw or backbone, got {self.features!r}")

    def adapt(self, model: nn.Module, space: Space, seed: int) -> nn.Module:
        check_features(self.features, self.name, model)
        return model

    def examples(self, state: StateT, task: Examples) -> Examples:
        return task.at(slice(0, 0))

    def counts(self, state: StateT) -> Tensor:
        """How many examples of each class (C,) were seen."""
        raise NotImplementedError

    def scores(self, state: StateT, h_BD: Tensor) -> Tensor:
        """The logits (B, C) for features in float64."""
        raise NotImplementedError

    def predict(self, state: StateT, learner: LearnerView, x: Tensor, task: int) -> Tensor:
        seen_C, outputs = self.counts(state) > 0, learner.objective
        asked = outputs.classes.get(task, ()) if outputs.scenario == "task" else range(len(seen_C))
        if not bool(seen_C[[label for label in asked if label < len(seen_C)]].any()):
            return super().predict(state, learner, x, task)
        scores_BC = self.scores(state, features_of(learner, x, self.features))
        logits_BC = scores_BC.new_full((len(x), max(outputs.count, len(seen_C))), float("-inf"))
        logits_BC[:, : len(seen_C)] = torch.where(seen_C, scores_BC, float("-inf"))
        return logits_BC
