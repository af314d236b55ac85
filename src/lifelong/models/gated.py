"""Networks whose hidden units have gates, and which of their weights open units use.

Suffixes: H hidden units, L gates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lifelong.errors import require
from lifelong.models.gates import Gate
from lifelong.models.head import headed
from lifelong.models.networks import Network
from lifelong.models.per_task import TaskNorm, norms_per_task
from lifelong.types import Space, Tree

__all__ = ["Gated", "GatedLayers", "gated"]

PLAIN = (nn.Flatten, nn.MaxPool2d, nn.AvgPool2d, nn.Dropout, nn.Identity)


class Gated(nn.Module):
    """A stack of layers with a gate after every ReLU. The gates come last, so the layers keep their place in θ."""

    def __init__(self, layers: nn.Sequential, gates: list[Gate]) -> None:
        super().__init__()
        self.layers = layers
        self.gates = nn.ModuleList(gates)

    def forward(self, x: Tensor) -> Tensor:
        gates = iter(self.gates)
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                x = next(gates)(x)
        return x

    def between(self, open_LH: Sequence[Tensor]) -> dict[str, Tensor]:
        """Which weights lie between open units, by the name of the parameter.

        `open_LH` says for every gate which units are open; the inputs of the network always are.
        """
        found: dict[str, Tensor] = {}
        before: Tensor | None = None
        weighted = [(name, layer) for name, layer in self.layers.named_children() if _is_weighted(layer)]
        for (name, layer), out_H in zip(weighted, open_LH, strict=True):
            shape = layer.weight.shape
            mask = out_H.reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
            if before is not None:  # after a convolution every channel gives several inputs in a row
                inputs = before.repeat_interleave(shape[1] // len(before))
                mask = mask & inputs.reshape(1, -1, *[1] * (len(shape) - 2))
            found[f"layers.{name}.weight"] = mask
            if layer.bias is not None:
                found[f"layers.{name}.bias"] = out_H
            before = out_H
        return found


class GatedLayers(nn.Module):
    """Any network with a gate behind each of its layers, or behind the normalisation that follows the layer.

    A closed unit says nothing about the weights of its row, whatever the network does with it afterwards: so a task
    depends on the rows of its open units alone.

    Args:
        layers: The network; it answers as before, but for the gates.
        points: For each layer its name, and the name of the module that the gate is behind.
        gates: A gate for each.
    """

    def __init__(self, layers: nn.Module, points: Sequence[tuple[str, str]], gates: list[Gate]) -> None:
        super().__init__()
        self.layers, self.points = layers, list(points)
        self.gates = nn.ModuleList(gates)
        for (_, point), gate in zip(points, gates, strict=True):
            layers.get_submodule(point).register_forward_hook(partial(_through, gate))

    def forward(self, x: Tree) -> Tensor:
        features: Tensor = self.layers(x)
        return features

    def between(self, open_LH: Sequence[Tensor]) -> dict[str, Tensor]:
        """Which weights open units use, by the name of the parameter: those of their rows."""
        masks: dict[str, Tensor] = {}
        for (name, _), out_H in zip(self.points, open_LH, strict=True):
            layer = self.layers.get_submodule(name)
            assert _is_weighted(layer)
            shape = layer.weight.shape
            masks[f"layers.{name}.weight"] = out_H.reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
            if layer.bias is not None:
                masks[f"layers.{name}.bias"] = out_H
        return masks


def _through(gate: Gate, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    gated_output: Tensor = gate(output)
    return gated_output


def gated(model: nn.Module, method: str, make: Callable[[int, int], Gate], space: Space) -> Network:
    """`model` with the gate `make(place, units)` after each of its hidden layers.

    Raises:
        SettingError: The network has other layers with weights than Linear, Conv2d (groups=1) and normalisations.
    """
    advice = "name a network (mlp:400,400 or cnn), or give models.with_head(backbone, features, space)"
    network = headed(model)
    require(network is not None, f"{method} needs a network with a backbone and a head, got {_kind(model)}; {advice}")
    assert network is not None
    stack, head = network.backbone, network.head
    if isinstance(stack, nn.Sequential) and _alternates(stack):
        units = [layer.weight.shape[0] for layer in stack if _is_weighted(layer)]
        return Network(Gated(stack, [make(place, count) for place, count in enumerate(units)]), head)
    backbone = norms_per_task(stack)
    points = _gate_points(backbone, method, space, advice)
    layers = [layer for name, _ in points if _is_weighted(layer := backbone.get_submodule(name))]
    gates = [make(place, layer.weight.shape[0]) for place, layer in enumerate(layers)]
    return Network(GatedLayers(backbone, points, gates), head)


def _alternates(stack: nn.Sequential) -> bool:
    """Whether hidden layers alone, each followed by ReLU, have weights: then units are known on both sides."""
    if not all(isinstance(layer, (nn.ReLU, *PLAIN)) or _is_weighted(layer) for layer in stack):
        return False
    order = [layer for layer in stack if not isinstance(layer, PLAIN)]
    alternating = all(isinstance(layer, nn.ReLU) == (place % 2 == 1) for place, layer in enumerate(order))
    return len(order) > 0 and len(order) % 2 == 0 and alternating


@torch.no_grad()
def _gate_points(backbone: nn.Module, method: str, space: Space, advice: str) -> list[tuple[str, str]]:
    """For each layer its name and where its gate is, from one pass of zeros through the network."""
    norms = {id(part): name for name, part in backbone.named_modules() if isinstance(part, TaskNorm)}
    inside = {id(part) for norm in backbone.modules() if id(norm) in norms for part in norm.modules()}
    owners = {
        name: part
        for name, part in backbone.named_modules()
        if id(part) not in inside and any(p.requires_grad for p in part.parameters(recurse=False))
    }
    others = [f"{name or 'at the top'} ({_kind(part)})" for name, part in owners.items() if not _is_weighted(part)]
    require(
        bool(owners) and not others,
        f"{method} gates the units of Linear, Conv2d (groups=1) and what normalises them, got "
        f"{', '.join(others) or 'no such layer'}; {advice}",
    )
    require(
        space.input_shape is not None,
        f"{method} follows one input through {_kind(backbone)} to see what to gate: give Space((…), …) its shape",
    )
    behind: dict[int, str] = {}
    points = {name: name for name in owners}

    def note(name: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if id(layer) in norms:
            if id(inputs[0]) in behind:
                points[behind[id(inputs[0])]] = name
        else:
            behind[id(output)] = name
            outputs.append(output)  # so that no other tensor has its number

    outputs: list[Tensor] = []
    watched = [*owners.items(), *((name, backbone.get_submodule(name)) for name in norms.values())]
    handles = [part.register_forward_hook(partial(note, name)) for name, part in watched]
    training = [part for part in backbone.modules() if part.training]
    backbone.eval()
    shape, words = space.input_shape or (), space.vocabulary is not None
    x = torch.ones(2, *shape, dtype=torch.int64 if words else torch.float32)
    try:
        backbone(x)
        for handle in handles:
            handle.remove()
        handles = [backbone.get_submodule(point).register_forward_hook(_closed) for point in points.values()]
        others_P = {f"{name}.{key}": 1 - p for name in owners for key, p in owners[name].named_parameters()}
        same = torch.equal(backbone(x), functional_call(backbone, others_P, (x,)))
    finally:
        for handle in handles:
            handle.remove()
        for part in training:
            part.training = True
    require(same, f"{method} cannot gate {_kind(backbone)}: it answers by weights of units that are closed; {advice}")
    return list(points.items())


def _closed(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output * 0


def _is_weighted(layer: nn.Module) -> TypeGuard[nn.Linear | nn.Conv2d]:
    return type(layer) is nn.Linear or (type(layer) is nn.Conv2d and layer.groups == 1)


def _kind(module: nn.Module) -> str:
    return type(module).__name__
