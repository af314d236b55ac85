"""The lesson of the loop: its values come from a real server, and its words know every lot of the story."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelong.chapter import LESSONS, Setup
from lifelong.chapter.lessons import loop
from lifelong.service.demonstration import scenes


def test_the_life_of_three_lots_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SHORT", (1, 2, 6))
    life = LESSONS["loop"].parts(Setup())["life"](tmp_path)
    assert life["lots"][0]["state"] in ("known", "promoted")
    assert life["lots"][1]["state"] == "promoted"
    assert life["versions"] == life["tasks"] == [1, 2, 3, 4]
    assert len(life["matrix"]) == 4
    assert life["after"]["turned by 90 degrees"] > life["before"]["turned by 90 degrees"] + 0.3
    assert life["failed"] == life["breaks"] == 0
    shown = LESSONS["loop"].show(Setup(), {"life": life})
    accuracies = shown.tables[1].in_language("en")[2]
    assert [row[0] for row in accuracies] == ["upright", "turned by 90 degrees"], "of what users sent alone"
    figure = shown.pictures[0].draw("en")
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert (rows[0], rows[2]) == ("v1 online", "v3 online")


def test_every_lot_of_the_story_has_words_in_both_languages() -> None:
    assert {scene.told for scene in scenes()} == set(loop.LOTS)


def test_a_poisoned_lot_that_goes_online_is_said() -> None:
    lots = [
        {"told": "digits turned by 90 degrees", "state": "promoted", "version": 2, "steps": []},
        {"told": "a poisoned lot: every label is one too high", "state": "promoted", "version": 3, "steps": []},
    ]
    worlds = {"upright": 0.9, "turned by 90 degrees": 0.5, "inverted": 0.1, "upside down": 0.1}
    matrix = [[0.9, None, None], [0.9, 0.8, None], [0.4, 0.3, 0.9]]
    life = {
        "versions": [1, 2, 3], "tasks": [1, 2, 3], "matrix": matrix, "lots": lots, "before": worlds,
        "after": {**worlds, "turned by 90 degrees": 0.4}, "asked": 9, "failed": 1, "breaks": 0,
    }  # fmt: skip
    claims = LESSONS["loop"].show(Setup(), {"life": life}).claims
    assert [claim.holds for claim in claims] == [False, False, False, False, True]
    assert "1 of 9 requests failed" in claims[0].sentence.en
    assert "−50.0" in claims[2].sentence.en
    assert claims[3].sentence.en.startswith("The lot of wrong labels went online")
