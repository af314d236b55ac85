"""Questions and answers as JSON: what is read, what is refused and how, and that nothing else ever happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifelong.errors import DataError
from lifelong.loop.schema import InputSchema
from lifelong.service.tensors import checked, read_infer, read_invocation

SCHEMA = InputSchema((2, 3), low=-1, high=1)
ROW = [0.0, 0.5, -1, 1, 0, 0]


def tensor(**changes: Any) -> bytes:
    right = {"name": "input", "shape": [1, 2, 3], "datatype": "FP32", "data": ROW}
    return orjson.dumps({"inputs": [{**right, **changes}]})


def test_flat_and_nested_data_are_the_same() -> None:
    nested = read_infer(tensor(data=[[ROW[:3], ROW[3:]]]), SCHEMA, 10).x_N
    flat = read_infer(tensor(), SCHEMA, 10).x_N
    assert flat.shape == (1, 2, 3)
    assert flat.dtype == np.float32
    np.testing.assert_array_equal(flat, nested)
    np.testing.assert_array_equal(flat.ravel(), np.asarray(ROW, dtype=np.float32))


@pytest.mark.parametrize("value", ["0", "[0]", '"a"', "null"])
def test_a_body_with_far_more_values_than_inputs_have_is_refused_unread(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifelong.service.tensors.orjson.loads", lambda _: pytest.fail("it was read"))
    data = ",".join([value] * 2_000_000)
    for read, body in (
        (read_infer, f'{{"inputs": [{{"name": "input", "shape": [1, 2, 3], "datatype": "FP32", "data": [{data}]}}]}}'),
        (read_invocation, f'{{"inputs": [{data}]}}'),
    ):
        with pytest.raises(DataError, match=r"more values than 10 inputs of shape \[2, 3\] have, 60; send"):
            read(body.encode(), SCHEMA, 10)


def test_as_many_inputs_as_may_come_with_columns_and_an_index_are_read() -> None:
    frame = {"columns": ["c"] * 6, "index": list(range(50)), "data": [ROW] * 50}
    assert read_invocation(orjson.dumps({"dataframe_split": frame}), SCHEMA, 50).x_N.shape == (50, 2, 3)


def test_whole_numbers_are_read_as_what_the_model_reads() -> None:
    question = read_infer(tensor(datatype="INT64", data=[0, 1, -1, 1, 0, 0]), SCHEMA, 10)
    assert question.x_N.dtype == np.float32
    pixels = InputSchema((2,), dtype="uint8")
    body = tensor(datatype="UINT8", shape=[1, 2], data=[0, 255])
    assert read_infer(body, pixels, 10).x_N.tolist() == [[0, 255]]
    with pytest.raises(DataError, match=r"256.*expected numbers in 0 … 255"):
        read_infer(tensor(datatype="INT64", shape=[1, 2], data=[0, 256]), pixels, 10)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "the body is no JSON"),
        (b'{"inputs": [NaN]}', "NaN and Infinity are no JSON: remove or impute them"),
        (b"[]", "expected a JSON object, got list"),
        (b"{}", "expected one tensor"),
        (b'{"inputs": [{}, {}]}', "expected one tensor"),
        (tensor(name="x"), "expected 'input', got 'x'"),
        (tensor(datatype="BYTES"), "expected one of FP16, .* got 'BYTES'"),
        (tensor(datatype="INT8"), "holds broken numbers; send it as FP32"),
        (tensor(data=None), "expected a list of numbers, got nothing"),
        (tensor(data=7), "expected a list of numbers, got 7"),
        (tensor(data=["0", *ROW[1:]]), "found text; send numbers without quotes"),
        (tensor(data=[None, *ROW[1:]]), "found null"),
        (tensor(data=[True] * 6), "found true or false"),
        (tensor(data=[True, *ROW[1:]]), "found true or false"),
        (tensor(data=[[1.0], [1.0, 2.0]]), "ragged"),
        (tensor(data=[2.0, *ROW[1:]]), r"input 0 of the batch holds 2\.0 at place \[0, 0\].*scale it"),
        (tensor(data=[1e300, *ROW[1:]]), "expected numbers in -1 … 1"),
        (tensor(data=ROW[1:]), r"has the shape \[5\], its shape says \[1, 2, 3\]"),
        (tensor(shape=[1, 6]), r"the shape \[1, 6\], expected \[N, 2, 3\]"),
        (tensor(shape=[2, 3]), r"the shape \[2, 3\], expected \[N, 2, 3\]"),
        (tensor(shape=[0, 2, 3], data=[]), "with N of 1 or more"),
        (tensor(shape=None), "expected a list of sizes, got None"),
        (tensor(shape=[True, 2, 3]), "expected a list of sizes"),
        (tensor(shape=[11, 2, 3], data=ROW * 11), "11 inputs in one request, 10 are taken"),
        (
            orjson.dumps({**orjson.loads(tensor()), "outputs": [{"name": "colour"}]}),
            "unknown 'colour'; known are label",
        ),
        (orjson.dumps({**orjson.loads(tensor()), "outputs": "label"}), "expected a list of objects"),
        (orjson.dumps({**orjson.loads(tensor()), "id": 3}), "id: expected text"),
        (orjson.dumps({**orjson.loads(tensor()), "parameters": {"task": "one"}}), "the number of a task, got 'one'"),
        (orjson.dumps({**orjson.loads(tensor()), "parameters": 3}), "expected an object"),
    ],
)
def test_wrong_questions_are_refused_with_the_mend(body: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_infer(body, SCHEMA, 10)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
odd = st.fixed_dictionaries(
    {"name": st.just("input") | values, "shape": st.just([1, 2, 3]) | values, "datatype": st.just("FP32") | values},
    optional={"data": st.just(ROW) | values},
)
requests = st.fixed_dictionaries(
    {"inputs": st.lists(odd, min_size=1, max_size=1) | values}, optional={"outputs": values, "parameters": values}
)


@given(requests | values)
def test_any_json_is_a_question_or_a_refusal(request: Any) -> None:
    for read in (read_infer, read_invocation):
        try:
            question = read(orjson.dumps(request), SCHEMA, 10)
        except DataError:
            continue
        assert question.x_N.shape[1:] == SCHEMA.shape
        assert np.isfinite(question.x_N).all()


@given(
    st.lists(st.floats(width=64) | st.sampled_from([-1.0, 1.0, 1e39, -1e39]), min_size=2, max_size=2),
    st.sampled_from([InputSchema((2,)), InputSchema((2,), low=-1, high=1), InputSchema((2,), low=0)]),
)
def test_the_short_check_agrees_with_the_schema(row: list[float], schema: InputSchema) -> None:
    def outcome(check: Callable[[], Any]) -> str:
        try:
            return str(check().tolist())
        except DataError as error:
            return str(error)

    short = outcome(lambda: checked(np.array([row]), schema, 10))
    assert short == outcome(lambda: schema.check_batch(np.array([row])))


@pytest.mark.parametrize(
    "request_",
    [
        {"inputs": [[ROW[:3], ROW[3:]]]},
        {"inputs": {"input": [[ROW[:3], ROW[3:]]]}},
        {"instances": [[ROW[:3], ROW[3:]]]},
        {"dataframe_split": {"columns": list("abcdef"), "data": [ROW]}},
    ],
)
def test_invocations_of_every_form_are_the_same(request_: dict[str, Any]) -> None:
    question = read_invocation(orjson.dumps({**request_, "params": {"task": 2}}), SCHEMA, 10)
    np.testing.assert_array_equal(question.x_N.ravel(), np.asarray(ROW, dtype=np.float32))
    assert question.task == 2


def test_invocations_name_what_they_are() -> None:
    with pytest.raises(DataError, match="expected one of inputs, instances and dataframe_split"):
        read_invocation(b'{"inputs": [], "instances": []}', SCHEMA, 10)
    with pytest.raises(DataError, match="dataframe_split: expected a list"):
        read_invocation(b'{"dataframe_split": 3}', SCHEMA, 10)
