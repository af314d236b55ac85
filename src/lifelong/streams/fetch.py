"""Fetching the public data sets: checked by content, resumed where it broke off, never half a file.

A download grows in `<file>.part` and takes the name `<file>` only when its unpacked bytes have the right SHA-256, so
that a file with its own name is always whole. What ends a download early (a lost line, Ctrl-C, a killed process)
leaves the part for the next run to go on from. The check is on unpacked bytes: any compression of the same data passes.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from lifelong.errors import DataError, StorageError, require, unknown_name
from lifelong.streams.sources import FILES, data_folder

if sys.platform != "win32":
    import fcntl

__all__ = ["MIRRORS", "SHA256", "Progress", "download", "fetch"]

Progress = Callable[[str, int, int | None], None]

LIMIT = 64 * 2**20  # bytes in a file, packed and unpacked; the largest real one has 47,040,016

MIRRORS = {
    "mnist": ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
}

SHA256 = {
    "mnist": {
        "train_x": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train_y": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "test_x": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "test_y": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion-mnist": {
        "train_x": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train_y": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "test_x": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "test_y": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}


class _BrokenOffError(Exception):
    """The connection ended before the body did; the part on disk is worth going on from."""


class _RefusedError(Exception):
    """This address will not give the file."""


def fetch(
    name: str, folder: Path | None = None, mirrors: Sequence[str] | None = None, progress: Progress | None = None
) -> list[Path]:
    """Download the four files of `mnist` or `fashion-mnist`, and return where they are.

    Arguments: the files go to `folder`/`name`, or where `data_folder` looks for them if it is None. `mirrors` are
        addresses of folders with the files, tried in order (default: `MIRRORS[name]`). `progress(file, done, size)` is
        called as bytes arrive; size is None where the server does not tell it. Files that are there and right are kept.

    Raises: `DataError` where no mirror gives the right bytes; `StorageError` where the folder cannot be written;
        `SettingError` for an unknown name or an address that is not http.

    Example (needs a network): `fetch("mnist", Path("data"))` returns four paths in `data/mnist`.
    """
    if name not in SHA256:
        raise unknown_name("data set to fetch", name, SHA256)
    place = folder / name if folder is not None else data_folder(name)
    addresses = [f"{mirror.rstrip('/')}/" for mirror in (MIRRORS[name] if mirrors is None else mirrors)]
    paths = []
    for part, stem in FILES.items():
        plain, packed, sha256 = place / stem, place / f"{stem}.gz", SHA256[name][part]
        if plain.is_file():  # the reader prefers it to the packed one
            with _using(place):
                right = _digest(plain, False, LIMIT) == sha256
            if not right:
                raise DataError(f"{plain} is not the file of {name}: its SHA-256 differs; remove it and fetch again")
            paths.append(plain)
            continue
        try:
            paths.append(download([address + packed.name for address in addresses], packed, sha256, progress=progress))
        except DataError as error:
            files = ", ".join(f"{each}.gz" for each in FILES.values())
            raise DataError(f"{error}\nOr set LIFELONG_DATA to a folder that has {name}/ with {files}") from error
    return paths


def download(
    urls: Sequence[str],
    target: Path,
    sha256: str,
    *,
    unpack: bool = True,
    progress: Progress | None = None,
    limit: int = LIMIT,
    attempts: int = 5,
    pause: float = 0.5,
    timeout: float = 30.0,
) -> Path:
    """Download one file to `target` from the first of `urls` that gives it with the right content; return `target`.

    Arguments: `sha256` in hexadecimal is that of the content, unpacked by gzip where `unpack`. A file that is there
        with this content is kept. At most `limit` bytes are taken. A body that breaks off (also by `timeout` seconds of
        silence) is gone on with after `pause`, 2·`pause`, … seconds, in at most `attempts` attempts per address.

    Raises: `DataError` with what every address answered; `StorageError` where `target` cannot be written.
    """
    require(len(urls) > 0 and attempts > 0, f"expected an address and an attempt, got {len(urls)} and {attempts}")
    for url in urls:
        require(url.startswith(("http://", "https://")), f"a mirror must begin http:// or https://, got {url!r}")
    part = target.with_name(f"{target.name}.part")
    tried = []
    with _using(target.parent), _alone(target.parent):
        if target.is_file() and _digest(target, unpack, limit) == sha256:
            return target
        for url in urls:
            reason = "was not tried"
            for attempt in range(attempts):
                time.sleep(pause * 2 ** (attempt - 1) if attempt else 0)
                try:
                    resumed = _receive(url, part, limit, timeout, progress or (lambda *_: None))
                except _BrokenOffError as error:
                    reason = f"broke off {attempt + 1} times, last: {error}"
                    continue
                except _RefusedError as error:
                    reason = str(error)
                    break
                if _digest(part, unpack, limit) == sha256:
                    part.replace(target)
                    return target
                part.unlink()
                reason = "its content is not the expected one (SHA-256 differs)"
                if not resumed:  # else the part may have come from another mirror: once more from the start
                    break
            tried.append(f"  {url}: {reason}")
    raise DataError(
        f"{target.name} could not be fetched. Tried:\n" + "\n".join(tried) + "\n"
        f"Check the network and run it again, or put {target.name} by hand into {target.parent}"
    )


def _receive(url: str, part: Path, limit: int, timeout: float, progress: Progress) -> bool:
    """Bring `part` to its full size from `url`; whether it went on from bytes that were there."""
    start = part.stat().st_size if part.is_file() else 0
    try:
        request = Request(url, headers={"User-Agent": "lifelong", "Accept-Encoding": "identity"})
        if start:
            request.add_header("Range", f"bytes={start}-")
        response: HTTPResponse = urlopen(request, timeout=timeout)
    except HTTPError as error:
        error.close()
        if error.code == 416 and start:
            part.unlink()
            raise _BrokenOffError("the part did not fit, beginning again") from error
        raise _RefusedError(f"HTTP {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise _RefusedError(str(error) or type(error).__name__) from error
    with response:
        went_on = start > 0 and response.status == 206
        if went_on and not re.match(rf"bytes {start}-", response.headers.get("Content-Range", "")):
            part.unlink()
            raise _BrokenOffError(f"expected bytes from {start}, got {response.headers.get('Content-Range')!r}")
        done = start if went_on else 0
        length = response.headers.get("Content-Length")
        size = done + int(length) if length is not None and length.isdecimal() else None
        if (size or 0) > limit:
            raise _RefusedError(f"offers {size} bytes, more than the limit of {limit}")
        with part.open("ab" if went_on else "wb") as file:
            for chunk in _chunks(response):
                done += len(chunk)
                if done > limit:
                    break
                file.write(chunk)
                file.flush()
                progress(part.stem, done, size)
            os.fsync(file.fileno())
    if done > limit:
        part.unlink()
        raise _RefusedError(f"sends more than the limit of {limit} bytes")
    if size is not None and done < size:
        raise _BrokenOffError(f"{done} of {size} bytes came")
    return went_on


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := response.read1(2**16):
            yield chunk
    except (OSError, HTTPException) as error:
        raise _BrokenOffError(str(error) or type(error).__name__) from error


def _digest(path: Path, unpack: bool, limit: int) -> str | None:
    """The SHA-256 of the content; None where it cannot be unpacked or is beyond the limit."""
    sha256, size = hashlib.sha256(), 0
    try:
        with gzip.open(path) if unpack else path.open("rb") as file:
            while chunk := file.read(2**20):
                sha256.update(chunk)
                size += len(chunk)
                if size > limit:
                    return None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None
    return sha256.hexdigest()


@contextmanager
def _using(folder: Path) -> Iterator[None]:
    """`folder` is made where it is missing; what the disk refuses becomes a `StorageError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        path = error.filename or folder
        raise StorageError(
            f"{path} cannot be read or written: {error.strerror or error}; free space, or choose another folder"
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One download at a time in `folder`, and what it renamed is on disk at the end; neither can be had on Windows."""
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network folder may know no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
        os.fsync(handle)
    finally:
        os.close(handle)
