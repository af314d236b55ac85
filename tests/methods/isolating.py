"""Learners of the tests of isolation."""

from __future__ import annotations

from typing import Any

from torch import nn

from lifelong.methods import Method
from lifelong.models import Network
from lifelong.streams import Stream
from lifelong.training import Learner
from lifelong.types import Space

SPACE = Space((6,), None, "task")


def learner_of(method: Method[Any], stream: Stream, model: str = "mlp:12,10", **settings: Any) -> Learner:
    chosen = {"epochs": 3, "lr": 0.1, "batch": 10, "seed": 1, **settings}
    return Learner(model, method, stream.space, **chosen)


def backbone_of(learner: Learner) -> nn.Module:
    assert isinstance(learner.model, Network)
    return learner.model.backbone
