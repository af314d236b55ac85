"""API keys: made and revoked by somebody, which the audit keeps; the secret itself is told once and kept nowhere."""

from __future__ import annotations

from collections.abc import Sequence

from lifelong.errors import ConflictError, DataError
from lifelong.loop.engine.base import Engine
from lifelong.store import audit, keys
from lifelong.store.backend import serialise
from lifelong.store.database import Connection
from lifelong.store.keys import ApiKey

__all__ = ["create", "first_key", "revoke"]

DAY = 86_400.0


def create(
    engine: Engine, name: str, scopes: Sequence[str], *, actor: str, days: float | None = None
) -> tuple[str, ApiKey]:
    """A new key, and the text that opens, which is returned this once; it ends after `days`, None is never.

    Raises: `DataError` for a name, scopes or days that no key can have.
    """
    if days is not None and not 0 < days < float("inf"):
        raise DataError(f"a key should last for more than 0 days, got {days}")
    return engine.write(lambda connection: _created(connection, engine.clock(), name, scopes, actor, days))


def first_key(engine: Engine) -> str | None:
    """An admin key where there is none at all yet; it is returned this once."""

    def work(connection: Connection) -> str | None:
        serialise(connection, "keys")
        if keys.listed(connection):
            return None
        return _created(connection, engine.clock(), "first", ["admin"], "lifelong serve", None)[0]

    return engine.write(work)


def revoke(engine: Engine, key_id: str, *, actor: str) -> ApiKey:
    """Close a key for good; done twice, it is done once.

    Raises: `NotFoundError`; `ConflictError` for the last open key that may do everything, or nobody could make another.
    """

    def work(connection: Connection) -> ApiKey:
        serialise(connection, "keys")
        now = engine.clock()
        before = keys.get(connection, key_id)
        if before.revoked is not None:
            return before
        opens = [row.id for row in keys.listed(connection) if row.is_open(now) and "admin" in row.scopes]
        if opens == [key_id]:
            raise ConflictError(f"{before.name!r} is the last open admin key; make another one first, then revoke it")
        row = keys.revoke(connection, key_id, now=now)
        detail = {"key": row.id, "name": row.name}
        audit.append(connection, at=now, project=None, actor=actor, action="revoke key", detail=detail)
        return row

    return engine.write(work)


def _created(
    connection: Connection, now: float, name: str, scopes: Sequence[str], actor: str, days: float | None
) -> tuple[str, ApiKey]:
    expires = None if days is None else now + days * DAY
    text, row = keys.create(connection, name, scopes, now=now, expires=expires)
    detail = {"key": row.id, "name": row.name, "scopes": row.scopes, "expires": row.expires}
    audit.append(connection, at=now, project=None, actor=actor, action="create key", detail=detail)
    return text, row
