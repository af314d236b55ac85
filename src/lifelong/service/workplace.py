"""A folder for each server process that works in a home: its own while it lives, swept by others once it is dead."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lifelong.errors import StorageError

__all__ = ["own_folder"]

LOCK = "lock"


@contextlib.contextmanager
def own_folder(above: Path) -> Iterator[Path]:
    """A new folder in `above` while the block runs; folders there whose process has ended, however it did, are removed.

    A process lives as long as it holds the lock in its folder: a number of a process would be taken by another one, and
    means nothing in the next container.

    Raises: `StorageError` where the place cannot be written.

    >>> with tempfile.TemporaryDirectory() as above, own_folder(Path(above)) as mine, own_folder(Path(above)) as other:
    ...     mine.exists(), mine == other
    (True, False)
    """
    with contextlib.ExitStack() as held:
        try:
            above.mkdir(parents=True, exist_ok=True)
            with _locked(above / LOCK):  # or one that was made and not locked yet would look dead
                for left in above.iterdir():
                    if left.is_dir() and _is_free(left / LOCK):
                        shutil.rmtree(left, ignore_errors=True)
                own = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=above))
                held.callback(shutil.rmtree, own, ignore_errors=True)
                held.enter_context(_locked(own / LOCK))
        except OSError as error:
            raise StorageError(f"cannot work in {above}: {error.strerror or error}; choose another --home") from error
        yield own


@contextlib.contextmanager
def _locked(path: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, how)
        yield


def _is_free(path: Path) -> bool:
    try:
        with _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return True
    except FileNotFoundError:
        return True
    except OSError:
        return False
