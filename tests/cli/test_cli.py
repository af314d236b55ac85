"""The command line as a user meets it: real processes where that matters, exit codes, clean streams."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lifelong.__main__ import main


def code_of(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


QUICK = ("run", "permuted-digits", "--tasks", "2", "--epochs", "1", "--model", "mlp:8", "--jobs", "1")


def test_json_is_one_object_on_stdout_and_nothing_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = code_of(
        *QUICK, "-m", "finetune", "-m", "ewc+er", "--seeds", "1", "--set", "ewc.strength=7", "--set", "er.capacity=10",
        "--set", "stream.first_plain=true", "--json", "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert code == 0
    captured = capfd.readouterr()
    found = json.loads(captured.out)
    assert [run["method"] for run in found["runs"]] == ["finetune", "ewc+er"]
    assert found["runs"][1]["settings"]["ewc"]["strength"] == 7.0
    assert found["stream"]["tasks"] == ["original order", "permutation 2"]
    assert "finetune seed 0: ACC" in captured.err


def test_a_run_folder_runs_again_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert code_of(*QUICK, "-m", "finetune", "--seeds", "1", "--out", str(out)) == 0
    first = (out / "runs" / "finetune" / "seed-0.json").read_bytes()
    assert "finetune" in capsys.readouterr().out
    assert code_of("run", str(out), "--jobs", "1") == 0
    assert (out / "runs" / "finetune" / "seed-0.json").read_bytes() == first
    assert code_of("run", str(out / "experiment.toml"), "--jobs", "1", "--out", str(tmp_path / "copy")) == 0
    copied = json.loads((tmp_path / "copy" / "runs" / "finetune" / "seed-0.json").read_text())
    assert copied["matrix"] == json.loads(first)["matrix"]
    assert code_of("report", str(out)) == 0
    page = (out / "report.html").read_text()
    assert "finetune" in page
    assert "lifelong run" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "permuted-digit"), "did you mean 'permuted-digits'"),
        ((*QUICK, "-m", "ewcc"), "did you mean 'ewc'"),
        ((*QUICK, "-m", "ewc", "--set", "ewc.strenght=1"), "did you mean 'strength'"),
        ((*QUICK, "-m", "ewc", "--set", "er.capacity=1"), "must be among -m"),
        ((*QUICK, "-m", "ewc", "--set", "strength"), "METHOD.FIELD=VALUE"),
        ((*QUICK, "--scenario", "online"), "online"),
        ((*QUICK, "--seeds", "x"), "--seeds takes"),
        ((*QUICK, "--head", "two"), "unknown head"),
        ((*QUICK, "--optimizer", "adma"), "did you mean 'adam'"),
        ((*QUICK, "--device", "cuda:99"), "not available"),
        ((*QUICK, "--evaluate", "rarely"), "every, every:K"),
        (("run", "permuted-mnist", "--data-dir", "/nowhere", "-m", "finetune"), "lifelong data fetch mnist"),
        (("run", "missing.toml"), "missing.toml cannot be read"),
        (("report", "/nowhere"), "no run folder"),
        (("methods", "emc"), "did you mean"),
        (("data", "fetch", "mnits"), "mnist"),
    ],
)
def test_mistakes_give_one_message_and_exit_code_2(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(*arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err.replace("\n", " ")
    assert captured.err.count("error") == 1
    assert captured.out == ""


def test_no_space_on_the_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A real file system that is full: a tmpfs of 64 KiB in a namespace of its own."""
    place = tmp_path / "small"
    place.mkdir()
    inside = f"mount -t tmpfs -o size=64k none {place} && {sys.executable} -m lifelong " + " ".join(
        (*QUICK, "-m", "finetune", "--seeds", "1", "--model", "mlp:2000", "--out", str(place / "out"))
    )
    listing = f"; code=$?; find {place} -name '*.tmp' -o -name '*.safetensors' -o -name '*.json'; exit $code"
    shell = ["unshare", "-rm", "bash", "-c", inside + listing]
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs user namespaces to mount a small file system")
    done = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "No space left" in done.stderr
    assert "free some space" in done.stderr.replace("\n", " ")
    assert done.stdout == ""


def test_lists_and_cards(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("streams") == 0
    assert "rotated-fashion-mnist" in capsys.readouterr().out
    assert code_of("methods") == 0
    assert "Kirkpatrick" in capsys.readouterr().out
    assert code_of("methods", "gem") == 0
    assert "Formula:" in capsys.readouterr().out
    assert code_of("methods", "ewc+er", "--language", "zh") == 0
    assert capsys.readouterr().out.splitlines() == [
        "ewc          用弹簧把每个参数拉向过去的值，参数越重要，弹簧越硬。",
        "er           每一批都与蓄水池中抽出的旧样本一起学，合成一个梯度。",
    ]
    assert code_of("streams", "rotated-mnist") == 0
    assert "angles" in capsys.readouterr().out


def test_a_method_that_is_told_the_task_is_called_an_oracle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = "oracle: independent (told the task at test, which the scenario"
    methods = ("-m", "finetune", "-m", "independent", "--seeds", "1")
    for scenario in ("domain", "task"):
        assert code_of(*QUICK, *methods, "--scenario", scenario, "--out", str(tmp_path / scenario)) == 0
        assert (told in " ".join(capsys.readouterr().out.split())) == (scenario != "task")
