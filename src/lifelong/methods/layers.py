"""The layers of a network that carry its weights, for methods that treat weights layer by layer."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lifelong.errors import SettingError, require
from lifelong.methods.base import LearnerView
from lifelong.methods.inference import chunks, evaluating, uncompiled
from lifelong.models import Head
from lifelong.models.per_task import TaskNorm, moving_statistics
from lifelong.types import Data

__all__ = ["check_statistics", "layer_inputs", "weight_layers"]

KNOWN = (nn.Linear, Head, nn.Conv2d)
CHUNK = 64


def weight_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Name and module of every layer that is trained, in the order of the network.

    Each is exactly `Linear`, `Head` or `Conv2d`, owns its weights alone, and is trained whole; layers that are frozen
    whole, and normalisations that every task has of its own, are left out.

    Raises: `SettingError` that names the first layer of another kind.

    >>> [name for name, _ in weight_layers(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))]
    ['0', '2']
    >>> weight_layers(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)))
    Traceback (most recent call last):
    lifelong.errors.SettingError: layer 1 is a BatchNorm1d; this method treats Linear, Head and Conv2d only: replace or
        freeze it, or choose a method for any network, as ewc
    """
    found: list[tuple[str, nn.Module]] = []
    owners: dict[int, str] = {}
    apart = [part for part in model.modules() if isinstance(part, TaskNorm)]  # has weights of its own for every task
    skipped = {id(part) for norm in apart for part in norm.modules()}
    for name, module in model.named_modules():
        if id(module) in skipped:
            continue
        own = list(module.parameters(recurse=False))
        trained = [parameter.requires_grad for parameter in own]
        if not any(trained):
            continue
        if type(module) not in KNOWN:
            raise SettingError(
                f"layer {name or 'at the top'} is a {type(module).__name__}; this method treats Linear, Head and "
                "Conv2d only: replace or freeze it, or choose a method for any network, as ewc"
            )
        if not all(trained):
            raise SettingError(f"layer {name} is frozen in part: train or freeze its weight and bias together")
        for parameter in own:
            if id(parameter) in owners:
                raise SettingError(f"layers {owners[id(parameter)]} and {name} share weights: give each its own")
            owners[id(parameter)] = name
        found.append((name, module))
    return found


def check_statistics(method: str, model: nn.Module) -> None:
    """Check that no running statistics move under a method that keeps past answers.

    Raises:
        SettingError: A normalisation of the network is trained and is not each task's own.
    """
    apart = {id(part) for norm in model.modules() if isinstance(norm, TaskNorm) for part in norm.modules()}
    names = [name for name in moving_statistics(model) if id(model.get_submodule(name)) not in apart]
    require(
        not names,
        f"{method} keeps past answers, and every batch would move the running statistics of {', '.join(names)}: freeze "
        "these layers (layer.eval().requires_grad_(False))",
    )


@torch.no_grad()
def layer_inputs(learner: LearnerView, task: Data) -> dict[str, Tensor]:
    """By name of the layer, the vectors (N, D) that its weights were multiplied with, in evaluation mode.

    In a convolution these are the patches under the kernel, one after another. A bias is the weight of one more input
    that is always 1. More than D vectors are replaced by D with the same sums of squares in every direction (the R of
    their QR decomposition).
    """
    inputs: dict[str, Tensor] = {}

    def note(name: str, layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        rows_ND = _multiplied(layer, arguments[0].float())
        both_ND = torch.cat([inputs[name], rows_ND]) if name in inputs else rows_ND
        tall = both_ND.shape[0] > both_ND.shape[1]
        inputs[name] = torch.linalg.qr(both_ND, mode="r").R if tall else both_ND

    layers = weight_layers(learner.model)
    handles = [layer.register_forward_pre_hook(partial(note, name)) for name, layer in layers]
    try:
        with evaluating(learner.model), uncompiled():
            for chunk in chunks(learner, task, CHUNK):
                learner.model(chunk.x)
    finally:
        for handle in handles:
            handle.remove()
    return inputs


def _multiplied(layer: nn.Module, x: Tensor) -> Tensor:
    """The rows (N, D) for which the layer's answers are rows · weightᵀ."""
    if isinstance(layer, nn.Conv2d):
        assert not isinstance(layer.padding, str), "unfold wants the padding in numbers"
        patches_BDL = F.unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        rows_ND = patches_BDL.transpose(1, 2).flatten(0, 1)
    else:
        rows_ND = x.flatten(0, -2)
    return rows_ND if layer.bias is None else F.pad(rows_ND, (0, 1), value=1.0)
