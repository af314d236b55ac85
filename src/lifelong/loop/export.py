"""A version as a file that runs without this library: ONNX, or TorchScript."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lifelong.errors import DataError, ResourceError, require
from lifelong.loop.learning import opened
from lifelong.store.files import write_atomically
from lifelong.training import Learner

__all__ = ["KINDS", "check_name", "export"]

#: what the name of the file ends with → what is written
KINDS = {".onnx": "ONNX", ".pt": "TorchScript"}
#: how far the file's answers may be from the learner's: other libraries sum in another order
CLOSE = 1e-4

#: inputs to the logits that a file gives
Run: TypeAlias = Callable[[Tensor], NDArray[np.float32]]


class Answers(nn.Module):
    """Inputs x (N, …) to the logits (N, C) that `Learner.logits` gives, −∞ for outputs that do not count for `task`."""

    def __init__(self, learner: Learner, task: int | None) -> None:
        super().__init__()
        self.model = learner.model.eval()
        self._learner, self._task = learner, task or 0

    def forward(self, x: Tensor) -> Tensor:
        learner = self._learner
        logits_NC = learner.forward_raw(x, self._task)
        return learner.objective.masked(logits_NC.float(), self._task)


def check_name(path: Path) -> None:
    """`SettingError` for a name that does not say what is to be written.

    >>> check_name(Path("model.onnx"))
    """
    require(path.suffix in KINDS, f"the file should end with {' or '.join(KINDS)}, got {path.name!r}")


def export(data: bytes, path: Path, task: int | None = None) -> str:
    """Write the version whose bytes are `data` to `path`, and return what kind of file that is.

    The kind follows the name: `.onnx` or `.pt` (TorchScript). The input is `x` (N, …) with any N, the output `logits`
    (N, C). Before the file takes its place, it is run on random inputs beside the learner: it must say the same.

    Arguments: `task`: for models with a head per task, the one that the file answers for.

    Raises: `SettingError` for another ending, and a task that is missing or was never learned; `ResourceError` where
        the extra `onnx` is not installed; `StorageError` where the file cannot be written; `DataError` for a network
        that cannot be expressed in this form.
    """
    check_name(path)
    learner = opened(data)
    shape = learner.space.input_shape
    require(shape is not None, "the version does not know the shape of its inputs")
    assert shape is not None
    if learner.objective.scenario == "task":
        known = sorted(learner.objective.classes)
        require(task in known, f"give --task: this version answers for the tasks {known}, got {task}")
    write = _onnx if path.suffix == ".onnx" else _torchscript
    generator = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), quietly():
        made = Path(folder) / path.name
        try:
            run = write(Answers(learner, task), torch.rand(2, *shape, generator=generator), made)
            same = all(_same(learner, run, torch.rand(count, *shape, generator=generator), task) for count in (1, 7))
        except ResourceError:
            raise
        except Exception as error:  # the exporters have no error of their own for what they cannot express
            raise DataError(f"{_cannot(learner, path)}: {str(error).splitlines()[0]}") from error
        if not same:
            raise DataError(f"{_cannot(learner, path)}: the file would answer otherwise than the version")
        write_atomically(path, made.read_bytes(), "another name")
    return KINDS[path.suffix]


def _torchscript(answers: Answers, x: Tensor, path: Path) -> Run:
    torch.jit.save(torch.jit.trace(answers, (x,), check_trace=False), str(path))
    loaded = torch.jit.load(str(path))
    return lambda x: loaded(x).numpy()


def _onnx(answers: Answers, x: Tensor, path: Path) -> Run:
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ResourceError(f"ONNX needs {', '.join(missing)}: pip install 'lifelong[onnx]', or write a .pt file")
    torch.onnx.export(
        answers,
        (x,),
        str(path),
        input_names=["x"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("N")},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    session = import_module("onnxruntime").InferenceSession(str(path))
    return lambda x: np.asarray(session.run(None, {"x": x.numpy()})[0])


def _same(learner: Learner, run: Run, x: Tensor, task: int | None) -> bool:
    expected, found = learner.logits(x, task).numpy(), run(x)
    return found.shape == expected.shape and np.allclose(found, expected, rtol=CLOSE, atol=CLOSE)


def _cannot(learner: Learner, path: Path) -> str:
    return (
        f"{KINDS[path.suffix]} cannot express {learner.model_name} as {learner.method.name} asks it, nothing is written"
    )


@contextmanager
def quietly() -> Iterator[None]:
    """Without the exporters' warnings about themselves."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
