"""Blobs in S3: through s3fs at a real endpoint on loopback, with what a user sets: an address and the environment."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from lifelong.errors import StorageError
from lifelong.store.blobs import Blobs, RemoteBlobs, open_blobs

S3FileSystem = pytest.importorskip("s3fs", reason="needs the extra s3").S3FileSystem
pytest.importorskip("moto", reason="needs moto, an S3 on loopback")
pytest.importorskip("flask", reason="needs flask, which moto's server is made of")

# botocore and aiobotocore are older than these warnings
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning")

DATA = bytes(range(256)) * 400
NAME = hashlib.sha256(DATA).hexdigest()
PLACE = "s3://models/home/blobs"
SERVER = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', sys.argv[1]])"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, told = f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("s3") / "log"
    with told.open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stdout=log, stderr=log)

    def answers() -> str:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/moto-api/", timeout=5):
            return "ready"
        return f"exit code {process.poll()}: {told.read_text()[-500:]}"

    try:
        until(answers, lambda found: found == "ready", every=0.1)
        yield url
    finally:
        process.kill()
        process.wait(30)


@pytest.fixture
def blobs(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> RemoteBlobs:
    """The blobs at `PLACE`, an empty bucket."""
    settings(monkeypatch, endpoint)
    with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST"), timeout=10):
        pass
    made = open_blobs(PLACE)
    assert isinstance(made, RemoteBlobs)
    made.files.mkdir("models")
    return made


def settings(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """What stands in the environment of `lifelong serve --blobs s3://…`."""
    S3FileSystem.clear_instance_cache()  # the environment is read when one is made
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ann")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def names(blobs: RemoteBlobs) -> list[str]:
    """Everything in the bucket."""
    blobs.files.invalidate_cache()
    return [str(path) for path in blobs.files.find("models")]


def test_what_was_put_is_what_another_server_gets(blobs: RemoteBlobs) -> None:
    assert blobs.put(DATA) == blobs.put(DATA) == NAME
    assert names(blobs) == [f"models/home/blobs/{NAME}"], "once, and nothing beside it"
    assert blobs.get(NAME) == DATA
    assert blobs.get(blobs.put(b"")) == b""
    code = (
        f"from lifelong.store.blobs import open_blobs; assert len(open_blobs({PLACE!r}).get({NAME!r})) == {len(DATA)}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_one_that_is_missing_is_named(blobs: Blobs) -> None:
    with pytest.raises(StorageError, match=f"blob {NAME} cannot be read from models/home/blobs: .*restore it"):
        blobs.get(NAME)


@pytest.mark.parametrize("damage", [b"", DATA[:-1], b"x" + DATA[1:]])
def test_one_that_is_damaged_is_found_out_and_mended_by_putting_it_again(blobs: RemoteBlobs, damage: bytes) -> None:
    blobs.put(DATA)
    blobs.files.pipe_file(f"{blobs.root}/{NAME}", damage)
    with pytest.raises(StorageError, match=f"blob {NAME} .* is damaged: its {len(damage)} bytes.*roll back"):
        blobs.get(NAME)
    blobs.put(DATA)
    assert blobs.get(NAME) == DATA


def test_a_put_that_is_cut_off_shows_nothing(blobs: RemoteBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large blob goes up in parts: until the last one is confirmed nobody sees it."""
    large, call = os.urandom(12 * 2**20), S3FileSystem._call_s3

    async def cut(self: Any, method: str, *args: Any, **named: Any) -> Any:
        if method == "complete_multipart_upload":
            raise OSError("the line is cut")
        return await call(self, method, *args, **named)

    with monkeypatch.context() as patched:
        patched.setattr(S3FileSystem, "_call_s3", cut)
        patched.setattr(S3FileSystem, "_pipe_file", partialmethod(S3FileSystem._pipe_file, chunksize=5 * 2**20))
        S3FileSystem.clear_instance_cache()
        with pytest.raises(StorageError, match=r"cannot write blob .*the line is cut; see that"):
            open_blobs(PLACE).put(large)
    assert names(blobs) == []


def test_a_bucket_that_is_not_there_is_told(blobs: RemoteBlobs) -> None:
    with pytest.raises(
        StorageError, match=r"cannot write blob .* to nowhere/blobs: .*see that the place can be written"
    ):
        open_blobs("s3://nowhere/blobs").put(DATA)
    assert [str(name) for name in blobs.files.ls("")] == ["models"], "a mistyped address makes no bucket"


def test_an_endpoint_that_is_down_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        settings(monkeypatch, f"http://127.0.0.1:{taken.getsockname()[1]}")
        blobs = open_blobs("s3://models/down")
        with pytest.raises(
            StorageError, match=r"cannot write blob .*Could not connect.*see that the place can be written"
        ):
            blobs.put(DATA)
        with pytest.raises(StorageError, match=rf"blob {NAME} cannot be read from models/down: Could not connect"):
            blobs.get(NAME)


def test_the_home_stays_empty(blobs: RemoteBlobs, tmp_path: Path) -> None:
    """`--blobs s3://…` of the commands: the engine keeps its blobs there and only there."""
    from lifelong.service.home import open_engine

    with open_engine(tmp_path / "home", blobs=PLACE) as engine:
        assert engine.blobs.get(engine.blobs.put(DATA)) == DATA
    assert names(blobs) == [f"models/home/blobs/{NAME}"]
    assert not (tmp_path / "home" / "blobs").exists()
