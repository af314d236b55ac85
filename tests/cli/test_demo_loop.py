"""`lifelong demo loop` tells what it promises, over real HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelong.cli import main
from lifelong.service.demonstration import story

#: of the twelve lots: known, drift, poison, upside down with a retrain
SOME = (0, 1, 5, 8)


def test_the_story_ends_as_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = [scene for place, scene in enumerate(story.scenes()) if place in SOME]
    monkeypatch.setattr(story, "scenes", lambda: iter(some))
    monkeypatch.setattr(story, "ENOUGH", len(SOME) - 1)
    with pytest.raises(SystemExit) as ended:
        main(["demo", "loop", "--home", str(tmp_path / "home")])
    told = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0, told
    for words in (
        "A candidate as good as the champion passes its gate with probability 0.9",
        "1. upright digits, as before: ",
        "task 2 (lot 2, new): accuracy 0.",
        "3. a poisoned lot: every label is one too high: ",
        "4. digits upside down: ",
        "after retrain: task 5 (lot 5, new): accuracy 0.",
        "requests in all that time 0 failed.",
        "upside down digits: 46.",
    ):
        assert words in told
    with pytest.raises(SystemExit) as again:
        main(["demo", "loop", "--home", str(tmp_path / "home")])
    assert again.value.code == 2, "a home that has a loop is not told over"
    assert "digits" in capsys.readouterr().err
