"""What goes wrong around a server: nothing that was acknowledged is lost, and the champion goes on answering."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loop_clients import AT, Account, Caller, Crowd, RefusedError, examples
from loop_server import PROJECT, Forked, Life, learn_here, prepare, started
from loop_verify import Verifier, at_rest
from waiting import decided, joined, until

from lifelong.loop import train
from lifelong.loop.gate import Gate
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import MethodChoice
from lifelong.loop.quarantine import Rules
from lifelong.loop.trainer import Trainer
from lifelong.service.client import Server as Client
from lifelong.service.worker import work_for
from lifelong.streams.sources import digits

from ..conftest import Server

LABELS = [{**body, "key": f"k{number}"} for number, body in enumerate(examples())]

Home = tuple[Path, str]


@contextlib.contextmanager
def serving(servers: Forked, key: str) -> Iterator[tuple[Life, Caller]]:
    """A server and a client of it; in the end it is killed."""
    server = started(servers)
    try:
        with Caller(server.url, key) as caller:
            yield server, caller
    finally:
        with contextlib.suppress(ProcessLookupError):
            servers.end(server.pid)


def predict(caller: Caller, x: object = LABELS[0]["x"]) -> dict[str, Any]:
    """Version, label and id of one prediction."""
    tensor = {"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": [x]}
    body = caller.ask("POST", "/v2/models/digits/infer", {"inputs": [tensor]})
    return {"version": body["model_version"], **{each["name"]: each["data"][0] for each in body["outputs"]}}


def champion(caller: Caller) -> dict[str, Any]:
    """The alias."""
    found: dict[str, Any] = caller.ask("GET", f"{AT}/aliases/champion")
    return found


def asked(account: Account, caller: Caller, bodies: list[dict[str, Any]]) -> None:
    """Send these, which are refused because nothing can be stored."""
    for body in bodies:
        with pytest.raises(RefusedError, match=r"503 .*nothing of it was stored|503 .*send again"):
            caller.ask("POST", f"{AT}/feedback", body)
    assert account.unknown == {}


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 6 MiB; skipped where this user may not mount one."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("may not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that leaves no room."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65536, 512):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    return path


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(
    prepared: Home, forking: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        home, key = disk / "home", prepared[1]
        subprocess.run(["cp", "-r", str(prepared[0]), str(home)], check=True)
        servers, account, verifier = Forked(home, forking), Account(), Verifier(home)
        with serving(servers, key) as (server, caller):
            account.send(caller, LABELS[:50])
            filler = fill(disk)
            asked(account, caller, LABELS[50:52])
            with pytest.raises(RefusedError, match="503"):
                caller.ask("POST", f"{AT}/feedback:batch", b"\n".join(json.dumps(each).encode() for each in LABELS))
            assert predict(caller)["version"] == champion(caller)["version"], "it goes on answering"
            filler.unlink()
            account.send(caller, LABELS[50:100])
            assert len(account.acknowledged) == 100
            row = decided(caller, caller.ask("POST", f"{AT}/updates", {})["id"])
            assert row["state"] == "promoted", row["decision"]
            verifier.look(caller, account, whole=True)
            assert verifier.stored == 100
            assert servers.end(server.pid, signal.SIGTERM) == 0
        assert verifier.faults + at_rest(home) == []


def test_files_that_may_not_grow_are_the_same_for_every_user(loop_home: Home, forking: subprocess.Popen[bytes]) -> None:
    home, key = loop_home
    servers, account, verifier = Forked(home, forking, {"worker": False}), Account(), Verifier(home)
    with serving(servers, key) as (server, caller):
        account.send(caller, LABELS[:50])
        written = (home / "lifelong.db-wal").stat().st_size
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (written, resource.RLIM_INFINITY))
        asked(account, caller, LABELS[50:52])
        assert predict(caller)["version"] == champion(caller)["version"]
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        account.send(caller, LABELS[50:52])
        verifier.look(caller, account, whole=True)
        assert (verifier.stored, len(account.acknowledged)) == (52, 52)
    assert verifier.faults + at_rest(home) == []


def test_a_database_that_goes_and_comes_back(
    forking: subprocess.Popen[bytes], postgres: Server, database: str, tmp_path: Path
) -> None:
    if postgres.handle is None:
        pytest.skip("somebody else runs this PostgreSQL")
    home = tmp_path / "home"
    key = prepare(home, database)
    servers, account, verifier = Forked(home, forking, {"database": database}), Account(), Verifier(home)
    with serving(servers, key) as (_, caller):
        account.send(caller, LABELS[:50])
        before = predict(caller)["version"]
        postgres.handle.stop()
        try:
            asked(account, caller, LABELS[50:52])
            end = time.monotonic() + 4.5  # longer than a key is remembered
            while time.monotonic() < end:
                assert predict(caller)["version"] == before
                time.sleep(0.1)
            with pytest.raises(RefusedError, match=r"401|503"), Caller(caller.url, "lifelong_unknown") as stranger:
                predict(stranger)
        finally:
            postgres.handle.start()
        account.send(caller, LABELS[50:52])
        assert len(account.acknowledged) == 52
        assert predict(caller)["version"] == before
        verifier.look(caller, account, whole=True)
        assert verifier.stored == 52
    assert verifier.faults + at_rest(home, database) == []


def test_a_damaged_version_is_not_gone_back_to(loop_home: Home, forking: subprocess.Popen[bytes]) -> None:
    home, key = loop_home
    servers = Forked(home, forking)
    with serving(servers, key) as (_, caller):
        one, two = caller.ask("GET", f"{AT}/versions")
        assert caller.ask("POST", f"{AT}/versions/2:promote", {})["version"] == two["id"]
    blob = home / "blobs" / one["blob"]
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-1])
    with serving(servers, key) as (_, caller):  # it is not in memory any more
        for path, body in ((f"{AT}:rollback", {}), (f"{AT}/versions/1:promote", {})):
            with pytest.raises(RefusedError, match=r"409 .*version 1 .* is damaged.*restore it from a copy"):
                caller.ask("POST", path, body)
        assert (champion(caller)["revision"], predict(caller)["version"]) == (2, two["id"])
        (home / "blobs" / two["blob"]).write_bytes(b"what answers is in memory")
        assert predict(caller)["version"] == two["id"]
    blob.write_bytes(whole)
    server = broken(servers)
    with Caller(server.url, key) as caller:
        with pytest.raises(RefusedError, match=r"503 .*version .* is damaged"):
            predict(caller)
        assert caller.ask("POST", f"{AT}:rollback", {"reason": "the champion is damaged"})["version"] == one["id"]
        assert predict(caller)["version"] == one["id"]
    servers.end(server.pid)


def test_what_is_in_memory_is_gone_back_to_while_the_blobs_are_away(
    loop_home: Home, forking: subprocess.Popen[bytes]
) -> None:
    home, key = loop_home
    servers = Forked(home, forking)
    with serving(servers, key) as (_, caller):
        one, two = (row["id"] for row in caller.ask("GET", f"{AT}/versions"))
        assert caller.ask("POST", f"{AT}/versions/2:promote", {})["version"] == two
    with serving(servers, key) as (_, caller):
        end = time.monotonic() + 30
        while one not in caller.ask("GET", "/v2/models/digits")["versions"]:
            assert time.monotonic() < end, "the champion of before is loaded after a restart"
            time.sleep(0.01)
        (home / "blobs").rename(home / "away")
        assert caller.ask("POST", f"{AT}:rollback", {})["version"] == one
        assert predict(caller)["version"] == one
        (home / "away").rename(home / "blobs")


def test_a_version_that_cannot_be_read_now_may_be_gone_back_to_later(
    loop_home: Home, forking: subprocess.Popen[bytes]
) -> None:
    home, key = loop_home
    with serving(Forked(home, forking), key) as (_, caller):
        two = caller.ask("GET", f"{AT}/versions")[1]["id"]
        (home / "blobs").rename(home / "away")
        with pytest.raises(RefusedError, match=r"503 .*cannot be read"):
            caller.ask("POST", f"{AT}/versions/2:promote", {})
        assert champion(caller)["revision"] == 1
        (home / "away").rename(home / "blobs")
        assert caller.ask("POST", f"{AT}/versions/2:promote", {})["version"] == two
        assert predict(caller)["version"] == two


def test_sigterm_under_load_ends_in_order(loop_home: Home, forking: subprocess.Popen[bytes]) -> None:
    home, key = loop_home
    servers, account, verifier = Forked(home, forking, {"worker": False}), Account(), Verifier(home)
    server = started(servers)
    with Caller(server.url, key) as caller:
        account.send(caller, LABELS[:100])
        update = caller.ask("POST", f"{AT}/updates", {})["id"]
    crowd = Crowd(server.url, key, "load", LABELS)
    stream = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    stream.request("GET", f"{AT}/updates/{update}/events", headers={"Authorization": f"Bearer {key}"})
    events = stream.getresponse()
    assert events.readline() == b"event: update\n"
    half, body = half_sent(server, key, LABELS[100:200])
    time.sleep(0.3)
    start = time.monotonic()
    os.kill(server.pid, signal.SIGTERM)
    rest = threading.Timer(0.5, half.send, (body,))
    rest.start()
    answer = half.getresponse()
    assert answer.status == 200, "what had begun is answered"
    results = [json.loads(line) for line in answer.read().splitlines()]
    assert len(results) == 100
    assert b"queued" in events.read(), "a stream without an end ends"
    assert servers.ended(server.pid) == 0
    taken = time.monotonic() - start
    assert taken < 8, f"it took {taken} seconds to end"
    joined([rest])
    half.close()
    stream.close()
    account.add(crowd.end())
    account.acknowledged |= {str(each["key"]): each for each in LABELS[100:200]}
    with serving(servers, key) as (_, caller):
        assert caller.ask("GET", f"{AT}/updates/{update}")["state"] == "queued"
        verifier.look(caller, account, whole=True)
    assert verifier.faults + at_rest(home) + account.wrong == []


def half_sent(server: Life, key: str, bodies: list[dict[str, Any]]) -> tuple[http.client.HTTPConnection, bytes]:
    """A batch of which half was sent, and the other half."""
    data = b"\n".join(json.dumps(each).encode() for each in bodies)
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    connection.putrequest("POST", f"{AT}/feedback:batch")
    for name, value in {"Authorization": f"Bearer {key}", "Content-Length": str(len(data))}.items():
        connection.putheader(name, value)
    connection.endheaders(data[: len(data) // 2])
    return connection, data[len(data) // 2 :]


def broken(servers: Forked) -> Life:
    """A server that answers, but is not ready."""
    pid, told = servers.fork(), servers.home / "server.json"

    def look() -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(told.read_bytes()))
        return {}

    return Life(pid, until(look, lambda found: found.get("pid") == pid)["url"], 0.0)


def test_two_workers_that_race_make_one_version(
    loop_home: Home, forking: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, key = loop_home
    monkeypatch.setattr(Trainer, "_trained", learn_here)
    monkeypatch.setattr(train, "tell", lambda news: None)
    servers, account, verifier = Forked(home, forking, {"worker": False}), Account(), Verifier(home)
    stopping = threading.Event()
    with serving(servers, key) as (server, caller):
        workers = [
            threading.Thread(
                target=work_for, args=(Client(server.url, key), tmp_path / f"w{number}", stopping, 0.01), daemon=True
            )
            for number in range(2)
        ]
        for worker in workers:
            worker.start()
        try:
            for number in range(3):
                account.send(caller, LABELS[100 * number : 100 * number + 100])
                row = decided(caller, caller.ask("POST", f"{AT}/updates", {})["id"])
                assert (row["state"], row["attempt"]) == ("promoted", 1), row["decision"]
                assert champion(caller)["version"] == row["candidate"]
                assert len(caller.ask("GET", f"{AT}/versions")) == 3 + number, "one more, not two"
        finally:
            stopping.set()
            joined(workers)
        verifier.look(caller, account, whole=True)
    assert verifier.faults + at_rest(home) == []


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose gate lets nothing be forgotten."""
    home = tmp_path_factory.mktemp("strict") / "home"
    learner = replace(PROJECT.learner, training=replace(PROJECT.learner.training, epochs=10))
    project = replace(
        PROJECT,
        gate=Gate(power=0.0, max_forgetting=0.1),
        learner=learner,
        exam=ExamSettings(0.3, cap=200, minimum=40),
        rules=Rules(),
    )
    return home, prepare(home, project=replace(project, method=MethodChoice("finetune")))


def upright(count: int) -> list[tuple[list[Any], int]]:
    """Digits as version 1 knows them, which it has not seen."""
    source = digits()
    return list(
        zip(source.train_x[500 : 500 + count].tolist(), source.train_y[500 : 500 + count].tolist(), strict=True)
    )


def test_a_poisoned_lot_is_rejected_and_its_evidence_kept(
    strict: Home, forking: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    home, key = tmp_path / "home", strict[1]
    subprocess.run(["cp", "-r", str(strict[0]), str(home)], check=True)
    with serving(Forked(home, forking), key) as (_, caller):
        before = champion(caller)
        for number, (x, label) in enumerate(upright(200)):
            caller.ask("POST", f"{AT}/feedback", {"x": x, "label": (label + 1) % 10, "key": f"flipped {number}"})
        row = decided(caller, caller.ask("POST", f"{AT}/updates", {})["id"])
        assert row["state"] == "rejected"
        assert row["decision"]["failed"] == ["forgetting"]
        told = row["decision"]["evidence"][0]
        assert told["difference"] < -0.1, "it would have forgotten"
        assert champion(caller) == before
        assert predict(caller)["version"] == before["version"]
        assert caller.ask("GET", AT)["feedback"]["used"] == 200, "it is kept, and in no other lot"
        kept = caller.ask("GET", f"{AT}/versions/2/evaluation")
        assert (kept["state"], kept["decision"]) == ("rejected", row["decision"])
        actions = [entry["action"] for entry in caller.ask("GET", f"{AT}/audit")["entries"]]
        assert actions[-1] == "reject"
    assert at_rest(home) == []


def test_a_source_that_flips_labels_is_quarantined_before_it_is_learned(
    strict: Home, forking: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    home, key = tmp_path / "home", strict[1]
    subprocess.run(["cp", "-r", str(strict[0]), str(home)], check=True)
    with serving(Forked(home, forking), key) as (_, caller):
        for number, (x, label) in enumerate(upright(240)):
            eve = number % 4 == 0
            body = {"prediction_id": predict(caller, x)["prediction_id"], "source": "eve" if eve else "ann"}
            caller.ask(
                "POST", f"{AT}/feedback", {**body, "label": (label + 1) % 10 if eve else label, "key": str(number)}
            )
        until(lambda: caller.ask("GET", AT)["feedback"], lambda counts: counts["pending"] == 0)
        row = decided(caller, caller.ask("POST", f"{AT}/updates", {})["id"])
        counts = caller.ask("GET", AT)["feedback"]
        assert (counts["quarantined"], counts["used"]) == (60, 180)
        waiting = caller.ask("GET", f"{AT}/quarantine")
        assert {each["source"] for each in waiting} == {"eve"}
        assert "eve differs from the champion" in waiting[0]["reason"]
        assert row["task"] == 2
