"""The line of progress: on a real terminal, and nothing anywhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

LEARN = """
import lifelong
stream = lifelong.stream("permuted-digits", tasks=1)
learner = lifelong.Learner("mlp:8", None, stream.space, epochs=2)
learner.learn(stream.task(1){more})
lifelong.run("permuted-digits", "finetune", tasks=1, seeds=1, epochs=2, model="mlp:8", jobs=1{more})
"""


def on_a_terminal(code: str) -> str:
    """What a program writes to a stderr that is a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", code], stderr=slave, stdout=subprocess.DEVNULL)
    os.close(slave)
    written = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # Linux says so that the other side is closed
            break
        if not piece:
            break
        written += piece
    os.close(master)
    assert process.wait() == 0, written.decode()
    return written.decode()


def test_learn_and_run_show_a_line_on_a_terminal() -> None:
    written = on_a_terminal(LEARN.format(more=""))
    assert "task 1 epoch" in written
    assert "/1 runs" in written
    assert written.endswith("\x1b[K"), "the line is wiped at the end"


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_written_where_nobody_looks_or_wants_it(terminal: bool) -> None:
    if terminal:
        assert on_a_terminal(LEARN.format(more=", progress=False")) == ""
        return
    done = subprocess.run([sys.executable, "-c", LEARN.format(more="")], capture_output=True, text=True, check=True)
    assert done.stderr == ""
