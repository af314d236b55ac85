"""Keys are made and revoked once each, with an entry in the audit, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifelong.errors import ConflictError, DataError
from lifelong.loop.engine import Engine, access
from lifelong.store import audit, keys
from lifelong.store.blobs import FolderBlobs
from lifelong.store.database import open_store
from lifelong.store.errors import AccessError, NotFoundError


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine at the time 1000."""
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    with open_store(tmp_path / "home", database) as store:
        yield Engine(store, FolderBlobs(tmp_path / "blobs"), lambda: 1000.0)


def test_keys_are_made_and_revoked_once(engine: Engine) -> None:
    first = access.first_key(engine)
    assert first is not None
    assert access.first_key(engine) is None
    text, row = access.create(engine, "phone", ["feedback"], actor="first", days=1)
    assert (row.scopes, row.expires) == (["feedback"], 1000.0 + 86_400)
    assert engine.read(lambda connection: keys.check(connection, text, "feedback", now=1000.0)) == row
    assert access.revoke(engine, row.id, actor="first") == access.revoke(engine, row.id, actor="first")
    with pytest.raises(AccessError):
        engine.read(lambda connection: keys.check(connection, text, "feedback", now=1000.0))
    trail = engine.read(audit.listed)
    assert [(entry.actor, entry.action, entry.detail["name"]) for entry in trail] == [
        ("lifelong serve", "create key", "first"), ("first", "create key", "phone"), ("first", "revoke key", "phone")
    ]  # fmt: skip
    assert text.rpartition("_")[2] not in str(trail)
    assert row.hash not in str(trail)


def test_what_cannot_be_made_or_revoked(engine: Engine) -> None:
    access.first_key(engine)
    for name, scopes, days, words in (
        ("", ["admin"], None, "printable"),
        ("a\nb", ["admin"], None, "printable"),
        ("a", ["root"], None, "scopes should be some of"),
        ("a", ["admin"], 0.0, "more than 0 days"),
    ):
        with pytest.raises(DataError, match=words):
            access.create(engine, name, scopes, actor="first", days=days)
    with pytest.raises(NotFoundError, match="list of keys"):
        access.revoke(engine, "nothing", actor="first")
    (only,) = engine.read(keys.listed)
    access.create(engine, "phone", ["predict"], actor="first")
    with pytest.raises(ConflictError, match="last open admin key"):
        access.revoke(engine, only.id, actor="first")
    access.create(engine, "second", ["admin"], actor="first")
    assert access.revoke(engine, only.id, actor="second").revoked == 1000.0
