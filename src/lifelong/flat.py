"""A model's parameters as one contiguous vector θ, and its gradient g.

Module parameters become views into θ and their gradients views into g, so a method is the paper's algebra on two
vectors and an optimiser steps one tensor. Suffix P: parameters, in the order of `module.named_parameters()`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["Flat", "swapped"]


class Flat:
    """θ and g of a module's trainable parameters, with the map name → slice.

    >>> layer = nn.Linear(3, 2)
    >>> flat = Flat(layer)
    >>> flat.theta_P.shape, flat.slices["bias"]
    (torch.Size([8]), slice(6, 8, None))
    >>> with torch.no_grad():
    ...     _ = flat.theta_P.fill_(1.0)
    >>> layer.bias.tolist()
    [1.0, 1.0]

    `zero_grad(set_to_none=True)` on the module would cut the gradient views; `backward` here keeps them.
    """

    def __init__(self, module: nn.Module) -> None:
        named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        #: what was found out about these parameters once, and need not be asked again (never saved)
        self.notes: dict[str, Any] = {}
        self._sparse = any(getattr(part, "sparse", False) for part in module.modules())  # as embeddings may be
        self._aliases = _aliases(module, {id(p): name for name, p in named})
        self.parameters = [p for _, p in named]
        self.shapes = [p.shape for p in self.parameters]
        self.slices: dict[str, slice] = {}
        start = 0
        for name, p in named:
            self.slices[name] = slice(start, start + p.numel())
            start += p.numel()
        values = [p.detach().reshape(-1) for p in self.parameters]
        theta_P = torch.cat(values) if values else torch.zeros(0)
        self.theta_P = nn.Parameter(theta_P.clone())
        self.grad_P = torch.zeros_like(theta_P)
        self.theta_P.grad = self.grad_P
        self._grads = self.views(self.grad_P)
        for p, value, grad in zip(self.parameters, self.views(self.theta_P.detach()), self._grads, strict=True):
            p.data = value
            p.grad = grad

    def __len__(self) -> int:
        return self.theta_P.numel()

    def views(self, vector_P: Tensor) -> list[Tensor]:
        """`vector_P` cut into views of the parameters' shapes, in their order."""
        pieces = vector_P.split([shape.numel() for shape in self.shapes])
        return [piece.view(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]

    def named(self, vector_P: Tensor) -> dict[str, Tensor]:
        """The same views by parameter name, as `torch.func.functional_call` wants them."""
        return dict(zip(self.names, self.views(vector_P), strict=True))

    def call(self, module: nn.Module, values: dict[str, Tensor], x: Tensor) -> Tensor:
        """The answer of `module` to `x` with `values` (by parameter name, buffers may be added) in place of its own.

        Weights that are used in several places are replaced in all of them.
        """
        everywhere = {path: values[name] for path, name in self._aliases.items()}
        answer: Tensor = functional_call(module, {**values, **everywhere}, (x,), tie_weights=False)
        return answer

    def holding(self, theta_P: Tensor) -> AbstractContextManager[None]:
        """Inside the block the module's parameters are views into `theta_P`, afterwards into θ again.

        For answers without gradients; it is faster than `call`, which replaces every weight of the module by name.
        """
        return swapped(self.parameters, self.views(theta_P))

    def backward(self, loss: Tensor) -> None:
        """g ← ∂loss/∂θ, zeros for parameters without influence.

        Copied into the views, as adding to zeros reads and writes g twice more.
        """
        torch._foreach_copy_(self._grads, self._gradients(loss))

    def gradient(self, loss: Tensor, retain_graph: bool = False) -> Tensor:
        """∂loss/∂θ as a new vector (P,); g is left as it is, parameters without influence give zeros."""
        return torch.cat([grad.reshape(-1) for grad in self._gradients(loss, retain_graph)])

    def _gradients(self, loss: Tensor, retain_graph: bool = False) -> tuple[Tensor, ...]:
        grads = torch.autograd.grad(
            loss, self.parameters, retain_graph=retain_graph, allow_unused=True, materialize_grads=True
        )
        return tuple(grad.to_dense() for grad in grads) if self._sparse else grads

    @torch.no_grad()
    def assign(self, theta_P: Tensor) -> None:
        """θ ← `theta_P`, in place, so that every view sees it."""
        self.theta_P.copy_(theta_P)

    def carry(self, vector_P: Tensor, old: Flat) -> Tensor:
        """`vector_P` (…, P of `old`) laid out for this model, which grew from `old`: new entries are zero.

        A parameter that grew keeps its values in the leading corner (rows of a head are appended).
        """
        shape = (*vector_P.shape[:-1], len(self))
        new_P = torch.zeros(shape, dtype=vector_P.dtype, device=vector_P.device)
        for name, now in zip(self.names, self.shapes, strict=True):
            if name not in old.slices:
                continue
            was = old.shapes[old.names.index(name)]
            lead = vector_P.shape[:-1]
            corner = tuple(slice(0, size) for size in was)
            source = vector_P[..., old.slices[name]].view((*lead, *was))
            new_P[..., self.slices[name]].view((*lead, *now))[(..., *corner)] = source
        return new_P


@contextmanager
def swapped(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> Iterator[None]:
    """Inside the block each of `tensors` holds the numbers of its partner in `others`; nothing is copied.

    What was noted for a backward pass before the block is as it was after it. Weights that autocast has rounded are
    forgotten on both sides, as it knows them by the tensor and not by its numbers.

    >>> weight = torch.zeros(1)
    >>> with swapped([weight], [torch.ones(1)]):
    ...     print(weight)
    tensor([1.])
    >>> weight
    tensor([0.])
    """
    own = [tensor.data for tensor in tensors]
    torch.clear_autocast_cache()
    try:
        for tensor, other in zip(tensors, others, strict=True):
            tensor.data = other
        yield
    finally:
        for tensor, values in zip(tensors, own, strict=True):
            tensor.data = values
        torch.clear_autocast_cache()


def _aliases(module: nn.Module, names: dict[int, str]) -> dict[str, str]:
    """Path → parameter name for every place that holds a trainable parameter, each module visited once.

    `functional_call(tie_weights=True)` would swap a module that is used twice two times over and leave it swapped.
    """
    return {
        f"{prefix}.{key}" if prefix else key: names[id(p)]
        for prefix, part in module.named_modules()
        for key, p in part.named_parameters(recurse=False, remove_duplicate=False)
        if id(p) in names
    }
