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
        "A candidate as good as the champion passes its gate with probability 0.9",
        "1. upright digits, as before: known: task 2 (lot 2, new): accuracy 0.",
        "6. a poisoned lot: every label is one too high: ",
        "after retrain: task 10 (lot 10, new): accuracy 0.",
        "12. upright digits, as before: ",
        "requests in all that time 0 failed.",
        "upside down digits: 46.",
    ):
        assert words in told
    with pytest.raises(SystemExit) as again:
        main(["demo", "loop", "--home", str(tmp_path / "home")])
    assert again.value.code == 2, "a home that has a loop is not told over"
    assert "digits" in capsys.readouterr().err
