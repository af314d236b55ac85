"""Inputs that are read together are what each is alone."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelong.errors import DataError
from lifelong.loop.schema import InputSchema

SCHEMA = InputSchema((2, 3), low=-1, high=100)

right = st.one_of(st.floats(-1, 100), st.integers(-1, 100))
wrong = st.one_of(st.none(), st.booleans(), st.text(max_size=3), st.floats(200, 1e300), st.integers(10**20, 10**400))


def rows(entry: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(st.lists(entry, min_size=3, max_size=3), min_size=2, max_size=2)


shapes = st.recursive(right, lambda inner: st.lists(inner, max_size=4), max_leaves=8).filter(
    lambda value: isinstance(value, list)
)
texts = st.tuples(
    st.one_of(
        rows(right), rows(right), rows(st.one_of(right, st.floats(101, 1e40))), rows(st.one_of(right, wrong)), shapes
    ),
    st.sampled_from([None, 1]),
).map(lambda drawn: json.dumps(drawn[0], indent=drawn[1]).encode())


def alone(text: bytes) -> Any:
    """What `check` makes of it; None where that is an error."""
    with contextlib.suppress(DataError):
        return SCHEMA.check(json.loads(text))
    return None


@given(st.lists(texts, max_size=6))
def test_read_together_is_read_alone(many: list[bytes]) -> None:
    for text, found in zip(many, SCHEMA.read_each(many), strict=True):
        expected = alone(text)
        assert isinstance(found, DataError) == (expected is None)
        if expected is not None:
            assert isinstance(found, np.ndarray)
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, expected)


WRONG = [
    b"[[1,2,3],[4,5]]", b"[[1,2,3],[4,5,6],[]]", b"[]", b"[[1,2,3],[4,5,1e400]]",
    b"[[1,2,3],[4,5,200]]", b'[[1,2,3],[4,5,"6"]]', b"[[1,2,3],[4,5,null]]",
    b"[1,2,3,4,5,6]", b"[[1,2],[3,4],[5,6]]", b"[[1,2],[3,4,5,6]]", b"[[[1,2,3],[4,5,6]]]",
    b"[[1,2,3],[4,5,true]]", b"[[false,2,3],[4,5,6]]",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_one_that_is_wrong_takes_no_other_with_it(text: bytes) -> None:
    good = b"[[0, 1, 2], [3, 4, 5.5]]"
    found = SCHEMA.read_each([good, text, good])
    assert isinstance(found[1], DataError)
    assert alone(text) is None
    assert [math.isclose(float(np.sum(found[place])), 15.5) for place in (0, 2)] == [True, True]  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [b"0", b"[0]", b"[[]]"])
def test_an_input_with_far_more_values_than_the_shape_is_refused_unread(
    value: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = InputSchema((1, 8, 8), 0, 1)
    text = b"[" + b",".join([value] * 1_000_000) + b"]"
    monkeypatch.setattr("lifelong.loop.schema.np.asarray", lambda *_: pytest.fail("it was read"))
    (found,) = schema.read_each([text])
    assert isinstance(found, DataError)
    assert "holds 1000000 values, expected 64 numbers" in str(found)
