"""What people hold their data in, as `Examples`: pairs of arrays, pairs of tensors, or a torch `Dataset`.

One rule for values: inputs become float32, and bytes (uint8) become 0 … 1. One rule for labels: whole numbers, 0 or
more, one per example. What does not fit is refused with the mend, never guessed.
"""

from __future__ import annotations

from collections.abc import Sized

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from lifelong.errors import DataError
from lifelong.objectives import ClassObjective
from lifelong.types import Examples

__all__ = ["examples_of"]

ACCEPTED = "a pair (x, y) of torch tensors or numpy arrays, a torch Dataset of (x, y) with a length, or Examples"


def examples_of(data: object, place: str) -> Examples:
    """`data` as checked examples: x float32 (N, …), y int64 (N,), task 0.

    Arguments: `data` is a pair (x, y) of torch tensors or numpy arrays, a map-style torch `Dataset` of (x, y), which is
        read once, from first to last, or `Examples`. x (N, …) of bytes (uint8) is divided by 255, any other number
        type keeps its values; images of a `Dataset` that are no arrays (PIL) become (channels, h, w). y (N,) are whole
        numbers of any type. `place` names the data in errors.

    Raises: `DataError` for anything else, no examples, unequal lengths, NaN or infinity, and labels that are one-hot,
        negative or no whole numbers.

    >>> bytes_ND, labels_N = np.full((2, 3), 51, dtype=np.uint8), np.array([0.0, 4.0])
    >>> examples = examples_of((bytes_ND, labels_N), "training part")
    >>> examples.x[0].tolist(), examples.y.tolist()
    ([0.20000000298023224, 0.20000000298023224, 0.20000000298023224], [0, 4])
    """
    if isinstance(data, Examples):
        x, y = data.x, data.y
    elif isinstance(data, TensorDataset):
        x, y = _pair(data.tensors, place)
    elif isinstance(data, Dataset):
        x, y = _read(data, place)
    else:
        x, y = _pair(data, place)
    examples = Examples(_inputs(x, place), _labels(y, place), task=0)
    examples.check(place)
    ClassObjective().check(examples.y, place)
    return examples


def _pair(data: object, place: str) -> tuple[Tensor, Tensor]:
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        shown = f"{type(data).__name__} of {len(data)}" if isinstance(data, (tuple, list)) else type(data).__name__
        raise DataError(f"{place}: expected {ACCEPTED}, got {shown}")
    return _tensor(data[0], f"{place}, x"), _tensor(data[1], f"{place}, y")


def _tensor(data: object, place: str) -> Tensor:
    """A dense tensor of numbers on the CPU that shares memory with `data` where it may."""
    if isinstance(data, Tensor) and data.layout == torch.strided and not data.is_complex():
        return data.detach().cpu()
    if isinstance(data, np.ndarray) and data.dtype.kind in "biuf":
        own = np.float64 if data.dtype.itemsize > 8 else data.dtype.newbyteorder("=")
        array = np.require(data, dtype=own, requirements="C")
        return torch.from_numpy(array if array.flags.writeable else array.copy())
    kind = f"{type(data).__name__} of {data.dtype}" if isinstance(data, (Tensor, np.ndarray)) else type(data).__name__
    raise DataError(f"{place}: expected a dense torch tensor or numpy array of real numbers, got {kind}")


def _read(data: Dataset[object], place: str) -> tuple[Tensor, Tensor]:
    if isinstance(data, IterableDataset) or not isinstance(data, Sized):
        raise DataError(f"{place}: expected {ACCEPTED}, got {type(data).__name__} without a length; read it to tensors")
    if len(data) == 0:
        raise DataError(f"{place} is empty: expected at least one example")
    source: Dataset[object] = data
    rows: list[Tensor] = []
    labels: list[Tensor] = []
    count = len(data)
    for number in range(count):
        item = source[number]
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise DataError(f"{place}, item {number}: expected (x, y), got {type(item).__name__}")
        rows.append(_one_input(item[0], f"{place}, item {number}"))
        label = item[1] if isinstance(item[1], Tensor) else np.asarray(item[1])
        labels.append(_tensor(label, f"{place}, label of item {number}"))
        for what, seen in (("x", rows), ("y", labels)):
            if seen[-1].shape != seen[0].shape:
                shapes = f"{tuple(seen[0].shape)} at item 0 and {tuple(seen[-1].shape)} at item {number}"
                raise DataError(f"{place}: expected {what} of one shape, got {shapes}; bring them to one shape first")
    return torch.stack(rows), torch.stack(labels)


def _one_input(item: object, place: str) -> Tensor:
    """One input of a `Dataset`; an image that is no array (PIL: height, width, channels) with its channels first."""
    if isinstance(item, (Tensor, np.ndarray)) or not hasattr(item, "__array_interface__"):
        return _tensor(item, place)
    pixels = _tensor(np.asarray(item), place)
    return pixels.unsqueeze(0) if pixels.ndim == 2 else pixels.movedim(-1, 0)


def _inputs(x: Tensor, place: str) -> Tensor:
    if x.ndim < 2:
        raise DataError(f"{place}: expected x of shape (N, …), got {tuple(x.shape)}; for one feature use x[:, None]")
    if 0 in x.shape[1:]:
        raise DataError(f"{place}: expected inputs with at least one feature, got x of shape {tuple(x.shape)}")
    if x.dtype == torch.uint8:
        return x.to(torch.float32).div_(255).contiguous()
    return x.to(torch.float32).contiguous()


def _labels(y: Tensor, place: str) -> Tensor:
    if y.ndim != 1:
        mend = "use y[:, 0]" if y.ndim == 2 and y.shape[1] == 1 else "for one-hot labels use y.argmax(1)"
        raise DataError(f"{place}: expected one label per example, y of shape (N,), got {tuple(y.shape)}; {mend}")
    if y.is_floating_point():
        whole = y.to(torch.float64)
        wrong = ~((whole == whole.trunc()) & (whole.abs() < 2**53))
        if wrong.any():
            row = int(wrong.nonzero()[0, 0])
            raise DataError(f"{place}: labels must be whole numbers, got {y[row].item()} at row {row}")
    return y.to(torch.int64)
