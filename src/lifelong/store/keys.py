"""API keys: 256 random bits, of which only a hash is stored.

A password is short and guessed from lists, so it needs a slow hash such as scrypt. A key of 256 random bits cannot be
guessed however fast the hash is, and it is checked at every request, so it is hashed once with SHA-256. The key's id is
hashed with it, as salt: equal secrets would have unequal hashes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, bindparam, insert, select, update

from lifelong.errors import DataError
from lifelong.store.errors import AccessError, NotFoundError
from lifelong.store.tables import api_key

__all__ = ["SCOPES", "ApiKey", "check", "create", "get", "listed", "revoke"]

SCOPES = ("predict", "feedback", "worker", "admin")
LONGEST = 200
ONE = select(api_key).where(api_key.c.id == bindparam("id"))
ALL = select(api_key).order_by(api_key.c.created, api_key.c.id)


class ApiKey(Struct, frozen=True):
    """One row of `api_key`; `admin` opens what the other scopes open, too."""

    id: str
    name: str
    hash: str
    scopes: list[str]
    created: float
    expires: float | None
    revoked: float | None

    def is_open(self, now: float) -> bool:
        """Whether it is good for anything at `now`."""
        return self.revoked is None and (self.expires is None or self.expires > now)


def create(
    connection: Connection, name: str, scopes: Sequence[str], *, now: float, expires: float | None = None
) -> tuple[str, ApiKey]:
    """Make a key; the text that opens is returned this once and stored nowhere.

    Raises: `DataError` for no scope or an unknown one, or a name that nobody could read.
    """
    if not (0 < len(name) <= LONGEST and name.isprintable()):
        raise DataError(f"name should be 1 to {LONGEST} printable characters, got {len(name)}: {name[:20]!r}")
    if not scopes or set(scopes) - set(SCOPES):
        raise DataError(f"scopes should be some of {', '.join(SCOPES)}, got {', '.join(scopes) or 'none'}")
    row_id = secrets.token_hex(8)
    text = f"lifelong_{row_id}_{secrets.token_hex(32)}"
    row = ApiKey(row_id, name, _hash(text), sorted(set(scopes)), now, expires, None)
    connection.execute(insert(api_key), asdict(row))
    return text, row


def check(connection: Connection, text: str, scope: str, *, now: float) -> ApiKey:
    """The key that `text` opens with, if it is good for `scope`.

    Raises: `AccessError`, the same for unknown, expired and revoked keys, so that it tells a stranger nothing.
    """
    row_id = text[9:25] if text.isascii() and text.isprintable() and text.startswith("lifelong_") else ""
    row = connection.execute(ONE, {"id": row_id}).one_or_none()
    stored = None if row is None else ApiKey(*row)
    fits = hmac.compare_digest(_hash(text), "0" * 64 if stored is None else stored.hash)
    if stored is None or not fits or not stored.is_open(now):
        raise AccessError("the API key is unknown, expired or revoked; ask for a new one", known=False)
    if scope not in stored.scopes and "admin" not in stored.scopes:
        raise AccessError(f"the API key {stored.name!r} opens {', '.join(stored.scopes)}, not {scope}", known=True)
    return stored


def revoke(connection: Connection, row_id: str, *, now: float) -> ApiKey:
    """Close the key `id` from `now` on; revoking it again changes nothing. Raises: `NotFoundError`."""
    open_one = (api_key.c.id == row_id, api_key.c.revoked.is_(None))
    connection.execute(update(api_key).where(*open_one).values(revoked=now))
    return get(connection, row_id)


def get(connection: Connection, row_id: str) -> ApiKey:
    """The key `id`. Raises: `NotFoundError`."""
    row = connection.execute(ONE, {"id": row_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"no API key {row_id!r} is stored; see the list of keys")
    return ApiKey(*row)


def listed(connection: Connection) -> list[ApiKey]:
    """Every key, the oldest first."""
    return [ApiKey(*row) for row in connection.execute(ALL)]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
