"""`lifelong loop …` without a server: the commands open the home themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifelong.cli import main
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import LearnerSettings, Project, to_toml
from lifelong.loop.schema import InputSchema
from lifelong.service.running import ADDRESS
from lifelong.streams.sources import digits
from lifelong.training import Training

PROJECT = Project(
    "digits",
    InputSchema((1, 8, 8), 0, 1),
    tuple("0123456789"),
    learner=LearnerSettings("linear", training=Training(iterations=100)),
    exam=ExamSettings(0.3, minimum=60),
)


def called(*arguments: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_a_life_by_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, config, labels = str(tmp_path / "home"), tmp_path / "project.toml", tmp_path / "labels.ndjson"
    assert called("loop", "status", "--home", home) == 2
    assert f"lifelong loop init --home {home}" in capsys.readouterr().err.replace("\n", "")
    assert called("loop", "init", "--home", home) == 2
    assert "--stream" in capsys.readouterr().err
    config.write_text(to_toml(PROJECT))
    begin = ("loop", "init", "--home", home, "--stream", "rotated-digits", "--config", str(config))
    assert called(*begin) == 0
    assert called(*begin) == 0, "twice is once"
    assert "version 1" in capsys.readouterr().out
    x = digits().train_x[0].tolist()
    labels.write_text(
        "\n".join(json.dumps(row) for row in ({"label": 1, "x": x, "key": "a"}, {"label": "ten", "x": x}))
    )
    assert called("loop", "feedback", str(labels), "--home", home) == 1
    told = capsys.readouterr()
    assert told.out == "1 stored, 1 refused\n"
    assert f"{labels}:2: unknown class 'ten'" in told.err
    Path(home, ADDRESS).write_text('{"url": "http://127.0.0.1:9", "pid": 0}')  # left by a server that was killed
    assert called("loop", "status", "--home", home, "--json") == 0
    status = json.loads(capsys.readouterr().out)
    assert status["champion"]["number"] == 1
    assert status["feedback"]["accepted"] == 1
    assert called("loop", "status", "--home", home) == 0
    assert "feedback: 1 accepted" in capsys.readouterr().out
    assert called("loop", "update", "--home", home) == 2
    assert "exam" in capsys.readouterr().err
    assert called("loop", "versions", "--home", home) == 0
    assert "*champion*" in capsys.readouterr().out
    assert called("loop", "rollback", "--home", home) == 2
    assert "made from none" in capsys.readouterr().err
    assert called("loop", "promote", "1", "--home", home) == 0
    capsys.readouterr()
    assert called("loop", "audit", "--verify", "--home", home) == 0
    told = capsys.readouterr()
    assert ["create" in told.out, "promote" in told.out, "the chain holds" in told.out] == [True] * 3
