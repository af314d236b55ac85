"""API keys: shown once, stored as a hash, good for their scopes until they expire or are revoked."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, select

from lifelong.errors import DataError
from lifelong.store import keys, tables
from lifelong.store.errors import AccessError, NotFoundError


def test_a_key_opens_its_scopes_and_no_other(connection: Connection) -> None:
    text, row = keys.create(connection, "phone", ["predict", "feedback", "predict"], now=1.0)
    assert row.scopes == ["feedback", "predict"]
    assert keys.check(connection, text, "predict", now=2.0) == row == keys.listed(connection)[0]
    with pytest.raises(AccessError, match="'phone' opens feedback, predict, not admin") as caught:
        keys.check(connection, text, "admin", now=2.0)
    assert caught.value.known
    everything, _ = keys.create(connection, "ann", ["admin"], now=1.0)
    for scope in keys.SCOPES:
        assert keys.check(connection, everything, scope, now=2.0).name == "ann"


def test_the_secret_is_stored_nowhere(connection: Connection) -> None:
    text, _ = keys.create(connection, "phone", ["predict"], now=1.0)
    other, _ = keys.create(connection, "phone", ["predict"], now=1.0)
    secret = text.rpartition("_")[2]
    assert len(secret) == 64
    assert text != other
    assert secret not in str(connection.execute(select(tables.api_key)).all())


def test_strangers_learn_nothing(connection: Connection) -> None:
    text, row = keys.create(connection, "phone", ["predict"], now=1.0, expires=10.0)
    closed, other = keys.create(connection, "old", ["predict"], now=1.0)
    assert keys.check(connection, closed, "predict", now=4.0).revoked is None
    assert keys.revoke(connection, other.id, now=5.0) == keys.revoke(connection, other.id, now=6.0)
    assert keys.check(connection, text, "predict", now=9.9).id == row.id
    changed = text[:-1] + ("0" if text[-1] != "0" else "1")
    wrong = [
        "",
        "x",
        "é",
        "\ud800",
        f"lifelong_{row.id}_",
        changed,
        f"lifelong_{'0' * 16}_{'0' * 64}",
        text + "0",
        closed,
    ]
    messages = set()
    for each, now in [(text, 10.0), *((each, 5.0) for each in wrong)]:
        with pytest.raises(AccessError) as caught:
            keys.check(connection, each, "predict", now=now)
        assert not caught.value.known
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_a_key_that_ended_at_the_epoch_is_closed(connection: Connection) -> None:
    text, _ = keys.create(connection, "phone", ["predict"], now=1.0, expires=0.0)
    with pytest.raises(AccessError):
        keys.check(connection, text, "predict", now=2.0)


def test_what_a_key_needs(connection: Connection) -> None:
    for scopes in ([], ["predict", "root"]):
        with pytest.raises(DataError, match="scopes should be some of predict, feedback, worker, admin"):
            keys.create(connection, "phone", scopes, now=1.0)
    with pytest.raises(NotFoundError, match="no API key 'x'"):
        keys.revoke(connection, "x", now=1.0)
