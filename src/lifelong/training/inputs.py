"""What stands between data and the network: its mode, its device, values of other types, and inputs that it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lifelong.errors import DataError
from lifelong.methods.inference import evaluating
from lifelong.models import headed
from lifelong.types import Data, Examples, Field, Space, Tree, leaves, tree_map

__all__ = [
    "Normalizer",
    "OnDevice",
    "as_inputs",
    "entry",
    "frozen_parts",
    "parts_in_eval_mode",
    "protect_inputs",
    "training_mode",
]


def parts_in_eval_mode(model: nn.Module) -> frozenset[str]:
    """The names of the modules that are in evaluation mode.

    Example:
        >>> sorted(parts_in_eval_mode(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2).train(False))))
        ['1']
    """
    return frozenset(name for name, part in model.named_modules() if not part.training)


def frozen_parts(model: nn.Module) -> frozenset[str]:
    """The names of the modules whose parameters are all frozen, with what is inside of them."""
    frozen = [name for name, part in model.named_modules() if _is_frozen(part)]
    return frozenset(
        name for name, _ in model.named_modules() if any(name == top or name.startswith(f"{top}.") for top in frozen)
    )


def _is_frozen(part: nn.Module) -> bool:
    trained = [parameter.requires_grad for parameter in part.parameters()]
    return len(trained) > 0 and not any(trained)


@contextmanager
def training_mode(model: nn.Module, in_eval_mode: frozenset[str]) -> Iterator[None]:
    """Inside the block the model is in training mode, without the parts that stay in evaluation mode."""
    for name, part in model.named_modules():
        part.training = name not in in_eval_mode
    yield


def entry(model: nn.Module) -> nn.Module:
    """The module that is given the inputs first."""
    network = headed(model)
    return model if network is None else network.backbone


def _copied(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(tree_map(torch.clone, x) if isinstance(x, (Tensor, dict)) else x for x in inputs)


@torch.no_grad()
def protect_inputs(model: nn.Module, x: Tree, select: Callable[[], Any]) -> Any:
    """Ask the model about copies of the inputs `x` once; where it writes into them, let it have copies from now on.

    Returns:
        The answer, in evaluation mode.
    """
    copies = tree_map(torch.clone, x)
    before = [leaf._version for leaf in leaves(copies)]
    with evaluating(model), select():
        answer = model(copies)
    if [leaf._version for leaf in leaves(copies)] != before:
        entry(model).register_forward_pre_hook(_copied)
    return answer


class Normalizer:
    """(x − mean) / deviation before the network's first module, per channel of images and per feature of vectors.

    Args:
        model: Whose inputs are normalised.

    Attributes:
        moments: Mean and deviation by the name of the input; empty until they are measured.
    """

    def __init__(self, model: nn.Module) -> None:
        self.moments: dict[str, Tensor] = {}
        entry(model).register_forward_pre_hook(self)

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The pre-hook."""
        x, *rest = inputs
        if isinstance(x, dict):
            return ({name: self._normal(name, leaf) for name, leaf in x.items()}, *rest)
        return (self._normal("", x), *rest)

    def _normal(self, name: str, x: Tensor) -> Tensor:
        if name not in self.moments:
            return x
        mean, deviation = self.moments[name].to(x)
        shape = (1, -1, *[1] * (x.ndim - 2))
        return (x - mean.view(shape)) / deviation.view(shape)

    def measure(self, data: Data) -> None:
        """Take mean and deviation of the floating-point inputs over `data`; a constant one is only centred."""
        count, sums, squares = 0.0, dict[str, Tensor](), dict[str, Tensor]()
        for batch in data.batches(torch.arange(len(data)), 1024):
            for name, leaf in batch.x.items() if isinstance(batch.x, dict) else [("", batch.x)]:
                if not leaf.is_floating_point() or leaf.ndim < 2:
                    continue
                rows = leaf.double().transpose(0, 1).flatten(1)
                sums[name] = sums.get(name, 0.0) + rows.mean(1) * len(batch)
                squares[name] = squares.get(name, 0.0) + rows.square().mean(1) * len(batch)
            count += len(batch)
        for name in sums:
            mean = sums[name] / count
            deviation = (squares[name] / count - mean.square()).clamp_min(0).sqrt()
            self.moments[name] = torch.stack([mean, torch.where(deviation > 0, deviation, 1.0)]).float()


@dataclass(frozen=True)
class OnDevice:
    """Data whose batches are checked and moved to a device as they are read."""

    data: Data
    device: str
    check: Callable[[Examples], None]

    def __len__(self) -> int:
        return len(self.data)

    def at(self, index: Tensor | slice) -> Examples:
        """The examples at `index`."""
        return self._moved(self.data.at(index))

    def with_task(self, number: int) -> OnDevice:
        """The same data as examples of task `number`."""
        return OnDevice(self.data.with_task(number), self.device, self.check)

    def batches(self, order_N: Tensor, size: int) -> Iterator[Examples]:
        """The examples at the positions `order_N`, `size` at a time."""
        return map(self._moved, self.data.batches(order_N, size))

    def _moved(self, batch: Examples) -> Examples:
        self.check(batch)
        return batch.to(self.device)


def as_inputs(x: Any, space: Space) -> tuple[Tree, bool]:
    """Inputs as tensors, and whether `x` was a single example.

    Args:
        x: A tensor, a NumPy array, a list, or a dict of these; with or without the dimension of the examples.
        space: Knows the shape of one input, where it was given.

    Raises:
        DataError: The values have another shape, or are no numbers.

    Example:
        >>> x, single = as_inputs([[0.0, 1.0]], Space((2,), 3))
        >>> x.shape, single
        (torch.Size([1, 2]), False)
    """
    if isinstance(x, Mapping):
        fields = space.inputs if isinstance(space.inputs, dict) else {}
        pairs = {name: _leaf(leaf, fields.get(name)) for name, leaf in x.items()}
        singles = {name: leaf.ndim == len(fields[name].shape) for name, leaf in pairs.items() if name in fields}
        single = any(singles.values())
        return {name: leaf[None] if single else leaf for name, leaf in pairs.items()}, single
    leaf = _leaf(x, space.field)
    shape = space.input_shape
    single = shape is not None and tuple(leaf.shape) == shape
    leaf = leaf[None] if single else leaf
    if shape is not None and tuple(leaf.shape[1:]) != shape:
        raise DataError(f"expected inputs of shape (N, {', '.join(map(str, shape))}), got {tuple(leaf.shape)}")
    return leaf, single


def _leaf(x: Any, field: Field | None) -> Tensor:
    if isinstance(x, Tensor):
        return x
    try:
        array = np.asarray(x)
        tensor = torch.from_numpy(np.ascontiguousarray(array))
    except (TypeError, ValueError) as error:
        raise DataError(f"expected inputs as numbers of one shape, got {type(x).__name__}: {error}") from error
    if field is not None and field.vocabulary is not None:
        return tensor.long()
    return tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor.float()
