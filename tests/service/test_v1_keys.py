"""API keys by HTTP and by command: made, listed, revoked, for an administrator alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lifelong.cli import main
from lifelong.service.home import first_key, open_home
from lifelong.service.running import announced
from lifelong.service.settings import ServeSettings
from lifelong.store import keys

from .painting import AT, Paint, problem

LABEL = {"label": 1, "x": [0, 1, 0]}


def test_a_key_opens_its_scopes_until_it_is_revoked(paint: Paint) -> None:
    client = paint.client
    answer = client.post("/v1/keys", json={"name": "phone", "scopes": ["feedback"], "days": 1})
    made = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert made["expires"] == pytest.approx(made["created"] + 86_400)
    phone = {"Authorization": f"Bearer {made['key']}"}
    assert client.post(f"{AT}/feedback", json=LABEL, headers=phone).status_code == 201
    assert [row["source"] for row in client.get(f"{AT}/feedback").json()] == ["phone"]
    for method, path in (("GET", "/v1/keys"), ("POST", "/v1/keys"), ("DELETE", f"/v1/keys/{made['id']}"),
                         ("GET", "/v1/audit")):  # fmt: skip
        body = {"name": "x", "scopes": ["admin"]} if method == "POST" else None
        assert "'admin'" in problem(client.request(method, path, json=body, headers=phone), 403)
    listed = client.get("/v1/keys")
    assert [(row["name"], row["scopes"]) for row in listed.json()] == [("first", ["admin"]), ("phone", ["feedback"])]
    secret = made["key"].rpartition("_")[2]
    for row in paint.engine.read(keys.listed):
        assert row.hash not in listed.text
    assert secret not in listed.text
    revoked = client.delete(f"/v1/keys/{made['id']}")
    assert revoked.json()["revoked"] is not None
    assert client.delete(f"/v1/keys/{made['id']}").json() == revoked.json(), "twice is once"
    trail = client.get("/v1/audit", params={"verify": True}).json()
    assert [(entry["actor"], entry["action"]) for entry in trail["entries"]][-2:] == [
        ("first", "create key"), ("first", "revoke key")
    ]  # fmt: skip
    assert trail["breaks"] == []
    assert secret not in json.dumps(trail)


def test_keys_that_cannot_be(paint: Paint) -> None:
    for changes in ({"scopes": []}, {"scopes": ["root"]}, {"name": ""}, {"days": 0}, {"hash": "0"}):
        problem(paint.client.post("/v1/keys", json={"name": "x", "scopes": ["admin"], **changes}), 422)
    assert "printable" in problem(paint.client.post("/v1/keys", json={"name": "a\nb", "scopes": ["admin"]}), 400)
    (only,) = paint.client.get("/v1/keys").json()
    assert "last open admin key" in problem(paint.client.delete(f"/v1/keys/{only['id']}"), 409)
    problem(paint.client.delete("/v1/keys/nothing"), 404)
    assert [row["revoked"] for row in paint.client.get("/v1/keys").json()] == [None]


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command prints."""
    with pytest.raises(SystemExit) as ended:
        main(["loop", *arguments])
    told = capsys.readouterr()
    assert ended.value.code == 0, told.err
    return told.out


@pytest.mark.parametrize("running", [False, True])
def test_keys_by_command(
    running: bool, begun: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, settings = shutil.copytree(begun, tmp_path / "home"), ServeSettings(poll_seconds=600)

    def work() -> None:
        at = ("--home", str(home))
        made = json.loads(
            called(capsys, "keys", "create", "phone", "--scope", "predict", "--expires", "1", "--json", *at)
        )
        assert made["scopes"] == ["predict"]
        assert "shown this once" in called(
            capsys, "keys", "create", "app", "--scope", "predict", "--scope", "feedback", *at
        )
        assert made["id"] in called(capsys, "keys", "revoke", made["id"], *at)
        phone, app = (line for line in called(capsys, "keys", "list", *at).splitlines() if "first" not in line)
        assert ["phone" in phone, "revoked" in phone] == [True, True]
        assert ["feedback, predict" in app, app.endswith("open")] == [True, True]
        told = called(capsys, "audit", "--all", "--verify", *at)
        assert [told.count("create key") >= 2, told.count("revoke key"), "the chain holds" in told] == [True, 1, True]

    if not running:
        work()
        return
    with (
        open_home(home, settings, start_worker=False) as opened,
        announced(home, opened.app, settings, "127.0.0.1", 0),
    ):
        monkeypatch.setenv("LIFELONG_KEY", first_key(opened.engine) or "")
        work()
