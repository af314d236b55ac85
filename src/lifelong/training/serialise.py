"""A state as plain data and tensors, apart and together again, and laid out anew where the model changed."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import msgspec
from torch import Tensor

from lifelong.errors import StorageError
from lifelong.flat import Layout

__all__ = ["join", "plain", "remap_state", "runs", "split", "stored_bytes", "unrolled"]

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


def runs(numbers: list[int]) -> list[list[int]]:
    """Whole numbers as [first, last] of each run of neighbours, in their order; `unrolled` is the way back.

    >>> runs([1, 2, 3, 7, 8, 5]), unrolled([[1, 3], [5, 5]])
    ([[1, 3], [7, 8], [5, 5]], [1, 2, 3, 5])
    """
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def unrolled(found: list[list[int]]) -> list[int]:
    """The numbers that `runs` wrote."""
    return [number for first, last in found for number in range(first, last + 1)]


def stored_bytes(state: Any) -> int:
    """Bytes of all tensors in a state."""
    return sum(tensor.nbytes for tensor in split(state, "state")[1].values())


def remap_state(state: Any, new: Layout, old: Layout) -> Any:
    """`state` with every tensor in a field whose name ends in `P` laid out for `new`, new entries zero.

    Dataclasses are changed in place and returned; tuples, lists and dicts are followed.
    """
    return _remapped(state, new, old, over_parameters=False)


def _remapped(value: Any, new: Layout, old: Layout, over_parameters: bool) -> Any:
    if isinstance(value, Tensor):
        return new.carry(value, old) if over_parameters else value
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            inside = _remapped(getattr(value, field.name), new, old, field.name.endswith("P"))
            setattr(value, field.name, inside)
        return value
    if isinstance(value, list):
        return [_remapped(item, new, old, over_parameters) for item in value]
    if isinstance(value, tuple):
        return tuple(_remapped(item, new, old, over_parameters) for item in value)
    if isinstance(value, dict):
        return {key: _remapped(item, new, old, over_parameters) for key, item in value.items()}
    return value
