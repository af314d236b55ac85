"""Blobs: what was put is what one gets, or an error that names the blob and the mend."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lifelong.errors import SettingError, StorageError
from lifelong.store.blobs import ABANDONED, Blobs, FolderBlobs, open_blobs
from lifelong.store.failpoints import VARIABLE

DATA = bytes(range(256)) * 400
NAME = hashlib.sha256(DATA).hexdigest()
PUT = "import sys; from lifelong.store.blobs import open_blobs; open_blobs(sys.argv[1]).put(bytes(range(256)) * 400)"


@pytest.fixture(params=["folder", "file", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return {
        "folder": str(tmp_path / "blobs"),
        "file": f"file://{tmp_path / 'blobs'}",
        "memory": f"memory://{tmp_path.name}",
    }[request.param]


@pytest.fixture
def blobs(place: str) -> Blobs:
    return open_blobs(place)


def test_what_was_put_is_what_one_gets(blobs: Blobs, place: str) -> None:
    assert blobs.put(DATA) == blobs.put(DATA) == NAME
    assert blobs.get(NAME) == open_blobs(place).get(NAME) == DATA
    assert blobs.get(blobs.put(b"")) == b""


@pytest.mark.parametrize("name", ["../../etc/passwd", NAME[:-1], NAME.upper(), f"{NAME}/.."])
def test_no_name_leads_elsewhere(blobs: Blobs, name: str) -> None:
    with pytest.raises(StorageError, match="64 hex digits"):
        blobs.get(name)


def test_one_that_is_missing_is_named(blobs: Blobs) -> None:
    with pytest.raises(StorageError, match=f"blob {NAME} cannot be read .*restore it"):
        blobs.get(NAME)


@pytest.mark.parametrize("place", ["folder", "file"], indirect=True)
@pytest.mark.parametrize("damage", [b"", DATA[:-1], b"x" + DATA[1:], DATA + b"x"])
def test_one_that_is_damaged_is_found_out_and_mended_by_putting_it_again(
    blobs: Blobs, tmp_path: Path, damage: bytes
) -> None:
    blobs.put(DATA)
    (tmp_path / "blobs" / NAME).write_bytes(damage)
    with pytest.raises(StorageError, match=f"blob {NAME} .* is damaged: its {len(damage)} bytes.*roll back"):
        blobs.get(NAME)
    blobs.put(DATA)
    assert blobs.get(NAME) == DATA


@pytest.mark.parametrize(("failpoint", "kept"), [("blob written", False), ("blob renamed", True)])
def test_a_put_that_is_killed_leaves_all_or_nothing(tmp_path: Path, failpoint: str, kept: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PUT, str(tmp_path)], env=os.environ | {VARIABLE: failpoint}, check=False, timeout=120
    )
    assert done.returncode == -9
    (left,) = tmp_path.iterdir()  # the blob, or the temporary file
    FolderBlobs(tmp_path)
    assert left.exists(), "another server may be writing it"
    long_ago = time.time() - 2 * ABANDONED
    os.utime(left, (long_ago, long_ago))
    blobs = FolderBlobs(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ([NAME] if kept else [])
    if kept:
        assert blobs.get(NAME) == DATA
    else:
        with pytest.raises(StorageError, match="cannot be read"):
            blobs.get(NAME)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="choose another --home"):
        open_blobs(tmp_path / "file")
    blobs = open_blobs(tmp_path / "blobs")
    (tmp_path / "blobs").rmdir()
    (tmp_path / "blobs").write_text("")
    with pytest.raises(StorageError, match="choose another place with --home"):
        blobs.put(DATA)
    remote = open_blobs(f"file://{tmp_path / 'file'}")
    with pytest.raises(StorageError, match="cannot write blob"):
        remote.put(DATA)


@pytest.mark.parametrize("address", ["nonsense://x", "s3nonsense://bucket/prefix"])
def test_an_address_of_no_known_kind_is_refused(address: str) -> None:
    with pytest.raises(SettingError, match="cannot keep blobs at"):
        open_blobs(address)
