"""Objects from outside: import paths, entry points, and what is never imported."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import lifelong
from lifelong import Learner, SettingError, Space
from lifelong.cli.app import app
from lifelong.loop.project import from_toml
from lifelong.methods import EWC, as_method, build, method_class
from lifelong.models import build as build_model
from lifelong.plugins import entry_points, find, import_path_of, load_object

MODULE = """
from dataclasses import dataclass
import torch
from lifelong.methods.base import Method, NoState
from lifelong import Stream

def network(space):
    return torch.nn.Linear(space.features, space.classes)

def bare():
    return torch.nn.Linear(4, 2)

def many(space, width):
    return torch.nn.Linear(width, 2)

def nothing():
    return 3

module = torch.nn.Linear(4, 2)

class Net(torch.nn.Module):
    def __init__(self, space, width=3):
        super().__init__()
        self.layer = torch.nn.Linear(space.features, space.classes)
    def forward(self, x):
        return self.layer(x)

@dataclass(frozen=True)
class Halved(Method[NoState]):
    factor: float = 0.5
    name = "halved"
    family = "bounds"
    reference = "-"
    @property
    def state_type(self):
        return NoState
    def gradient(self, state, step, grad_P):
        return grad_P.mul_(self.factor)

def tasks(count=2, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(40, 4, generator=g)
    y = (x[:, 0] > 0).long()
    return Stream.from_datasets([((x + i, y), (x + i, y)) for i in range(count)])

def worst(decisions, targets):
    return float((decisions != targets).float().mean())
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module outside the package that can be imported here, and in worker processes."""
    (tmp_path / "outside_module.py").write_text(MODULE)
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('oh')")
    (tmp_path / "needy_module.py").write_text("import surely_not_installed")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "outside_module"
    for name in ("outside_module", "broken_module", "needy_module"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.nets:resnet", "no module 'nowhere'.*PYTHONPATH"),
        ("outside_module.more:resnet", "no module 'outside_module.more'"),
        ("outside_module:netwrok", "no 'netwrok'; did you mean 'network'"),
        ("broken_module:f", "failed with RuntimeError: oh"),
        ("needy_module:f", "needs 'surely_not_installed', which is not installed"),
        ("outside_module:many", r"needs space, width; give defaults|needs width"),
        ("outside_module:nothing", "gave 3; expected a torch.nn.Module"),
        ("outside_module:module", "Linear; expected a function"),
    ],
)
def test_a_wrong_path_is_one_sentence_with_its_fix(mine: str, path: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Learner(path, None, Space((4,), 2))


@pytest.mark.parametrize("name", ["network", "bare", "Net"])
def test_a_model_by_path_is_the_function_itself_and_follows_the_seed(mine: str, name: str) -> None:
    path, space = f"{mine}:{name}", Space((4,), 2)
    function = load_object(path, "model")
    one, same, other = (Learner(model, None, space, seed=s) for model, s in ((path, 1), (function, 1), (path, 2)))
    assert torch.equal(one.flat.theta_P, same.flat.theta_P)
    assert not torch.equal(one.flat.theta_P, other.flat.theta_P)


def test_methods_by_path_by_class_and_by_name(mine: str) -> None:
    assert as_method(f"{mine}:Halved").settings() == ("factor",)
    assert build(f"{mine}:Halved+er", {f"{mine}:Halved": {"factor": "0.25"}}, import_paths=True).name == "halved+er"
    assert as_method(EWC) == as_method("EWC") == as_method("ewc") == EWC()
    assert Learner("linear", "ewc", Space((4,), 2)).method == Learner("linear", EWC, Space((4,), 2)).method
    with pytest.raises(SettingError, match="expected the name of a class that derives from"):
        method_class(f"{mine}:network", import_paths=True)
    with pytest.raises(SettingError, match="a method is a name"):
        Learner("linear", 3, Space((4,), 2))  # pyrefly: ignore


def test_streams_by_path_take_their_settings_and_the_seed(mine: str) -> None:
    stream = lifelong.stream(f"{mine}:tasks", count="3", seed=4)
    assert len(stream) == 3
    assert not torch.equal(stream.task(1).test.x, lifelong.stream(f"{mine}:tasks", seed=5).task(1).test.x)
    with pytest.raises(SettingError, match="did you mean 'count'"):
        lifelong.stream(f"{mine}:tasks", cuont=3)
    with pytest.raises(SettingError, match=r"expected a lifelong.Stream"):
        lifelong.stream(f"{mine}:nothing")


def test_no_file_and_no_request_says_what_is_imported(mine: str, tmp_path: Path) -> None:
    path = f"{mine}:network"
    Learner(path, None, Space((4,), 2)).save(tmp_path / "learner.safetensors")
    sys.modules.pop(mine)
    with pytest.raises(SettingError, match=r"outside_module:network\): give load\(…, model=…\)"):
        Learner.load(tmp_path / "learner.safetensors")
    for named in (lambda: build(f"{mine}:Halved"), lambda: build_model(path, Space((4,), 2))):
        with pytest.raises(SettingError, match="not from a file or a request"):
            named()
    project = 'name = "p"\nclasses = ["a", "b"]\n[input]\nshape = [4]\n[learner]\nmodel = "outside_module:network"\n'
    with pytest.raises(SettingError, match=r"learner.model must be a model that lifelong knows"):
        from_toml(project)
    assert mine not in sys.modules
    assert Learner.load(tmp_path / "learner.safetensors", model=path).model_name == path


def test_installed_packages_register_by_entry_points(mine: str, tmp_path: Path) -> None:
    info = tmp_path / "thirdparty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[lifelong.methods]\nhalved = {mine}:Halved\nbroken = broken_module:Method\n"
        f"[lifelong.models]\nnetwork = {mine}:network\n[lifelong.streams]\ntwo = {mine}:tasks\n"
    )
    assert set(entry_points("method")) >= {"halved", "broken"}
    assert build("halved").name == "halved", "a name in a file may be an entry point: installing it was the word"
    learner = Learner("network", "halved", Space((4,), 2))
    for task in lifelong.stream("two"):
        learner.learn(task)
    listed = CliRunner().invoke(app, ["methods"]).output
    assert all(word in listed for word in ("broken", "halved", "thirdparty")), (
        "a broken one is listed, and an error when it is used"
    )
    assert "registered by thirdparty" in CliRunner().invoke(app, ["streams"]).output
    assert "Halved(" in CliRunner().invoke(app, ["methods", f"{mine}:Halved"]).output
    with pytest.raises(SettingError, match="broken_module failed with RuntimeError"):
        find("broken", "method")
    with pytest.raises(SettingError, match="unknown method 'halvde'"):
        build("halvde")


def test_the_path_of_an_object_leads_back_to_it(mine: str) -> None:
    assert import_path_of(load_object(f"{mine}:Net", "model")) == f"{mine}:Net"
    assert import_path_of(lambda: None) is None
