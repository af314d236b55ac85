"""The program in a narrow terminal, at Ctrl-C, with its short options, and what a shell completes."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

import lifelong
from lifelong.__main__ import main
from lifelong.cli.completion import methods_like, streams_like
from lifelong.cli.life import life_table
from lifelong.reports import Fitted

NUMBER = re.compile(r"[−+-]?\d+(?:\.\d+)?")


def shown(table: Table, width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(Fitted(table))
    return captured.get()


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80])
def test_no_number_is_cut_however_narrow_the_terminal_is(width: int) -> None:
    table = Table("method", "ACC", "BWT", "calibration error", "stored", caption="percent")
    table.add_column("params", no_wrap=True)
    table.add_row("finetune", "41.65 ±14.32", "−51.2 ±20.1", "0.34621 ±0.0279", "1234567 B", "26.1 k more")
    text = shown(table, width)
    whole = set(NUMBER.findall("41.65 14.32 −51.2 20.1 0.34621 0.0279 1234567 26.1"))
    assert set(NUMBER.findall(text)) <= whole
    assert "…" not in text
    assert "finetune" in text
    left_out = " ".join(text.split()).partition("left out here, for want of room: ")[2]
    assert ("params" in left_out) == ("26.1 k more" not in text)
    assert max(map(len, text.splitlines())) <= max(width, 12)


def test_the_life_of_a_model_is_shown_from_both_ends() -> None:
    tasks = list(range(1, 31))
    life = {
        "tasks": tasks,
        "versions": [{"number": number} for number in (1, 2)],
        "matrix": [[None] * 30, [0.5 + task / 100 for task in tasks]],
    }
    text = " ".join(shown(life_table(life, 2), 60).split())
    assert "1 2 3 4 23 24 25 26 27 28 29 30 " in text
    assert "2* 51 52 53 54 73 74 75 76 77 78 79 80" in text


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == code
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def test_short_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == lifelong.__version__
    for arguments in (["-h"], ["run", "-h"], ["loop", "update", "-h"], ["chapter", "-h"], ["homework", "check", "-h"]):
        assert "Usage:" in said(capsys, *arguments)
    told = said(capsys, "run", "-h")
    for default in ("(the stream's own)", "(finetune, ewc, er, joint)", "(5)", "(one per core)", "docs/defaults.md"):
        assert default in told.replace(" │ │ ", " ")


def test_the_card_of_a_chain(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "methods", "ewc+er")
    for words in ("ewc+er: these methods go together", "Scenarios: task, domain, class", "Needs: labels, memory",
                  "ewc: importance and centre", "er: capacity", "--- ewc ---", "--- er ---"):  # fmt: skip
        assert words in told
    assert "did you mean 'ewc'" in said(capsys, "methods", "ewcc+er", code=2)
    assert "gdumb" in said(capsys, "methods", "gdumb+icarl", code=2)


def test_what_a_shell_completes() -> None:
    assert methods_like("ewc+er") == ["ewc+er", "ewc+er-ace"]
    assert streams_like("noisy-d") == ["noisy-digits"]
    asked = {
        **os.environ,
        "_LIFELONG_COMPLETE": "complete_bash",
        "COMP_WORDS": "lifelong methods onl",
        "COMP_CWORD": "2",
    }
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'lifelong'; from lifelong.__main__ import main; main()"]
    done = subprocess.run(command, env=asked, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["online-ewc"]


@pytest.mark.parametrize(
    ("arguments", "first", "kept"),
    [
        (["chapter", "matrix"], "parts of 1 experiment: ", "finished parts are kept in"),
        (
            ["tune", "rotated-digits", "-m", "er", "--set", "er.capacity=100|200|400", "--epochs", "30"],
            "trials of er on rotated-digits: 20 to do",
            "finished trials are kept in",
        ),
        (["reproduce", "gem"], "runs of the table gem", "finished runs are kept in"),
    ],
)
def test_ctrl_c_says_what_is_kept(arguments: list[str], first: str, kept: str, tmp_path: Path) -> None:
    """A real process and a real SIGINT; whoever started this one may ignore it, and a child inherits that."""
    if arguments[0] == "reproduce" and "LIFELONG_DATA" not in os.environ:
        pytest.skip("the published tables need MNIST: set LIFELONG_DATA")
    process = subprocess.Popen(
        [sys.executable, "-m", "lifelong", *arguments, "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    begun = process.stderr.readline()
    assert begun.startswith(first)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in told
    assert f"stopped; {kept} {tmp_path / 'out'}: the same command goes on from" in told
