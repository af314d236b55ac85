"""Files that are whole or not there: written beside their place, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lifelong.errors import SettingError, StorageError

__all__ = ["read_json", "read_text", "replacing", "sync_folder", "write_atomically", "write_json"]


@contextmanager
def replacing(path: Path, option: str = "--out", mode: int = 0o644) -> Iterator[Path]:
    """A temporary path to write to; on leaving the block it takes the place of `path`, durably and at once.

    An exception inside the block leaves `path` as it was and no temporary file behind. `OSError` becomes
    `StorageError`, which names the place and the mend: among others, `option` that chooses another place. `mode` says
    who may read the file.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     (Path(folder) / "a.txt").read_text(), len(os.listdir(folder))
    ('whole', 1)
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(_explain(path, error, option)) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes, option: str = "--out", mode: int = 0o644) -> None:
    """Write `data` to `path`, whole or not at all; parent folders are made."""
    with replacing(path, option, mode) as temporary:
        temporary.write_bytes(data)


def read_text(path: Path) -> str:
    """The text of a file that a person wrote; a byte order mark is passed over, as spreadsheets and editors write it.

    Raises: `SettingError` where it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror or error}; give a file that is there") from error
    except UnicodeDecodeError as error:
        raise SettingError(f"{path} is no UTF-8 (byte {error.start + 1}); save it as UTF-8 in your editor") from error


def write_json(path: Path, data: Any, mode: int = 0o644) -> None:
    """Write `data` as JSON, whole or not at all; numbers that JSON lacks (NaN, infinity) are refused."""
    write_atomically(path, (json.dumps(data, indent=1, allow_nan=False) + "\n").encode(), mode=mode)


def read_json(path: Path) -> Any:
    """Read JSON; `StorageError` where there is none."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read as JSON: {error}; remove it to have it made again") from error


def sync_folder(folder: Path) -> None:
    """Flush the folder itself, so that a new name in it outlives a power cut."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(path: Path, error: OSError, option: str) -> str:
    mend = {
        errno.ENOSPC: f"free some space there, or choose another place with {option}",
        errno.EDQUOT: f"your quota there is used up; free some space, or choose another place with {option}",
        errno.EFBIG: f"files there may not be that large; choose another place with {option}",
        errno.EACCES: f"you may not write there; choose another place with {option}",
        errno.EROFS: f"it is read-only; choose another place with {option}",
    }.get(error.errno or 0, f"choose another place with {option}")
    return f"cannot write {path}: {error.strerror or error}; {mend}"
