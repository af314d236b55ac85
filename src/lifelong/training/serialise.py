"""Plain data and tensors, apart and together again: what makes a state a file without pickle."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from torch import Tensor

from lifelong.errors import StorageError

__all__ = ["join", "plain", "split", "stored_bytes"]

T = TypeVar("T")


def split(value: Any, prefix: str) -> tuple[Any, dict[str, Tensor]]:
    """`value` (dataclasses, tuples, lists, dicts, numbers) as plain data in which each tensor is a name, and these.

    >>> from lifelong.memory import Reservoir
    >>> data, tensors = split(Reservoir(capacity=3), "state")
    >>> data["capacity"], data["x"], sorted(tensors)
    (3, 'state.0', ['state.0', 'state.1', 'state.2'])
    >>> join(data, tensors, Reservoir).capacity
    3
    """
    tensors: dict[str, Tensor] = {}

    def name_it(leaf: Any) -> str:
        if not isinstance(leaf, Tensor):
            raise TypeError(f"a state may hold tensors, numbers, text and containers of them, got {type(leaf)}")
        name = f"{prefix}.{len(tensors)}"
        tensors[name] = leaf.detach()
        return name

    return msgspec.to_builtins(value, enc_hook=name_it, str_keys=True), tensors


def join(data: Any, tensors: dict[str, Tensor], kind: type[T]) -> T:
    """The value of type `kind` that `split` took apart."""

    def look_up(kind: type, name: Any) -> Tensor:
        if kind is not Tensor or name not in tensors:
            raise StorageError(f"expected a tensor named {name!r} in the file, found none; the file is damaged")
        return tensors[name]

    return msgspec.convert(data, kind, dec_hook=look_up, str_keys=True)


def plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Untyped plain data (an optimiser's state) with its tensors put back in place of their names."""
    if isinstance(value, dict):
        return {key: plain(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, tensors) for item in value]
    return tensors.get(value, value) if isinstance(value, str) else value


def stored_bytes(state: Any) -> int:
    """Bytes of all tensors in a state."""
    return sum(tensor.nbytes for tensor in split(state, "state")[1].values())
