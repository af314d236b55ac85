"""PostgreSQL by URL: several servers may share it."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from lifelong.errors import SettingError
from lifelong.store.backend import Backend, explain

__all__ = ["open_url"]

READERS = 8
# a session that would answer before its commit is on the disk is told to wait; nobody waits for a lock for ever
SESSION = """
    SELECT set_config('lock_timeout', '10s', false),
        CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END
"""


#: seconds after which a server that does not answer at all counts as gone; a connect_timeout in the address goes first
PATIENCE = 10


def open_url(database: str) -> Backend:
    """The database at `postgresql+psycopg://user:password@host/name`.

    Raises: `SettingError` for another kind of address or where psycopg is not installed; `StorageError` where the
        database does not answer.
    """
    try:
        url = make_url(database)
    except ArgumentError as error:
        raise SettingError(f"--database {_expected()}, and what came is no address") from error
    place = url.render_as_string(hide_password=True)
    if url.drivername not in {"postgresql", "postgresql+psycopg"}:
        raise SettingError(f"--database {_expected()}, got {place}")
    try:
        writing, reading = (_engine(url.set(drivername="postgresql+psycopg"), size) for size in (1, READERS))
    except ImportError as error:
        raise SettingError("PostgreSQL needs psycopg: pip install 'lifelong[postgres]'") from error
    snapshots = reading.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    try:
        warnings = _warnings(snapshots)
    except SQLAlchemyError as error:
        raise explain(error, place) from error
    return Backend(
        place=place, writing=writing, reading=snapshots, warnings=warnings, keeps=False, release=lambda: None
    )


def _engine(url: Any, connections: int) -> Engine:
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(PATIENCE)})
    engine = create_engine(url, pool_size=connections, max_overflow=0, pool_pre_ping=True)

    def connect(connection: Any, _: object) -> None:
        connection.autocommit = True
        connection.execute(SESSION)
        connection.autocommit = False

    event.listen(engine, "connect", connect)
    return engine


def _warnings(engine: Engine) -> tuple[str, ...]:
    with engine.connect() as connection:
        if connection.exec_driver_sql("SHOW fsync").scalar_one() != "off":
            return ()
    warning = "this PostgreSQL runs with fsync = off: a power cut can lose what was acknowledged; set fsync = on"
    logging.getLogger(__name__).warning(warning)
    return (warning,)


def _expected() -> str:
    return "should be like postgresql+psycopg://user:password@host/name"
