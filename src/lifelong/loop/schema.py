"""What one input of a project must look like, and the check of those that come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from lifelong.errors import DataError, require

__all__ = ["InputSchema", "Inputs", "holds_truth"]

#: inputs as the model reads them
Inputs: TypeAlias = NDArray[np.float32]

#: what JSON's numbers are written with, and the space around them
NUMBERS = b"0123456789.eE+- \t\r\n"
FLAT = msgspec.json.Decoder(list[float])

WHOLE = {"uint8": (0.0, 255.0), "int64": (-float(2**53), float(2**53))}


@dataclass(frozen=True)
class InputSchema:
    """The shape of one input, the range of its numbers, and whether they are whole.

    Arguments:
        shape: of one input, as in (1, 28, 28).
        low, high: the smallest and the largest number that may occur; None is no limit.
        dtype: float32, or whole numbers: uint8 (0 … 255), int64. The model reads float32 in every case.

    Raises: `SettingError` for an empty shape, sizes below 1, or low above high.

    >>> schema = InputSchema((2,), low=0, high=1)
    >>> schema.check([0.5, 1]).tolist()
    [0.5, 1.0]
    >>> schema.check([0.5, 200])
    Traceback (most recent call last):
    lifelong.errors.DataError: the input holds 200.0 at place 1, expected numbers in 0 … 1; scale it to that range
    """

    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    dtype: Literal["float32", "int64", "uint8"] = "float32"

    def __post_init__(self) -> None:
        require(
            len(self.shape) > 0 and min(self.shape) >= 1,
            f"shape must hold sizes of 1 or more, as in [1, 28, 28], got {list(self.shape)}",
        )
        low, high = self.range
        require(low < high, f"low must be below high, got {low:g} and {high:g}")
        require(math.isfinite(low) or low == -math.inf, f"low must be a number, got {low}")
        require(math.isfinite(high) or high == math.inf, f"high must be a number, got {high}")

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest number that may occur."""
        low, high = WHOLE.get(self.dtype, (-math.inf, math.inf))
        return (low if self.low is None else self.low, high if self.high is None else self.high)

    def check(self, x: object) -> Inputs:
        """One input as an array of `shape`; `DataError` that says what is wrong with it and the mend."""
        return self._checked(x, "the input", self.shape)

    def check_batch(self, x: object) -> Inputs:
        """Inputs (N, *shape), N ≥ 1, as one array; `DataError` names the first wrong one."""
        array = _numbers(x, "the batch")
        if array.ndim == 0 or len(array) == 0 or array.shape[1:] != self.shape:
            raise DataError(
                f"the batch has the shape {list(array.shape)}, expected [N, {', '.join(map(str, self.shape))}] with N "
                "of 1 or more; send a list of inputs, for a single one a list with one"
            )
        try:
            return self._checked(array, "the batch", array.shape)
        except DataError:
            for row, one in enumerate(array):
                self._checked(one, f"input {row} of the batch", self.shape)
            raise

    def check_each(self, many: Sequence[object]) -> list[Inputs | DataError]:
        """For each of many inputs what `check` answers or raises, the range of all looked at together."""
        found = [self._sized(x) for x in many]
        arrays = [array for array in found if not isinstance(array, DataError)]
        try:
            checked = iter(self._ranged(np.stack(arrays), "the input")) if arrays else iter(())
            return [each if isinstance(each, DataError) else next(checked) for each in found]
        except DataError:  # some are wrong: find out which
            return [self._tried(x) for x in many]

    def read_each(self, texts: Sequence[bytes | msgspec.Raw]) -> list[Inputs | DataError]:
        """`check_each` of inputs as texts of JSON.

        Those that are right, nearly always all, are read as one list of numbers: where brackets and commas are those of
        the shape, nothing but the numbers is left to look at, and no list has to be made for every row.
        """
        joined = b",".join(texts)
        if joined.translate(None, NUMBERS) == b",".join([_skeleton(self.shape)] * len(texts)):
            try:
                array = np.asarray(FLAT.decode(b"[" + joined.translate(None, b"[]") + b"]"))
                return list(self._ranged(array.reshape(len(texts), *self.shape), "the input"))
            except (msgspec.DecodeError, ValueError, DataError):  # some are wrong: find out which
                pass
        found = [_value(bytes(text), math.prod(self.shape)) for text in texts]
        checked = iter(self.check_each([value for value in found if not isinstance(value, DataError)]))
        return [value if isinstance(value, DataError) else next(checked) for value in found]

    def _sized(self, x: object) -> NDArray[np.float64] | DataError:
        try:
            return self._shaped(x, "the input", self.shape)
        except DataError as error:
            return error

    def _tried(self, x: object) -> Inputs | DataError:
        try:
            return self.check(x)
        except DataError as error:
            return error

    def _checked(self, x: object, what: str, shape: tuple[int, ...]) -> Inputs:
        return self._ranged(self._shaped(x, what, shape), what)

    def _shaped(self, x: object, what: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        array = _numbers(x, what)
        if array.shape != shape:
            mend = "reshape it" if array.size == math.prod(shape) else "send inputs of that size"
            raise DataError(f"{what} has the shape {list(array.shape)}, expected {list(shape)}; {mend}")
        return array

    def _ranged(self, array: NDArray[np.float64], what: str) -> Inputs:
        _refuse(what, array, ~np.isfinite(array), "finite numbers", "remove or impute NaN and infinity")
        if self.dtype != "float32":
            _refuse(what, array, array != np.floor(array), f"whole numbers ({self.dtype})", "round it")
        low, high = self.range
        wrong = (array < low) | (array > high)
        _refuse(what, array, wrong, f"numbers in {low:g} … {high:g}", "scale it to that range")
        with np.errstate(over="ignore"):
            small = array.astype(np.float32)
        _refuse(what, array, ~np.isfinite(small), "numbers that float32 can hold", "scale it")
        return small


@lru_cache(maxsize=64)
def _skeleton(shape: tuple[int, ...]) -> bytes:
    """JSON of one input without its numbers.

    >>> _skeleton((2, 3))
    b'[[,,],[,,]]'
    """
    inner = _skeleton(shape[1:]) if len(shape) > 1 else b""
    return b"[" + b",".join([inner] * shape[0]) + b"]"


def _value(text: bytes, numbers: int) -> object | DataError:
    """The value in a text of JSON; one with far more values than the `numbers` of an input is not read."""
    values = text.count(b",") + 1
    if values > 10 * numbers + 1000:
        return DataError(f"the input holds {values} values, expected {numbers} numbers; send inputs of that size")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return DataError(f"the input is no JSON: {error}; send lists of numbers")


def holds_truth(x: object) -> bool:
    """Whether `true` or `false` stands among the numbers of nested lists, where NumPy would count it as 1 or 0.

    >>> holds_truth([[1, 0], [True, 0]]), holds_truth([[1, 0], [1.0, 0]])
    (True, False)
    """
    if not isinstance(x, list):
        return isinstance(x, bool)
    kinds = set(map(type, x))
    return bool in kinds or (list in kinds and any(map(holds_truth, x)))


def _numbers(x: object, what: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise DataError(f"{what} is ragged: expected lists of equal lengths ({error}); pad or cut it") from error
    if array.dtype.kind not in "fiu" or holds_truth(x):
        kind = "bool" if array.dtype.kind in "fiu" else array.dtype.name
        raise DataError(f"{what} holds {kind} values, expected numbers; send bare numbers, no null")
    return np.asarray(array, dtype=np.float64)


def _refuse(what: str, array: NDArray[np.float64], wrong: NDArray[np.bool_], expected: str, mend: str) -> None:
    places = np.argwhere(wrong)
    if len(places):
        at = tuple(int(place) for place in places[0])
        place = str(at[0]) if len(at) == 1 else str(list(at))
        raise DataError(f"{what} holds {array[at]} at place {place}, expected {expected}; {mend}")
