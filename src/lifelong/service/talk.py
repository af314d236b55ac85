"""Speaking to the server of a home: the one that runs, or else one on loopback that lives as long as the command."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from lifelong.service.catalogue import Key
from lifelong.service.client import VARIABLE, Server
from lifelong.service.home import check_home, open_home
from lifelong.service.running import address
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings
from lifelong.service.stored import StoredCatalogue

__all__ = ["talk"]


class Owned(StoredCatalogue):
    """A catalogue that also knows one key, which is written nowhere: that of the person at this machine."""

    secret = ""

    def check_key(self, secret: str) -> Key | None:
        """See `StoredCatalogue.check_key`."""
        if self.secret and secrets.compare_digest(secret.encode(), self.secret.encode()):
            return Key(f"command line ({os.environ.get('USER', 'unknown')})", frozenset({"admin"}))
        return super().check_key(secret)


@contextlib.contextmanager
def talk(
    home: Path, key: str | None = None, *, database: str | None = None, blobs: str | None = None
) -> Iterator[Server]:
    """The server of `home`. Where one runs that asks for keys, `key` or $LIFELONG_KEY is needed; where none runs, who
    may read the folder, or knows the address of the `database`, may do everything.

    Arguments: `database`, `blobs`: where the store and the blobs are, if not in `home`; see `open_engine`.
    Raises: `StorageError` where there is neither a server nor a store.
    """
    url = address(home)
    if url is None:
        check_home(home, database)
    secret = secrets.token_hex(32)

    class Mine(Owned):
        """The catalogue with this command's key."""

    Mine.secret = secret
    settings = ServeSettings(poll_seconds=600)
    with contextlib.ExitStack() as stack:
        if url is None:
            place = open_home(home, settings, database=database, blobs=blobs, catalogue=Mine, start_worker=False)
            opened = stack.enter_context(place)
            yield Server(stack.enter_context(serving(opened.app, settings)), secret, opened.worker.start)
            return
        yield Server(url, key or os.environ.get(VARIABLE))
