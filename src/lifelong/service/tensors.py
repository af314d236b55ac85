"""Requests and answers as JSON: tensors of the Open Inference Protocol v2, and MLflow's invocations.

References: https://github.com/kserve/open-inference-protocol (specification/protocol/inference_rest.md);
https://mlflow.org/docs/latest/deployment/deploy-model-locally (protocol of /invocations).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from lifelong.errors import DataError
from lifelong.loop import Project
from lifelong.loop.schema import Inputs, InputSchema, holds_truth
from lifelong.service.catalogue import Variant
from lifelong.service.model import Answers

__all__ = [
    "INPUT",
    "OUTPUTS",
    "Answered",
    "Question",
    "describe",
    "read_infer",
    "read_invocation",
    "write_infer",
    "write_invocation",
]

INPUT = "input"
OUTPUTS = ("label", "probabilities", "prediction_id")
DATATYPE = {"float32": "FP32", "int64": "INT64", "uint8": "UINT8"}
WHOLE = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
KNOWN = WHOLE | {"FP16", "FP32", "FP64"}
#: values in a body that belong to no input
BESIDE = 1000
#: the largest numbers that a model reads
EDGE = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False, slots=True)
class Question:
    """What a request asks: inputs (N, *shape) that were checked, the task they belong to, the outputs wanted."""

    x_N: Inputs
    task: int | None = None
    wanted: tuple[str, ...] = OUTPUTS
    id: str | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Answered:
    """Answers, who gave them, and the id of each prediction."""

    version: str
    variant: Variant
    answers: Answers
    ids: list[str]


def read_infer(body: bytes, schema: InputSchema, max_rows: int) -> Question:
    """The question in a request to `…/infer`.

    Raises: `DataError` with the place and the mend.

    >>> body = b'{"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 1]}]}'
    >>> read_infer(body, InputSchema((2,)), 10).x_N.tolist()
    [[0.5, 1.0]]
    """
    request = _object(body, schema, max_rows)
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise DataError(f'expected one tensor, as in "inputs": [{{"name": "{INPUT}", …}}]; {_see("inputs")}')
    tensor = inputs[0]
    if tensor.get("name") != INPUT:
        raise DataError(f"inputs[0].name: expected {INPUT!r}, got {tensor.get('name')!r}")
    kind = tensor.get("datatype")
    if not isinstance(kind, str) or kind not in KNOWN:
        raise DataError(f"inputs[0].datatype: expected one of {', '.join(sorted(KNOWN))}, got {kind!r}")
    array = _array(tensor.get("data"), "inputs[0].data")
    if kind in WHOLE and array.dtype.kind == "f":
        raise DataError(f"inputs[0]: the datatype is {kind}, and the data holds broken numbers; send it as FP32")
    array = _shaped(array, tensor.get("shape"))
    identity = request.get("id")
    if identity is not None and not isinstance(identity, str):
        raise DataError(f"id: expected text, got {identity!r}")
    return Question(checked(array, schema, max_rows), _task(request.get("parameters")), _wanted(request), identity)


def read_invocation(body: bytes, schema: InputSchema, max_rows: int) -> Question:
    """The question in a request to `/invocations`: `inputs`, `instances` (both: a list of inputs) or `dataframe_split`.

    A row of `dataframe_split` holds the numbers of one input, flat; its columns' names are not looked at.

    Raises: `DataError` with the place and the mend.

    >>> read_invocation(b'{"dataframe_split": {"data": [[1, 2, 3, 4]]}}', InputSchema((2, 2)), 10).x_N.shape
    (1, 2, 2)
    """
    request = _object(body, schema, max_rows)
    found = [name for name in ("inputs", "instances", "dataframe_split") if name in request]
    if len(found) != 1:
        raise DataError(f"expected one of inputs, instances and dataframe_split, got {sorted(request) or 'none'}")
    place, data = found[0], request[found[0]]
    if place == "dataframe_split":
        data = data.get("data") if isinstance(data, dict) else None
    elif isinstance(data, dict) and list(data) == [INPUT]:
        data = data[INPUT]
    array = _array(data, place)
    if place == "dataframe_split" and array.ndim == 2 and array.shape[1] == math.prod(schema.shape):
        array = array.reshape(-1, *schema.shape)
    return Question(checked(array, schema, max_rows), _task(request.get("params")))


def write_infer(project: Project, given: Answered, question: Question) -> bytes:
    """The answer to a request to `…/infer`."""
    answers = given.answers
    rows, width = answers.probability_NC.shape
    outputs: list[dict[str, Any]] = []
    for name in question.wanted:
        if name == "probabilities":
            data: Any = answers.probability_NC.ravel()
            outputs.append({"name": name, "shape": [rows, width], "datatype": "FP32", "data": data})
            continue
        data = (
            given.ids if name == "prediction_id" else [project.classes[output] for output in answers.output_N.tolist()]
        )
        outputs.append({"name": name, "shape": [rows], "datatype": "BYTES", "data": data})
    head: dict[str, Any] = {"model_name": project.name, "model_version": given.version}
    if question.id is not None:
        head["id"] = question.id
    answer = {**head, "parameters": {"variant": given.variant}, "outputs": outputs}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def write_invocation(project: Project, given: Answered, question: Question) -> bytes:
    """The answer to a request to `/invocations`; beside MLflow's `predictions` it says who answered."""
    who = {"model_version": given.version, "variant": given.variant, "prediction_id": given.ids}
    return orjson.dumps({"predictions": labels_of(project, given.answers), **who})


def describe(project: Project, versions: Sequence[str]) -> dict[str, Any]:
    """A project's metadata, as `GET /v2/models/{m}` answers."""
    return {
        "name": project.name,
        "versions": list(versions),
        "platform": "lifelong",
        "inputs": [{"name": INPUT, "datatype": DATATYPE[project.input.dtype], "shape": [-1, *project.input.shape]}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1], "parameters": {"classes": list(project.classes)}},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, -1]},
            {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
        ],
    }


def checked(array: NDArray[Any], schema: InputSchema, max_rows: int) -> Inputs:
    """Inputs (N, *shape) as the model reads them; `DataError` from the schema where one of them is wrong.

    Inputs that are right, nearly all, are known by their smallest and largest number (NaN is neither); only what is
    not known to be right goes through the schema, which finds the words.
    """
    if array.ndim and len(array) > max_rows:
        raise DataError(f"{len(array)} inputs in one request, {max_rows} are taken; send them in several requests")
    if schema.dtype == "float32" and array.shape[1:] == schema.shape and array.size:
        low, high = schema.range
        if max(low, -EDGE) <= np.minimum.reduce(array, None) and np.maximum.reduce(array, None) <= min(high, EDGE):
            return np.asarray(array, dtype=np.float32)
    return schema.check_batch(array)


def labels_of(project: Project, answers: Answers) -> list[str]:
    """The name of each answer."""
    return [project.classes[output] for output in answers.output_N.tolist()]


def _object(body: bytes, schema: InputSchema, max_rows: int) -> dict[str, Any]:
    """The JSON object in a body; one with far more values than there may be is refused before it is read."""
    numbers = math.prod(schema.shape)
    most = max_rows * numbers
    if body.count(b",") > most + numbers + max_rows + BESIDE:  # columns and an index may stand beside the inputs
        raise DataError(
            f"the body holds more values than {max_rows} inputs of shape {list(schema.shape)} have, {most}; send "
            "them in several requests"
        )
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        mend = "; NaN and Infinity are no JSON: remove or impute them" if b"NaN" in body or b"Infinity" in body else ""
        raise DataError(f"the body is no JSON: {error}{mend}") from error
    if not isinstance(request, dict):
        raise DataError(f"the body: expected a JSON object, got {type(request).__name__}")
    return request


def _array(data: object, place: str) -> NDArray[Any]:
    if not isinstance(data, list):
        raise DataError(f"{place}: expected a list of numbers, got {'nothing' if data is None else repr(data)[:40]}")
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise DataError(f"{place} is ragged: expected lists of equal lengths; pad or cut it") from error
    kind = "b" if array.dtype.kind in "fiu" and holds_truth(data) else array.dtype.kind
    if kind not in "fiu":
        what = {"O": "null or numbers too large", "U": "text", "b": "true or false"}.get(kind, "others")
        raise DataError(f"{place}: expected numbers alone, found {what}; send numbers without quotes, and no null")
    return array


def _shaped(array: NDArray[Any], shape: object) -> NDArray[Any]:
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise DataError(f"inputs[0].shape: expected a list of sizes, got {shape!r}")
    if list(array.shape) == shape:
        return array
    if array.ndim != 1 or len(array) != math.prod(shape):
        raise DataError(f"inputs[0].data has the shape {list(array.shape)}, its shape says {shape}; make them agree")
    return array.reshape(shape)


def _task(parameters: object) -> int | None:
    if parameters is None:
        return None
    if not isinstance(parameters, dict):
        raise DataError(f"parameters: expected an object, got {parameters!r}")
    task = parameters.get("task")
    if task is not None and type(task) is not int:
        raise DataError(f"parameters.task: expected the number of a task, got {task!r}")
    return task


def _wanted(request: dict[str, Any]) -> tuple[str, ...]:
    outputs = request.get("outputs")
    if not outputs:
        return OUTPUTS
    if not isinstance(outputs, list):
        raise DataError(f"outputs: expected a list of objects with names, got {outputs!r}")
    names: list[str] = []
    for output in outputs:
        name = output.get("name") if isinstance(output, dict) else output
        if name not in OUTPUTS:
            raise DataError(f"outputs: unknown {name!r}; known are {', '.join(OUTPUTS)}")
        names.append(name)
    return tuple(names)


def _see(place: str) -> str:
    return f"GET /v2/models/{{name}} tells of its {place}"
