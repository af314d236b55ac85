"""`lifelong chapter` as a user meets it: names, folders, and a run that is killed and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lifelong.__main__ import main
from lifelong.chapter import LESSONS, Setup, finished, lesson, run_lessons
from lifelong.chapter.folder import ChapterFolder
from lifelong.errors import StorageError


def code_of(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


def test_the_list_names_every_experiment_in_both_languages(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("chapter") == 0
    english = capsys.readouterr().out
    assert [line.split()[0] for line in english.splitlines()] == list(LESSONS)
    assert code_of("chapter", "--language", "zh") == 0
    chinese = capsys.readouterr().out
    assert all(each.title.zh in chinese and each.title.en in english for each in LESSONS.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("forgeting",), "did you mean 'forgetting'"),
        (("matrix", "--all"), "not both"),
        (("matrix", "--language", "fr"), "en or zh"),
        (("matrix", "--data", "cifar"), "digits or mnist"),
        (("matrix", "--jobs", "0"), "1 or more"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(
    arguments: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of("chapter", *arguments, "--out", str(tmp_path / "out")) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_chapter_or_another_one_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StorageError, match="no chapter"):
        run_lessons([lesson("matrix")], Setup(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    with pytest.raises(StorageError, match="cannot write"):
        run_lessons([lesson("matrix")], Setup(), tmp_path / "letter.txt" / "below")
    ChapterFolder(tmp_path / "own").claim(Setup(seed=1))
    with pytest.raises(StorageError, match="choose another --out"):
        run_lessons([lesson("matrix")], Setup(seed=2), tmp_path / "own")


def test_what_is_finished_is_not_computed_again(tmp_path: Path) -> None:
    folder = ChapterFolder(tmp_path)
    folder.claim(Setup())
    for part in lesson("matrix").parts(Setup()):
        folder.finish("matrix", part, {"kept": part})
    heard: list[str] = []
    run_lessons([lesson("matrix")], Setup(), tmp_path, on_part=lambda _, part, __: heard.append(part))
    assert heard == []


def test_a_killed_run_goes_on_to_the_same_values(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lifelong", "chapter", "landscape", "--jobs", "1", "--out"]
    parts = list(lesson("landscape").parts(Setup()))
    out = tmp_path / "killed"
    first = out / "values" / "landscape" / f"{parts[0]}.json"
    second = out / "scratch" / "landscape" / parts[1]
    process = subprocess.Popen([*command, str(out)], stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 120
    while not (first.exists() and second.exists()) and time.monotonic() < until:
        time.sleep(0.05)  # a worker begins the second part while the first one's values are written
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = first.read_bytes()
    assert not (out / "index.html").exists()
    done = subprocess.run([*command, str(out)], check=True, capture_output=True, text=True)
    assert f"landscape: {parts[0]}" not in done.stderr
    assert first.read_bytes() == kept
    assert (out / "index.html").exists()
    assert not second.exists()
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    for part in parts:
        resumed, whole = (
            json.loads((tmp_path / name / "values" / "landscape" / f"{part}.json").read_text())
            for name in ("killed", "whole")
        )
        assert without_seconds(resumed) == without_seconds(whole)
    values = finished(lesson("landscape"), Setup(), tmp_path / "whole")
    assert values is not None
    assert all(claim.holds for claim in lesson("landscape").show(Setup(), values).claims), "with the default seed"


def without_seconds(values: object) -> object:
    """The values without what a clock measured."""
    if isinstance(values, dict):
        return {key: without_seconds(value) for key, value in values.items() if "seconds" not in key}
    return [without_seconds(value) for value in values] if isinstance(values, list) else values
