"""`lifelong demo loop` tells what it promises, over real HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelong.cli import main


def test_the_story_ends_as_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "loop", "--home", str(tmp_path / "home")])
    told = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0, told
    for words in (
        "the trigger input-drift fires",
        "finetune learns the labels and is rejected: task 1 (upright): accuracy 0.",
        "er, the project's method, is promoted: task 2 (lot 2, new): accuracy 0.",
        "requests in all that time 0 failed.",
        "│ 3 * │ 0.9",
    ):
        assert words in told
    with pytest.raises(SystemExit) as again:
        main(["demo", "loop", "--home", str(tmp_path / "home")])
    assert again.value.code == 2, "a home that has a loop is not told over"
    assert "digits" in capsys.readouterr().err
