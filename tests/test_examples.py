"""Every example runs."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted({*FOLDER.glob("*.py"), *FOLDER.glob("*/main.py")} - {FOLDER / "own_method.py"})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_example_runs(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(path.parent)  # as for `python path`
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out


def test_a_method_outside_the_package_is_checked_and_run(tmp_path: Path) -> None:
    file = FOLDER / "own_method.py"
    assert len(file.read_text().splitlines()) <= 40
    code = "import lifelong.testing as t; print(t.check_method('own_method:Leash')[-1])"
    checked = subprocess.run([sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True, check=True)
    assert checked.stdout.strip() == "check_half_precision"
    command = ["-m", "lifelong", "run", "rotated-digits", "-m", "own_method:Leash", "-m", "finetune", "--tasks", "2"]
    options = ["--seeds", "2", "--epochs", "1", "--jobs", "2", "--json", "--out", str(tmp_path / "out")]
    run = subprocess.run([sys.executable, *command, *options], cwd=FOLDER, capture_output=True, text=True, check=True)
    assert {each["name"] for each in json.loads(run.stdout)["runs"]} == {"leash", "finetune"}
