"""A place in which version 1 has learned upright digits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifelong.loop.engine import Engine
from lifelong.loop.engine.begin import begin
from lifelong.store.blobs import FolderBlobs

from ..places import Place, Places
from .turning import PROJECT, Clock, upright


@pytest.fixture(scope="session")
def begun(places: Places, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place in which version 1 has learned upright digits."""
    with places.new(tmp_path_factory.mktemp("begun") / "home") as place:
        with place.open() as store:
            begin(Engine(store, FolderBlobs(place.home / "blobs"), Clock()), PROJECT, [upright()], actor="ann")
        yield place


@pytest.fixture
def place(places: Places, begun: Place, tmp_path: Path) -> Iterator[Place]:
    with places.copy(begun, tmp_path / "home") as made:
        yield made


@pytest.fixture
def home(place: Place) -> Path:
    return place.home


@pytest.fixture
def engine(place: Place) -> Iterator[Engine]:
    with place.open() as store:
        yield Engine(store, FolderBlobs(place.home / "blobs"), Clock())
