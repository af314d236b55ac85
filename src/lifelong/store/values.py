"""Plain values as canonical JSON text: one text for one value, so that texts can be hashed and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from lifelong.errors import DataError

__all__ = ["chunks", "decode", "digest", "encode", "same"]

T = TypeVar("T")


def encode(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces; a `msgspec.Raw` as it is.

    >>> encode({"b": [1, 2.5], "a": None})
    '{"a":null,"b":[1,2.5]}'

    Raises: `DataError` for NaN, an infinity, or a value that JSON cannot hold.
    """
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    try:
        text = msgspec.json.encode(value, order="sorted").decode()
        if "null" in text:  # msgspec writes null for NaN and infinity, which must not pass unnoticed
            json.dumps(msgspec.to_builtins(value, str_keys=True), allow_nan=False)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(f"expected a value that JSON can hold (finite numbers, texts, lists, maps): {error}") from error
    return text


def decode(text: str) -> Any:
    """The value of a JSON text.

    >>> decode('{"a":1}')
    {'a': 1}
    """
    return msgspec.json.decode(text)


def digest(value: Any) -> str:
    """The SHA-256 of the canonical JSON, in hex.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(encode(value).encode()).hexdigest()


def same(first: Any, second: Any) -> bool:
    """Whether both are the same value once written as JSON and read again.

    >>> same((1, 2), [1, 2]), same(1, True)
    (True, False)
    """
    return encode(decode(encode(first))) == encode(decode(encode(second)))


def chunks(values: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """`values` in pieces that a statement can name one by one.

    >>> list(chunks([1, 2, 3], size=2))
    [[1, 2], [3]]
    """
    return (values[start : start + size] for start in range(0, len(values), size))
