"""Networks of linear layers: their inputs and outputs, noted on the way, from which gradients have a closed form.

For z = W a + b the gradient of sample n is δ_n a_nᵀ, δ_n = ∂/∂z_n. That holds where a layer's weights are used by the
layer alone; a network of one's own may use them in other ways as well, which no hook sees. So it is asked, not assumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lifelong.methods.base import LearnerView
from lifelong.methods.evaluating import evaluating
from lifelong.models import Head

__all__ = ["Calls", "all_linear", "deltas", "hooks_see_all_uses", "once", "recorded"]

#: by layer, for each of its calls, its inputs a and outputs z
Calls = dict[nn.Module, list[tuple[Tensor, Tensor]]]

PROBE = 64  # examples that are enough to tell
TOLERANCE = 1e-3

_known: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def all_linear(model: nn.Module) -> bool:
    """Whether every parameter is trained and belongs to one linear layer."""
    owners = [m for m in model.modules() if any(True for _ in m.parameters(recurse=False))]
    held = [p for m in owners for p in m.parameters(recurse=False)]
    alone = len(held) == len({id(p) for p in held})
    return alone and all(type(m) in (nn.Linear, Head) for m in owners) and all(p.requires_grad for p in held)


@contextmanager
def recorded(model: nn.Module) -> Iterator[Calls]:
    """Inside the block every linear layer notes its inputs a and outputs z, where a gradient may come back by z."""
    calls: Calls = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if not output.requires_grad:
            return output  # called without gradients, which it then has no part in
        calls.setdefault(module, []).append((inputs[0].detach(), output))
        return output.clone()  # so that a later in-place ReLU cannot change the z that was noted

    handles = [m.register_forward_hook(note) for m in model.modules() if type(m) in (nn.Linear, Head)]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def once(calls: Calls, samples: int) -> bool:
    """Whether every layer was used once, on one vector for each of the samples."""
    return all(len(notes) == 1 and notes[0][0].ndim == 2 and len(notes[0][0]) == samples for notes in calls.values())


def deltas(value: Tensor, calls: Calls, *more: Tensor, retain_graph: bool = False) -> tuple[Tensor, ...]:
    """∂ value/∂z for every call in order, then ∂ value/∂ for each of `more`; zeros where `value` does not use it."""
    outputs = [output for notes in calls.values() for _, output in notes]
    return torch.autograd.grad(
        value, [*outputs, *more], retain_graph=retain_graph, allow_unused=True, materialize_grads=True
    )


def hooks_see_all_uses(learner: LearnerView, x: Tensor) -> bool:
    """Whether the calls of its layers are all that a network of linear layers does with its weights.

    Asked with a few of the inputs `x`, and once of every network: Σ δ aᵀ over the calls of a layer is then the gradient
    of its weight that autograd finds, Σ δ that of its bias.
    """
    model = learner.model
    if model in _known:
        return _known[model]
    agrees, told = _agrees(learner, x[:PROBE])
    if told:
        _known[model] = agrees
    return agrees


def _agrees(learner: LearnerView, x: Tensor) -> tuple[bool, bool]:
    """Whether both ways to a gradient agree, and whether there was a gradient to tell by."""
    model, parameters = learner.model, learner.flat.parameters
    with evaluating(model), torch.enable_grad(), recorded(model) as calls:
        logits_BC = model(x).float()
    some = (logits_BC * torch.linspace(-1, 1, logits_BC.numel()).to(logits_BC).view_as(logits_BC)).sum()
    found = deltas(some, calls, *parameters)
    grads = found[len(found) - len(parameters) :]
    each = iter(found)
    sums = {id(p): torch.zeros_like(p) for p in parameters}
    for layer, notes in calls.items():
        for (a, _), delta in zip(notes, each, strict=False):
            if id(layer.weight) not in sums:
                return False, True  # it is made anew from other parameters
            sums[id(layer.weight)].addmm_(delta.flatten(0, -2).T, a.flatten(0, -2).to(delta.dtype))
            if isinstance(layer.bias, Tensor):
                sums[id(layer.bias)].add_(delta.flatten(0, -2).sum(0))
    least = 1e-6 * max((float(grad.norm()) for grad in grads), default=0.0)
    agrees = all(
        float((sums[id(p)] - grad).norm()) <= TOLERANCE * float(grad.norm()) + least
        for p, grad in zip(parameters, grads, strict=True)
    )
    return agrees, least > 0
