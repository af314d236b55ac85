"""`lifelong loop …` without a server: the commands open the home themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace as with_changes
from sqlalchemy import Connection

from lifelong.cli import main
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import LearnerSettings, Project, to_toml
from lifelong.loop.schema import InputSchema
from lifelong.service.client import VARIABLE
from lifelong.service.home import open_engine, open_home
from lifelong.service.running import ADDRESS, announced
from lifelong.service.settings import ServeSettings
from lifelong.store import audit, versions
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
    rows = [json.dumps({"label": 1, "x": x, "key": "a"}), "", json.dumps({"label": "ten", "x": x}), *[""] * 3, "{"]
    labels.write_text("\n".join(rows))
    assert called("loop", "feedback", str(labels), "--home", home) == 1
    told = capsys.readouterr()
    assert told.out == "1 stored, 2 refused\n"
    assert f"{labels}:3: unknown class 'ten'" in told.err, "blank lines are counted"
    assert f"{labels}:7: Input data was truncated" in told.err
    assert called("loop", "feedback", str(tmp_path), "--home", home) == 2
    assert "cannot be read: Is a directory" in capsys.readouterr().err
    assert called("worker", "elsewhere") == 2
    assert "as in http://127.0.0.1:8000, got 'elsewhere'" in capsys.readouterr().err.replace("\n", " ")
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
    head = told.out.split()[-1]
    assert called("loop", "audit", "--known", head, "--home", home) == 0
    assert f"its head is {head}" in capsys.readouterr().out
    assert called("loop", "audit", "--known", "f" * 64, "--home", home) == 1
    assert "the end was cut off" in capsys.readouterr().err


def begun(tmp_path: Path) -> Path:
    """A home with the project and version 1 of it."""
    config, home = tmp_path / "project.toml", tmp_path / "home"
    config.write_text(to_toml(PROJECT))
    assert called("loop", "init", "--home", str(home), "--stream", "rotated-digits", "--config", str(config)) == 0
    return home


def test_the_whole_audit_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = begun(tmp_path)

    def more(connection: Connection) -> None:
        for number in range(1100):
            audit.append(connection, at=1.0, project="digits", actor="ann", action="note", detail={"number": number})

    with open_engine(home) as engine:
        engine.write(more)
        known = engine.read(audit.head)[1]
    capsys.readouterr()
    assert called("loop", "audit", "--verify", "--json", "--home", str(home)) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["seq"] for row in found["entries"]] == list(range(1, 1103))
    assert (found["breaks"], found["head"]) == ([], [1102, known])


def test_going_back_sent_again_goes_back_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = begun(tmp_path)

    def line(connection: Connection) -> str:
        one = versions.listed(connection, "digits")[0]
        two = versions.add(connection, with_changes(one.content(), parent=one.id, task=2), 5.0)
        versions.add(connection, with_changes(one.content(), parent=two.id, task=3), 6.0)
        return two.id

    with open_engine(home) as engine:
        two = engine.write(line)
    at = ("--home", str(home))
    assert called("loop", "promote", "3", *at) == 0
    assert "(revision 2)" in capsys.readouterr().out
    assert called("loop", "rollback", "--revision", "2", *at) == 0
    assert f"{two[:12]} answers now (revision 3, it was 2)" in capsys.readouterr().out
    assert called("loop", "rollback", "--revision", "2", *at) == 2
    assert "at revision 3" in capsys.readouterr().err.replace("\n", " ")
    assert called("loop", "status", *at) == 0
    assert f"version 2 answers ({two[:12]}, revision 3)" in capsys.readouterr().out
    assert called("loop", "rollback", *at) == 0, "without one, it is that of now"
    assert "revision 4, it was 3" in capsys.readouterr().out


def test_a_server_without_keys_is_asked_without_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    home = begun(tmp_path)
    for keys in (False, True):
        settings = ServeSettings(keys=keys)
        with open_home(home, settings) as opened, announced(home, opened.app, settings, "127.0.0.1", 0):
            capsys.readouterr()
            assert called("loop", "status", "--home", str(home)) == (2 if keys else 0)
            told = capsys.readouterr()
            assert ("asks for a key: give --key, or set LIFELONG_KEY" in told.err.replace("\n", " ")) == keys
            assert ("version 1 answers" in told.out) != keys


@pytest.mark.parametrize(
    ("data", "place"), [("é".encode("latin-1"), 19), ("é".encode("utf-16"), 20)], ids=["latin-1", "utf-16"]
)
def test_a_file_that_is_no_utf_8_is_named(
    data: bytes, place: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, labels = tmp_path / "project.toml", tmp_path / "labels.ndjson"
    config.write_bytes(b'name = "digits" # ' + (b"" if place == 19 else b"x") + data)
    begin = ("loop", "init", "--home", str(tmp_path / "home"), "--stream", "rotated-digits", "--config", str(config))
    assert called(*begin) == 2
    assert f"is no UTF-8 (byte {place})" in " ".join(capsys.readouterr().err.split())
    assert called("run", str(config)) == 2
    assert "is no UTF-8" in " ".join(capsys.readouterr().err.split())
    labels.write_bytes('{"label": "1"}'.encode("utf-16"))
    assert called("loop", "feedback", str(labels), "--home", str(tmp_path / "home")) == 2
    assert "is no UTF-8 but UTF-16" in " ".join(capsys.readouterr().err.split())


def test_a_byte_order_mark_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, config, labels = str(tmp_path / "home"), tmp_path / "project.toml", tmp_path / "labels.ndjson"
    config.write_text(to_toml(PROJECT), "utf-8-sig")
    assert called("loop", "init", "--home", home, "--stream", "rotated-digits", "--config", str(config)) == 0
    labels.write_text(json.dumps({"label": "1", "x": digits().test_x[0].tolist()}), "utf-8-sig")
    assert called("loop", "feedback", str(labels), "--home", home) == 0
    assert "1 stored, 0 refused" in capsys.readouterr().out
    labels.write_text("\n".join(json.dumps({"label": 1, "x": [[[shade] * 8] * 8]}) for shade in (0.9, 1.0)))
    assert called("loop", "feedback", str(labels), "--home", home) == 0
    assert "2 stored (2 quarantined), 0 refused" in capsys.readouterr().out
    at = ("loop", "quarantine", "--home", home)
    assert called(*at) == 0
    told = capsys.readouterr().out
    assert told.endswith("2 wait for a person\n")
    assert called(*at, "--accept") == 2
    assert "give a --reason" in " ".join(capsys.readouterr().err.split())
    assert called(*at, "--accept", "--source", "nobody", "--reason", "r") == 0
    assert capsys.readouterr().out == "0 accepted\n"
    assert called(*at, "--accept", "--reason", "a new world") == 0
    assert capsys.readouterr().out == "2 accepted\n"
    assert called(*at) == 0
    assert capsys.readouterr().out == "0 wait for a person\n"


def test_the_name_given_is_the_project_s_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "project.toml"
    config.write_text(to_toml(PROJECT))
    at = ("--home", str(tmp_path / "home"))
    assert called("loop", "init", *at, "--stream", "rotated-digits", "--config", str(config), "--project", "mine") == 0
    assert "project 'mine': version 1" in capsys.readouterr().out
    assert called("loop", "status", *at, "--project", "mine") == 0
