"""A model's parameters as one contiguous vector θ, and its gradient g.

Module parameters become views into θ and their gradients views into g, so a method is the paper's algebra on two
vectors and an optimiser steps one tensor. Suffix P: parameters, in the order of `module.named_parameters()`. θ has one
type; `hold_in_one_type` makes it the widest that the module has.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from lifelong.errors import SettingError

__all__ = ["Flat", "Layout", "hold_in_one_type", "swapped"]


@dataclass(frozen=True)
class Layout:
    """Where each parameter lies in a vector: its name and shape, in order.

    Example:
        >>> Layout(("weight", "bias"), ((2, 3), (2,))).slices["bias"]
        slice(6, 8, None)
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @cached_property
    def sizes(self) -> list[int]:
        """Numbers in each parameter."""
        return [math.prod(shape) for shape in self.shapes]

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Name → place in the vector."""
        stops = list(itertools.accumulate(self.sizes))
        return {name: slice(stop - size, stop) for name, size, stop in zip(self.names, self.sizes, stops, strict=True)}

    def views(self, vector_P: Tensor) -> list[Tensor]:
        """`vector_P` cut into views of the parameters' shapes, in their order."""
        return [piece.view(shape) for piece, shape in zip(vector_P.split(self.sizes), self.shapes, strict=True)]

    def carry(self, vector_P: Tensor, old: Layout) -> Tensor:
        """`vector_P` (…, P of `old`) laid out anew, parameter by parameter of the same name: new entries are zero.

        A parameter that grew keeps its values in the leading corner (rows of a head are appended).
        """
        lead = vector_P.shape[:-1]
        new_P = torch.zeros((*lead, sum(self.sizes)), dtype=vector_P.dtype, device=vector_P.device)
        before = dict(zip(old.names, old.shapes, strict=True))
        for name, now in zip(self.names, self.shapes, strict=True):
            was = before.get(name)
            if was is None or len(was) != len(now):
                continue
            corner = tuple(slice(0, min(pair)) for pair in zip(was, now, strict=True))
            source = vector_P[..., old.slices[name]].reshape((*lead, *was))
            new_P[..., self.slices[name]].view((*lead, *now))[(..., *corner)] = source[(..., *corner)]
        return new_P


class Flat:
    """θ and g of a module's trainable parameters, with the map name → slice.

    Raises:
        SettingError: A parameter has no shape yet (a lazy layer), or is no floating-point number of one type.

    Example:
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
        named = _trainable(module)
        _check(named)
        self.parameters = [p for _, p in named]
        self.layout = _layout(named)
        #: what was measured about these parameters once, and need not be asked again (never saved)
        self.notes: dict[str, Any] = {}
        self._sparse = any(getattr(part, "sparse", False) for part in module.modules())  # as embeddings may be
        self._aliases = _aliases(module, {id(p): name for name, p in named})
        values = [p.detach().reshape(-1) for p in self.parameters]
        theta_P = torch.cat(values) if values else torch.zeros(0)
        self.theta_P = nn.Parameter(theta_P.clone())
        self.grad_P = torch.zeros_like(theta_P)
        self._bind()

    def _bind(self) -> None:
        """Make the parameters views of θ and their gradients views of g."""
        self.theta_P.grad = self.grad_P
        self._grads = self.views(self.grad_P)
        for p, value, grad in zip(self.parameters, self.views(self.theta_P.detach()), self._grads, strict=True):
            p.grad = None  # of another type or shape it could not be while the data changes
            p.data = value
            p.grad = grad

    def is_bound(self, module: nn.Module) -> bool:
        """Whether the module's trainable parameters are these views, in this order.

        A copied, unpickled, converted or reloaded module has parameters of its own, and one that another `Flat` took
        has views of that one's.
        """
        named = _trainable(module)
        start, size = self.theta_P.data_ptr(), self.theta_P.element_size()
        same = len(named) == len(self.parameters) and all(
            p is q and p.data_ptr() == start + place.start * size and p.is_contiguous() and p.grad is grad
            for (_, p), q, grad, place in zip(named, self.parameters, self._grads, self.slices.values(), strict=True)
        )
        return same and self.theta_P.grad is self.grad_P

    @torch.no_grad()
    def rebind(self, module: nn.Module) -> bool:
        """Take the module's values into θ and make its parameters views again; False where its layout is another."""
        named = _trainable(module)
        if _layout(named) != self.layout:
            return False
        _check(named)
        self.notes = {}
        self.parameters = [p for _, p in named]
        self._aliases = _aliases(module, {id(p): name for name, p in named})
        if self.parameters:
            self.theta_P.copy_(torch.cat([p.reshape(-1) for p in self.parameters]))
        self._bind()
        return True

    def __len__(self) -> int:
        return self.theta_P.numel()

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names in order."""
        return self.layout.names

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The parameters' shapes in order."""
        return self.layout.shapes

    @property
    def slices(self) -> dict[str, slice]:
        """Name → place in θ."""
        return self.layout.slices

    def views(self, vector_P: Tensor) -> list[Tensor]:
        """`vector_P` cut into views of the parameters' shapes, in their order."""
        return self.layout.views(vector_P)

    def named(self, vector_P: Tensor) -> dict[str, Tensor]:
        """The same views by parameter name, as `torch.func.functional_call` wants them."""
        return dict(zip(self.names, self.views(vector_P), strict=True))

    def call(self, module: nn.Module, values: dict[str, Tensor], x: Any) -> Tensor:
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

    def carry(self, vector_P: Tensor, old: Flat | Layout) -> Tensor:
        """`Layout.carry` for this model, which grew from `old`."""
        return self.layout.carry(vector_P, old.layout if isinstance(old, Flat) else old)


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


class _Rounded(nn.Module):
    """A parameter in the type that its layer computes with; θ holds it in a wider one."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, original: Tensor) -> Tensor:
        return original.to(self.dtype)


def hold_in_one_type(module: nn.Module) -> None:
    """Where trainable parameters are of several floating-point types, hold all in the widest of these.

    A layer still computes with the type that its parameter had: it is rounded to it whenever it is used
    (`torch.nn.utils.parametrize`), so small steps add up. Its name becomes `….parametrizations.NAME.original`.

    Example:
        >>> both = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1).bfloat16())
        >>> hold_in_one_type(both)
        >>> both[1].weight.dtype, Flat(both).theta_P.dtype
        (torch.bfloat16, torch.float32)
    """
    kinds = {id(p): p.dtype for _, p in _trainable(module) if not is_lazy(p)}
    if len(set(kinds.values())) < 2 or not all(kind.is_floating_point for kind in kinds.values()):
        return
    wide = functools.reduce(torch.promote_types, kinds.values())
    places = [
        (part, name, p, kinds[id(p)])
        for part in module.modules()
        for name, p in part.named_parameters(recurse=False, remove_duplicate=False)
        if kinds.get(id(p), wide) != wide
    ]
    for part, name, p, dtype in places:
        p.grad, p.data = None, p.data.to(wide)
        parametrize.register_parametrization(part, name, _Rounded(dtype), unsafe=True)


def _trainable(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in module.named_parameters() if p.requires_grad]


def _layout(named: Sequence[tuple[str, nn.Parameter]]) -> Layout:
    return Layout(tuple(name for name, _ in named), tuple(() if is_lazy(p) else tuple(p.shape) for _, p in named))


def _check(named: Sequence[tuple[str, nn.Parameter]]) -> None:
    lazy = [name for name, p in named if is_lazy(p)]
    if lazy:
        raise SettingError(
            f"the parameter {lazy[0]} of a lazy layer has no shape yet; ask the network once before: model(x[:1])"
        )
    kinds = {p.dtype: name for name, p in reversed(named)}
    if any(not kind.is_floating_point for kind in kinds):
        name = next(name for kind, name in kinds.items() if not kind.is_floating_point)
        raise SettingError(
            f"the parameter {name} is complex; train real numbers: keep it as torch.view_as_real gives it"
        )
    if len(kinds) > 1:
        listed = ", ".join(f"{name} is {kind}" for kind, name in kinds.items())
        raise SettingError(
            f"all trainable parameters must have one type, but {listed}; convert it, or make a learner of it anew"
        )
