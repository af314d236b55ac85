"""The catalogue over a real store: what is served is what is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from lifelong.errors import StorageError
from lifelong.loop.learning import Candidate
from lifelong.loop.project import LearnerSettings, Project, to_json
from lifelong.loop.schema import InputSchema
from lifelong.service.app import create_app
from lifelong.service.catalogue import Champion, Key
from lifelong.service.server import serving
from lifelong.service.settings import ServeSettings
from lifelong.service.stored import StoredCatalogue
from lifelong.store import aliases, keys, predictions, projects, traffic, versions
from lifelong.store.blobs import FolderBlobs
from lifelong.store.database import Store
from lifelong.store.traffic import Traffic

from ..places import Places

PAINT = Project("paint", InputSchema((6,)), ("red", "green", "blue"), learner=LearnerSettings("mlp:16"))


@pytest.fixture
def store(places: Places, tmp_path: Path) -> Iterator[Store]:
    with places.new(tmp_path / "home") as place, place.open() as opened:
        yield opened


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def ids(store: Store, blobs: FolderBlobs, candidates: list[Candidate]) -> list[str]:
    """Two versions of the project `paint`, stored; nobody answers yet."""
    row = projects.Project("paint", json.loads(to_json(PAINT)), 0.0)
    store.write(lambda connection: projects.add(connection, row)).result(timeout=30)
    made: list[str] = []
    for number, candidate in enumerate(candidates[:2], start=1):
        new = versions.NewVersion(
            project="paint", parent=None, blob=blobs.put(candidate.data), settings={}, task=number, exam_row=[]
        )
        made.append(store.write(lambda connection, new=new: versions.add(connection, new, 0.0)).result(timeout=30).id)
    return made


def give(store: Store, name: str, version: str, revision: int = 0) -> None:
    store.write(
        lambda connection: aliases.move(
            connection, "paint", expected_revision=revision, version=version, actor="t", reason="t", now=0.0, name=name
        )
    ).result(timeout=30)


def test_rows_become_what_is_served(
    store: Store, blobs: FolderBlobs, ids: list[str], candidates: list[Candidate]
) -> None:
    catalogue = StoredCatalogue(store, blobs)
    assert list(catalogue.projects()) == ["paint"]
    assert catalogue.project("paint") == PAINT
    assert catalogue.project("sculpture") is None
    assert catalogue.champion("paint") is None
    give(store, "champion", ids[0])
    assert catalogue.champion("paint") == Champion(ids[0], 1)
    store.write(lambda connection: traffic.put(connection, Traffic("paint", ids[1], 20.0, None))).result(timeout=30)
    assert catalogue.champion("paint") == Champion(ids[0], 1, ids[1], 20.0, None, 1)
    found = catalogue.blob("paint", ids[1])
    assert found is not None
    assert (found.data, found.digest) == (candidates[1].data, candidates[1].id)
    assert catalogue.blob("sculpture", ids[1]) is None
    assert catalogue.blob("paint", "f" * 64) is None


def test_a_changed_project_is_read_anew(store: Store, blobs: FolderBlobs, ids: list[str]) -> None:
    catalogue = StoredCatalogue(store, blobs)
    assert catalogue.project("paint") is catalogue.project("paint")
    other = replace(PAINT, keep=5)
    store.write(lambda connection: projects.configure(connection, "paint", json.loads(to_json(other)))).result(
        timeout=30
    )
    assert catalogue.project("paint") == other


def test_keys_are_those_stored(store: Store, blobs: FolderBlobs) -> None:
    now = [10.0]
    catalogue = StoredCatalogue(store, blobs, clock=lambda: now[0])

    def made(*scopes: str) -> tuple[str, keys.ApiKey]:
        return store.write(lambda connection: keys.create(connection, "ann", scopes, now=1.0, expires=20.0)).result(
            timeout=30
        )

    secret, row = made("feedback")
    assert catalogue.check_key(secret) == Key("ann", frozenset({"feedback"}), expires=20.0)
    assert catalogue.check_key(secret + "0") is None
    assert catalogue.check_key("ä") is None
    both, _ = made("predict", "feedback")
    assert catalogue.check_key(both) == Key("ann", frozenset({"predict", "feedback"}), expires=20.0)
    now[0] = 20.0
    assert catalogue.check_key(both) is None
    now[0] = 10.0
    store.write(lambda connection: keys.revoke(connection, row.id, now=2.0)).result(timeout=30)
    assert catalogue.check_key(secret) is None


def test_the_whole_way(store: Store, blobs: FolderBlobs, ids: list[str], candidates: list[Candidate]) -> None:
    give(store, "champion", ids[0])
    secret, _ = store.write(lambda connection: keys.create(connection, "ann", ["predict"], now=1.0)).result(timeout=30)
    settings = ServeSettings(durable=True, poll_seconds=600)
    app = create_app(StoredCatalogue(store, blobs), settings)
    row = [0.1, -2.5, 1e-8, 3.0, 0.3, 7]
    body = {"inputs": [{"name": "input", "shape": [1, 6], "datatype": "FP32", "data": row}]}
    with serving(app, settings) as url, httpx.Client(base_url=url, timeout=10) as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        answer = client.post("/v2/models/paint/infer", json=body).json()
        assert answer["model_version"] == ids[0]
        (own,) = answer["outputs"][2]["data"]
        stored = store.read(lambda connection: predictions.get(connection, own))
        assert np.float32(stored.x).tolist() == np.float32(row).tolist()  # pyrefly: ignore
        assert (stored.project, stored.version, stored.variant) == ("paint", ids[0], "champion")
        give(store, "champion", ids[1], revision=1)
        app.state.models.refresh("paint")
        assert client.post("/v2/models/paint/infer", json=body).json()["model_version"] == ids[1]
        (path,) = [path for path in blobs.folder.rglob("*") if path.is_file() and candidates[0].id[4:] in path.name]
        path.write_bytes(b"damaged")
        store.write(lambda connection: None).result(timeout=30)
        give(store, "champion", ids[0], revision=2)
        with pytest.raises(StorageError):
            create_app(StoredCatalogue(store, blobs), settings).state.models.refresh("paint")
        assert client.post("/v2/models/paint/infer", json=body).json()["model_version"] == ids[1]
