"""One rule for values, whether they are in memory or read batch by batch.

Inputs become float32, bytes (uint8) become 0 … 1, tokens int64. Targets are what `target` says. What does not fit is
refused with its row and the fix, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from lifelong.errors import DataError
from lifelong.types import Classes, Field, Labels, Numbers, Target, Tokens, Tree

__all__ = [
    "Inputs",
    "check_finite",
    "check_precision",
    "entries",
    "inputs_from",
    "item_tensor",
    "targets_from",
    "tensor_from",
]

#: what the inputs are; None takes them as they come
Inputs: TypeAlias = Field | Mapping[str, Field] | None


def tensor_from(data: Any, place: str) -> Tree:
    """Dense tensors of real numbers on the CPU, sharing memory with `data` where they may; a dict stays a dict.

    Raises:
        DataError: `data` is something else.
    """
    if isinstance(data, Mapping):
        if not data:
            raise DataError(f"{place}: expected a dict of tensors or arrays by name, got an empty one")
        return {str(name): tensor_from(value, f"{place}[{name!r}]") for name, value in data.items()}
    if isinstance(data, Tensor) and data.layout == torch.strided and not data.is_complex():
        return data.detach().cpu()
    if isinstance(data, np.ndarray) and data.dtype.kind in "biuf":
        native = np.float64 if data.dtype.itemsize > 8 else data.dtype.newbyteorder("=")
        array = np.require(data, dtype=native, requirements="C")
        return torch.from_numpy(array if array.flags.writeable else array.copy())
    kind = f"{type(data).__name__} of {data.dtype}" if isinstance(data, (Tensor, np.ndarray)) else type(data).__name__
    raise DataError(f"{place}: expected a dense torch tensor or numpy array of real numbers, got {kind}")


def inputs_from(
    x: Tree, inputs: Inputs, place: str, where: Callable[[int], str] = "row {}".format, tokens: bool = False
) -> Tree:
    """Inputs as a network reads them: float32, bytes as 0 … 1, tokens as int64.

    Args:
        x: A tensor (N, …), or several by name.
        inputs: What they are; None reads int32 and int64 entries of a dict as tokens.
        place: Names the data in errors.
        where: Names a row in errors.
        tokens: Whether one tensor of int64 or int32 is tokens, too.

    Raises:
        DataError: `x` does not fit `inputs`.
    """
    if isinstance(inputs, Mapping) != isinstance(x, dict) and inputs is not None:
        expected = f"inputs by the names {sorted(inputs)}" if isinstance(inputs, Mapping) else "one tensor of inputs"
        shown = f"a dict with {sorted(x)}" if isinstance(x, dict) else "one tensor"
        raise DataError(f"{place}: expected {expected}, got {shown}")
    if isinstance(x, Tensor):
        return _input(x, inputs if isinstance(inputs, Field) else None, place, where, tokens)
    fields = inputs if isinstance(inputs, Mapping) else {}
    if fields and set(fields) != set(x):
        raise DataError(f"{place}: expected inputs by the names {sorted(fields)}, got {sorted(x)}")
    return {
        name: _input(leaf, fields.get(name), f"{place}, x[{name!r}]", where, tokens=True) for name, leaf in x.items()
    }


def _input(x: Tensor, field: Field | None, place: str, where: Callable[[int], str], tokens: bool) -> Tensor:
    if x.ndim < 2:
        raise DataError(f"{place}: expected x of shape (N, …), got {tuple(x.shape)}; for one feature use x[:, None]")
    if 0 in x.shape[1:]:
        raise DataError(f"{place}: expected inputs with at least one feature, got x of shape {tuple(x.shape)}")
    if field is not None and tuple(x.shape[1:]) != tuple(field.shape):
        raise DataError(f"{place}: expected inputs of shape {tuple(field.shape)}, got {tuple(x.shape[1:])}")
    if field is not None and field.vocabulary is not None:
        return _whole(x, field.vocabulary, place, "tokens", where)
    if field is None and tokens and x.dtype in (torch.int64, torch.int32):
        return x.to(torch.int64).contiguous()
    if x.dtype == torch.uint8:
        return x.to(torch.float32).div_(255).contiguous()
    return x.to(torch.float32).contiguous()


def targets_from(y: Tree, target: Target | None, place: str, where: Callable[[int], str] = "row {}".format) -> Tensor:
    """Targets as an objective reads them: classes and tokens int64, numbers and labels float32.

    Raises:
        DataError: `y` is no such target; the message names the first bad row.
    """
    if not isinstance(y, Tensor):
        raise DataError(f"{place}: expected one tensor of targets, got a dict with {sorted(y)}")
    match target:
        case None | Classes():
            return _classes(y, target, place, where)
        case Numbers(count=count):
            y_NC = y[:, None] if y.ndim == 1 and count == 1 else y
            _check_shape(y_NC, count, place, "numbers", f"for one number use Numbers(1); got target {target}")
            check_finite(y_NC.float(), place, where, "y holds")
            return y_NC.to(torch.float32).contiguous()
        case Labels(count=count):
            _check_shape(y, count, place, "labels", "one column of 0 or 1 for each label")
            wrong = ((y != 0) & (y != 1)).any(1).nonzero()[:, 0]
            if len(wrong):
                row = int(wrong[0])
                raise DataError(f"{place}: labels must be 0 or 1, got {y[row].tolist()} at {where(row)}")
            return y.to(torch.float32).contiguous()
        case Tokens(vocabulary=vocabulary):
            if y.ndim != 2:
                raise DataError(f"{place}: expected tokens of shape (N, L), got {tuple(y.shape)}; pad to one length")
            return _whole(y, vocabulary, place, "tokens", where)


def check_precision(
    x_ND: Tensor, place: str, columns: Sequence[str] | None = None, fix: str = "subtract its mean first"
) -> None:
    """Check that float32 can tell the values of every column apart, as it cannot tell seconds since 1970.

    Args:
        x_ND: Inputs as they come; those of at most 24 bits pass.
        place: Names the data in errors.
        columns: Names of the columns.
        fix: What to do.

    Raises:
        DataError: The steps of float32 at the size of a column's values exceed a hundredth of its range.
    """
    if x_ND.dtype not in (torch.float64, torch.int64, torch.int32) or len(x_ND) < 2:
        return
    x_ND = x_ND.flatten(1)
    low_D, high_D = x_ND.amin(0).double(), x_ND.amax(0).double()
    step_D = torch.maximum(low_D.abs(), high_D.abs()) * 2**-23
    for place_D in ((high_D > low_D) & (step_D > (high_D - low_D) / 100)).nonzero()[:, 0].tolist():
        values_N = x_ND[:, place_D]
        if bool((values_N.float().to(x_ND.dtype) != values_N).any()):
            column = f"x[:, {place_D}]" if columns is None else f"column {columns[place_D]!r}"
            raise DataError(
                f"{place}: {column} goes from {values_N.min().item()} to {values_N.max().item()}, where float32 cannot "
                f"tell its values apart; {fix}"
            )


def _classes(y: Tensor, target: Classes | None, place: str, where: Callable[[int], str]) -> Tensor:
    if y.ndim != 1:
        fix = (
            "use y[:, 0]"
            if y.ndim == 2 and y.shape[1] == 1
            else "for one-hot labels use y.argmax(1); other targets are named by target=: Numbers, Labels or Tokens"
        )
        raise DataError(f"{place}: expected one label per example, y of shape (N,), got {tuple(y.shape)}; {fix}")
    if y.is_floating_point():
        whole = y.to(torch.float64)
        wrong = (~((whole == whole.trunc()) & (whole.abs() < 2**53))).nonzero()
        if len(wrong):
            row = int(wrong[0, 0])
            raise DataError(
                f"{place}: labels must be whole numbers, got {y[row].item()} at {where(row)}; "
                "for regression say target=Numbers(1)"
            )
    y_N = y.to(torch.int64)
    count = None if target is None else target.count
    wrong = ((y_N < 0) | (y_N >= count) if count is not None else y_N < 0).nonzero()
    if len(wrong):
        row = int(wrong[0, 0])
        high = "or more" if count is None else f"… {count - 1}"
        raise DataError(f"{place}: labels must be 0 {high}, got {int(y_N[row])} at {where(row)}")
    return y_N


def _check_shape(y: Tensor, count: int, place: str, what: str, fix: str) -> None:
    if y.ndim != 2 or y.shape[1] != count:
        raise DataError(f"{place}: expected {what} of shape (N, {count}), got {tuple(y.shape)}; {fix}")


def _whole(values: Tensor, vocabulary: int, place: str, what: str, where: Callable[[int], str]) -> Tensor:
    if values.is_floating_point() or values.dtype == torch.bool:
        raise DataError(f"{place}: expected {what} of a whole number type, got {values.dtype}; use .long()")
    whole = values.to(torch.int64).contiguous()
    wrong = ((whole < 0) | (whole >= vocabulary)).flatten(1).any(1).nonzero()[:, 0]
    if len(wrong):
        row = int(wrong[0])
        low, high = int(whole[row].min()), int(whole[row].max())
        raise DataError(f"{place}: {what} must be in 0 … {vocabulary - 1}, got {low} … {high} at {where(row)}")
    return whole


def check_finite(x: Tree, place: str, where: Callable[[int], str], what: str = "x holds") -> None:
    for name, leaf in entries(x):
        if leaf.is_floating_point() and not bool(torch.isfinite(leaf).all()):
            row = int((~torch.isfinite(leaf.flatten(1))).any(1).nonzero()[0, 0])
            field = f" in {name!r}" if name else ""
            raise DataError(f"{place}: {what} NaN or infinity{field} at {where(row)}; remove or impute it")


def item_tensor(item: Any, place: str) -> Tree:
    """One x or y of a data set; an image that is no array (PIL: height, width, channels) with its channels first."""
    if isinstance(item, Mapping):
        return {str(name): item_tensor(value, f"{place}[{name!r}]") for name, value in item.items()}
    if isinstance(item, (Tensor, np.ndarray)):
        return tensor_from(item, place)
    if hasattr(item, "__array_interface__"):
        pixels = tensor_from(np.asarray(item), place)
        return pixels.unsqueeze(0) if pixels.ndim == 2 else pixels.movedim(-1, 0)
    if isinstance(item, (bool, int, float, np.generic, list, tuple)):
        try:
            return tensor_from(np.asarray(item), place)
        except ValueError as error:
            raise DataError(f"{place}: expected numbers of one shape, got {error}; pad them to one length") from error
    raise DataError(f"{place}: expected a tensor, an array, a PIL image or a number, got {type(item).__name__}")


def entries(tree: Any) -> list[tuple[str, Any]]:
    """The names and values of a dict, or ("", value) for what is none."""
    return list(tree.items()) if isinstance(tree, Mapping) else [("", tree)]
