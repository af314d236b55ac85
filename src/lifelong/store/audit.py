"""The audit: what was done, by whom, as a chain of hashes in which nothing can be changed without leaving a break."""

from __future__ import annotations

import hashlib
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, bindparam, insert, select

from lifelong.store.backend import serialise
from lifelong.store.tables import audit
from lifelong.store.values import decode, encode

__all__ = ["Break", "Entry", "append", "head", "latest", "listed", "verify"]

START = "0" * 64
HEAD = select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
LATEST = HEAD.with_only_columns(audit.c.at)
ALL = select(audit).order_by(audit.c.seq)
PAGE = ALL.where(audit.c.seq > bindparam("after")).limit(bindparam("limit"))
PAGE_OF_PROJECT = PAGE.where(audit.c.project == bindparam("project"))


class Entry(Struct, frozen=True):
    """One row of `audit`: `hash` is the SHA-256 of `previous` and the canonical JSON of all the rest."""

    seq: int
    at: float
    project: str | None
    actor: str
    action: str
    detail: Any
    previous: str
    hash: str


class Break(Struct, frozen=True):
    """A place where the chain does not hold."""

    seq: int
    fault: str


def append(connection: Connection, *, at: float, project: str | None, actor: str, action: str, detail: Any) -> Entry:
    """Add an entry, in the transaction of what it tells of; other servers wait until that ends."""
    serialise(connection, "audit")
    seq, previous = head(connection)
    content = (seq + 1, float(at), project, actor, action, decode(encode(detail)))  # as they will be read
    entry = Entry(*content, previous, _link(previous, content))
    connection.execute(insert(audit), asdict(entry))
    return entry


def latest(connection: Connection) -> float:
    """When the last entry was made, in seconds since the epoch; 0 where there is none."""
    return float(connection.execute(LATEST).scalar_one_or_none() or 0.0)


def head(connection: Connection) -> tuple[int, str]:
    """The number and hash of the last entry: kept elsewhere, it proves later that the chain's end was not cut off."""
    last = connection.execute(HEAD).one_or_none()
    return (0, START) if last is None else (last.seq, last.hash)


def listed(connection: Connection, *, project: str | None = None, after: int = 0, limit: int = 100) -> list[Entry]:
    """A page of entries with `seq` above `after`, of one project or all."""
    values = {"after": after, "limit": limit}
    if project is None:
        return [Entry(*row) for row in connection.execute(PAGE, values)]
    return [Entry(*row) for row in connection.execute(PAGE_OF_PROJECT, values | {"project": project})]


def verify(connection: Connection, known: str | None = None) -> list[Break]:
    """Every break of the chain; empty where all holds.

    A chain whose last entries were cut off holds in itself. `known`, a hash that `head` once told, must be in it.
    """
    breaks: list[Break] = []
    expected, previous, seen = 1, START, known is None or known == START
    for row in connection.execute(ALL, execution_options={"yield_per": 1000}):
        entry = Entry(*row)
        if entry.seq != expected:
            breaks.append(Break(entry.seq, f"expected entry {expected}: entries are missing"))
        if entry.previous != previous:
            breaks.append(Break(entry.seq, "it does not follow the entry before it"))
        if entry.hash != _link(entry.previous, (*row[:6],)):
            breaks.append(Break(entry.seq, "its content was changed"))
        expected, previous, seen = entry.seq + 1, entry.hash, seen or entry.hash == known
    if not seen:
        breaks.append(Break(expected, f"no entry has the hash {known}: the end was cut off, or written anew"))
    return breaks


def _link(previous: str, content: tuple[Any, ...]) -> str:
    return hashlib.sha256((previous + encode(content)).encode()).hexdigest()
