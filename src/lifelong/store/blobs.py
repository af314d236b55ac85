"""Blobs: bytes named by their SHA-256, in a folder or wherever fsspec reaches."""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from lifelong.errors import SettingError, StorageError
from lifelong.store.errors import DamagedError
from lifelong.store.failpoints import reach
from lifelong.store.files import replacing, sync_folder

__all__ = ["Blobs", "FolderBlobs", "RemoteBlobs", "open_blobs"]

#: seconds after which nobody writes to a temporary file any more
ABANDONED = 3600.0


#: what fsspec calls storage without folders, where to make one would make the bucket of a mistyped address
FLAT = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss"}


class Blobs(Protocol):
    """Bytes by their hash. What `put` has returned is durable; what `get` returns is what was put."""

    def put(self, data: bytes) -> str:
        """Keep `data` and return its SHA-256 in hex; the same bytes again are written anew. Raises: `StorageError`."""
        ...

    def get(self, name: str) -> bytes:
        """The bytes of that hash.

        Raises: `StorageError` where the place does not answer; `DamagedError` where it does, and they are missing or
            damaged.
        """
        ...


def open_blobs(place: str | Path) -> Blobs:
    """Blobs in a folder, or at an address such as `s3://bucket/prefix`.

    >>> blobs = open_blobs("memory://doctest")
    >>> blobs.get(blobs.put(b"weights"))
    b'weights'

    Raises: `SettingError` for an address that fsspec does not know or lacks a package for.
    """
    if isinstance(place, Path) or "://" not in place:
        return FolderBlobs(Path(place))
    try:
        from fsspec.core import url_to_fs  # only for those who keep blobs elsewhere

        files, root = url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise SettingError(
            f"cannot keep blobs at {place}: {error}; pip install 'lifelong[loop]' and its driver"
        ) from error
    return RemoteBlobs(files, root)


class FolderBlobs:
    """One file for each blob: written beside its place, flushed, renamed, and the folder flushed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.absolute().parent)
            _sweep(folder)
        except OSError as error:
            raise StorageError(
                f"cannot keep blobs in {folder}: {error.strerror or error}; choose another --home"
            ) from error

    def put(self, data: bytes) -> str:
        """See `Blobs`; writing anew also mends a damaged file."""
        name = hashlib.sha256(data).hexdigest()
        with replacing(self.folder / name, option="--home") as temporary:
            temporary.write_bytes(data)
            reach("blob written")
        reach("blob renamed")
        return name

    def get(self, name: str) -> bytes:
        """See `Blobs`."""
        path = self.folder / _checked(name)
        try:
            data = path.read_bytes()
        except OSError as error:
            answers = self.folder.is_dir()  # else a disk that is not mounted
            raise _unreadable(name, str(self.folder), error, answers) from error
        return _intact(name, str(self.folder), data)


class RemoteBlobs:
    """One object for each blob, through an fsspec file system; an object store shows an object whole or not at all."""

    def __init__(self, files: Any, root: str) -> None:
        self.files = files
        self.root = root.rstrip("/")
        self._folders = FLAT.isdisjoint([files.protocol] if isinstance(files.protocol, str) else files.protocol)

    def put(self, data: bytes) -> str:
        """See `Blobs`."""
        name = hashlib.sha256(data).hexdigest()
        try:
            if self._folders:
                self.files.makedirs(self.root, exist_ok=True)
            self.files.pipe_file(f"{self.root}/{name}", data)
        except Exception as error:  # every driver of fsspec has its own
            raise StorageError(
                f"cannot write blob {name} to {self.root}: {error}; see that the place can be written"
            ) from error
        return name

    def get(self, name: str) -> bytes:
        """See `Blobs`."""
        path = f"{self.root}/{_checked(name)}"
        try:
            data = self.files.cat_file(path)
        except Exception as error:  # every driver of fsspec has its own
            raise _unreadable(name, self.root, error) from error
        return _intact(name, self.root, data)


def _sweep(folder: Path) -> None:
    """Remove what servers that were killed left half written; what is younger another server may be writing now."""
    latest = time.time() - ABANDONED
    for left in folder.glob(".*.tmp"):
        with suppress(FileNotFoundError):  # it was finished, or swept by another
            if left.stat().st_mtime < latest:
                left.unlink()


def _checked(name: str) -> str:
    if re.fullmatch("[0-9a-f]{64}", name) is None:  # or a name could lead out of the folder
        raise StorageError(f"a blob is named by 64 hex digits, got {name[:80]!r}; take the name that put returned")
    return name


def _unreadable(name: str, place: str, error: Exception, answers: bool = True) -> StorageError:
    kind = DamagedError if answers and isinstance(error, FileNotFoundError) else StorageError
    return kind(f"blob {name} cannot be read from {place}: {error}; restore it there from a copy")


def _intact(name: str, place: str, data: bytes) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != name:
        raise DamagedError(
            f"blob {name} in {place} is damaged: its {len(data)} bytes have the hash {found}; restore it from a copy, "
            "or roll back to a version that does not need it"
        )
    return data
