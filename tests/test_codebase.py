"""The shape of the code base: public names, what an import costs, and that docs tell of every command."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main

import lifelong
from lifelong.cli.app import app
from lifelong.methods import METHODS
from lifelong.streams import NAMES

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def test_public_names_are_pinned_and_load() -> None:
    assert lifelong.__all__ == [
        "AGEM", "DER", "DERPP", "DGR", "ER", "ERACE", "EWC", "GEM", "GPM", "GSS", "HAT", "L2", "MAS", "MIR", "NCM",
        "OGD", "SCP", "SI", "SLDA", "Chain", "Classes", "DataError", "DivergedError", "Examples", "Field",
        "Finetune", "GDumb", "ICaRL", "Independent", "Joint", "Labels", "Learner", "LifelongError", "LwF", "Method",
        "Numbers", "OnlineEWC", "PackNet", "Progressive", "RWalk", "RanPAC", "ResourceError", "Results",
        "SettingError", "Space", "StorageError", "Stream", "Task", "Tokens", "Training", "XdG", "chapter",
        "from_csv", "from_folder", "reproduce", "run", "split_by_class", "stream", "tune",
    ]  # fmt: skip
    assert dir(lifelong) == sorted(lifelong.__all__), "lifelong.<tab> shows them all"
    assert {kind.__name__ for kind in METHODS.values()} <= set(lifelong.__all__)
    for name in lifelong.__all__:
        assert getattr(lifelong, name) is not None
    with pytest.raises(AttributeError):
        _ = lifelong.nothing  # pyrefly: ignore


def test_every_module_says_what_it_is() -> None:
    for path in SOURCES:
        assert path.read_text().startswith('"""'), f"{path} has no docstring"


def test_importing_the_core_loads_no_heavy_library() -> None:
    code = (
        "import sys, lifelong; assert 'torch' not in sys.modules; from lifelong import Learner, EWC, GEM; "
        "heavy = {'sklearn', 'scipy', 'matplotlib', 'jinja2', 'typer', 'rich', 'pandas', 'PIL'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_is_loaded_in_a_way_that_could_run_code() -> None:
    for path in SOURCES:
        text = re.sub(r"\w\.eval\(", "", path.read_text())
        assert not re.search(r"\bimport pickle\b|torch\.load\(|\beval\(|\bexec\(", text), path


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_every_command_method_and_stream_is_documented(readme: str) -> None:
    text = (ROOT / readme).read_text()
    for command in typer.main.get_command(app).commands:  # pyrefly: ignore
        assert f"lifelong {command}" in text, f"{readme} does not tell of `lifelong {command}`"
    for method in METHODS:
        assert f"`{method}`" in text
    for kind in {name.partition("-")[0] for name in NAMES}:
        assert f"`{kind}-" in text or f"`{kind}`" in text


def test_every_dependency_has_its_reason() -> None:
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = project["dependencies"] + [name for extra in project["optional-dependencies"].values() for name in extra]
    for requirement in listed:
        name = re.split(r"[\[><=]", requirement)[0]
        assert name == "lifelong" or f"`{name}`" in reasons, f"docs/dependencies.md gives no reason for {name}"
