"""`lifelong homework`: the starter runs, a good method gets a good grade, bad code one sentence with its line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lifelong.__main__ import main
from lifelong.chapter.homework import grade, grading, load_method, rules, write_starter
from lifelong.chapter.homework.starter_files import FILES
from lifelong.evaluation import Record
from lifelong.experiments.reproduce.homework import SEEN

EWC = {
    "strength: float = 0.0": "strength: float = 40.0",
    "        return grad_P\n": """        away_P = step.theta_P - state.centre_P
        return grad_P + 2 * self.strength * state.b_P * away_P
""",
    "        return state\n": """        b_P = torch.zeros_like(state.b_P)
        for n in range(0, len(task), 4):
            one = task.at(slice(n, n + 1))
            loss = learner.objective.loss(learner.model(one.x), one.y, one.task)
            b_P += 4 / len(task) * learner.flat.gradient(loss).square()
        theta_P, total_P = learner.flat.theta_P.detach(), state.b_P + b_P.detach()
        share_P = torch.where(total_P > 0, b_P.detach() / total_P, 1.0)
        return Memory(total_P, torch.lerp(state.centre_P, theta_P, share_P))
""",
}


@pytest.fixture(scope="module")
def references() -> list[Record]:
    """The runs of the other methods, which are the same for every student."""
    return grading.reference_runs()


def code_of(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


def changed(folder: Path, changes: dict[str, str]) -> Path:
    """The starter with some of its text replaced."""
    [file, _] = write_starter(folder)
    text = file.read_text("utf-8")
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text, "utf-8")
    return file


def test_the_starter_is_fine_tuning_gets_a_low_grade_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, references: list[Record]
) -> None:
    monkeypatch.setattr(grading, "reference_runs", lambda jobs: references)
    assert code_of("homework", "start", str(tmp_path / "hw")) == 0
    assert sorted(path.name for path in (tmp_path / "hw").iterdir()) == sorted(FILES)
    capsys.readouterr()
    assert code_of("homework", "check", str(tmp_path / "hw" / "my_method.py")) == 1
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if "±" in line and "95 %" not in line}
    assert list(rows) == ["finetune", "ewc", "er", "joint", "my-method"]
    assert rows["my-method"][:-2] == rows["finetune"][:-2], "untouched it is fine-tuning, bit for bit"
    assert "grade: 20 / 100" in printed
    assert "do the TODOs of `gradient` and `end_task`" in printed


def test_ewc_in_the_students_file_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, references: list[Record]
) -> None:
    monkeypatch.setattr(grading, "reference_runs", lambda jobs: references)
    assert code_of("homework", "check", f"{changed(tmp_path, EWC)}:MyMethod", "--language", "zh") == 0
    printed = capsys.readouterr().out
    assert "分数: 90 / 100" in printed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"        return grad_P\n": "        return grad_P + self.lamda\n"},
            "in gradient: AttributeError: 'MyMethod' object has no attribute 'lamda'\n    return grad_P + self.lamda",
        ),
        ({"        return grad_P\n": "        return grad_P +\n"}, "SyntaxError: invalid syntax\n    return grad_P +"),
        ({"import torch\n": "import helpers_of_mine\nimport torch\n"}, "No module named 'helpers_of_mine'"),
        ({"strength: float = 0.0": 'strength: float = "much"'}, "strength"),
        (
            {"        return 8 * size.parameters\n": "        return 8\n"},
            "breaks the contract of methods: my-method declares",
        ),
        ({"        return grad_P\n": ""}, "my_method.py: the library stopped with"),
        ({"lifelong.Method[Memory]": "list[Memory]"}, "it defines none; write one as a subclass of lifelong.Method"),
        ({'    scenarios = ("domain",)\n': '    scenarios = ("task",)\n'}, "only in task"),
        ({"import torch\n": "import sys\nsys.exit(0)\n"}, "in <module>: SystemExit: 0"),
    ],
)
def test_errors_of_the_student_are_one_sentence_with_the_line(
    changes: dict[str, str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = changed(tmp_path, changes)
    assert code_of("homework", "check", str(file)) == 1
    printed = capsys.readouterr().out
    assert message in printed
    assert "Traceback" not in printed
    assert "grade: 0 / 100" in printed
    if "    return" in message:
        line = file.read_text("utf-8").splitlines().index(f"    {message.splitlines()[-1]}") + 1
        assert printed.startswith(f"my_method.py, line {line}")


def test_a_file_that_is_not_there_is_a_mistake_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of("homework", "check", str(tmp_path / "mine.py")) == 2
    assert "there is no file" in capsys.readouterr().err


def test_start_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README.md").write_text("mine")
    assert code_of("homework", "start", str(tmp_path)) == 2
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_only_the_named_file_is_imported(tmp_path: Path) -> None:
    file = changed(tmp_path, {})
    (tmp_path / "other.py").write_text("raise SystemExit('imported')")
    (tmp_path / "torch.py").write_text("raise SystemExit('imported')")
    code = "import sys, pathlib, lifelong.chapter.homework as h; print(h.load_method(pathlib.Path(sys.argv[1])).name)"
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "my-method"
    assert load_method(file, "MyMethod").name == "my-method"


def test_the_rules_are_those_of_the_task_sheet_and_the_published_table() -> None:
    known = rules(0.5, 0.8, 0.9)
    gains = [100 * (rule.least - 0.5) for rule in known]
    published = [SEEN[name][-1] - SEEN["finetune"][-1] for name in ("ewc", "mas")]
    assert gains[1:] == pytest.approx([*published, 27.0, 35.0])
    sheet = Path(str(sys.modules["lifelong.chapter.homework"].__file__)).parent / "starter" / "README.md"
    for rule in known:
        assert sheet.read_text("utf-8").count(f"\n| {rule.points} | ") == 2
    for gain in published:
        assert f"{gain:.1f} points" in sheet.read_text("utf-8")
        assert f"{gain:.1f} 个百分点" in sheet.read_text("utf-8")


@pytest.mark.parametrize(
    ("own", "points"),
    [
        (0.50, 20),
        (0.522, 20),
        (0.524, 50),
        (0.643, 50),
        (0.644, 70),
        (0.769, 70),
        (0.771, 90),
        (0.849, 90),
        (0.851, 100),
    ],
)
def test_the_grade_rises_with_the_accuracy(own: float, points: int) -> None:
    references = {"finetune": np.full(3, 0.5), "ewc": np.full(3, 0.8), "joint": np.full(3, 0.9)}
    assert grade(np.full(3, own), references).rule.points == points
    noisy = np.array([own - 0.4, own, own + 0.4])
    assert grade(noisy, references).rule.points == 20, "a gain whose interval includes 0 counts as none"
