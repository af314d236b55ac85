"""Exported versions answer as the versions do, with any number of inputs; what cannot be expressed is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lifelong import Learner, stream
from lifelong.errors import DataError, SettingError, StorageError
from lifelong.loop.export import export
from lifelong.loop.learning import Candidate
from lifelong.methods import build

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated:DeprecationWarning")


def version(model: str, method: str, name: str = "rotated-digits", **more: Any) -> Candidate:
    """A learner of two tasks."""
    digits = stream(name, tasks=2, **more)
    learner = Learner(model, build(method), digits.space, iterations=10)
    for task in digits:
        learner.learn(task)
    return Candidate.of(learner)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(13, 1, 8, 8, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("model", "method"), [("mlp:32", "er"), ("cnn", "ewc"), ("linear", "agem")])
def test_torchscript_answers_as_the_version(model: str, method: str, tmp_path: Path, x: torch.Tensor) -> None:
    made = version(model, method)
    assert export(made.data, tmp_path / "model.pt") == "TorchScript"
    found = torch.jit.load(str(tmp_path / "model.pt"))(x)
    torch.testing.assert_close(found, made.learner.logits(x), rtol=1e-4, atol=1e-4)


def test_onnx_answers_as_the_version(tmp_path: Path, x: torch.Tensor) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    made = version("mlp:32", "er")
    assert export(made.data, tmp_path / "model.onnx") == "ONNX"
    found = onnxruntime.InferenceSession(str(tmp_path / "model.onnx")).run(["logits"], {"x": x.numpy()})[0]
    np.testing.assert_allclose(found, made.learner.logits(x).numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ["er", "packnet", "hat", "progressive"])
def test_a_head_per_task_answers_for_the_task_that_is_named(method: str, tmp_path: Path, x: torch.Tensor) -> None:
    made = version("mlp:32", method, "split-digits", scenario="task")
    with pytest.raises(SettingError, match=r"give --task: this version answers for the tasks \[1, 2\], got None"):
        export(made.data, tmp_path / "model.pt")
    export(made.data, tmp_path / "model.pt", task=2)
    found = torch.jit.load(str(tmp_path / "model.pt"))(x)
    torch.testing.assert_close(found, made.learner.logits(x, 2), rtol=1e-4, atol=1e-4)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    made = version("mlp:32", "er")
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=r"should end with .onnx or .pt, got 'model.zip'"):
        export(made.data, tmp_path / "model.zip")
    with pytest.raises(StorageError):
        export(made.data, tmp_path / "file" / "model.pt")
    with pytest.raises(StorageError):
        export(b"no learner", tmp_path / "model.pt")
    with pytest.raises(DataError, match="TorchScript cannot express mlp:32 as slda asks it, nothing is written"):
        export(version("mlp:32", "slda", "split-digits", scenario="class").data, tmp_path / "model.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
