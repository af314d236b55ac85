"""`lifelong loop keys …`: who may ask the server, and for what."""

from __future__ import annotations

import json
import time
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from lifelong.cli.asking import Blobs, Database, Home, Json, Key, ask

__all__ = ["app"]

app = typer.Typer(help="API keys: make, list, revoke.", no_args_is_help=True)


class Scope(Enum):
    """What a key opens."""

    PREDICT = "predict"
    FEEDBACK = "feedback"
    WORKER = "worker"
    ADMIN = "admin"


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="who or what will use it; the audit tells it")],
    scope: Annotated[list[Scope], typer.Option(help="what it opens; admin is everything; may be given more than once")],
    expires: Annotated[float | None, typer.Option(help="days until it ends; default: it does not")] = None,
    home: Home = Path("home"),
    key: Key = None,
    database: Database = None,
    blobs: Blobs = None,
    as_json: Json = False,
) -> None:
    """Make a key; it is shown this once."""
    body = {"name": name, "scopes": [each.value for each in scope], "days": expires}
    made = ask(home, key, "POST", "keys", body, database=database, blobs=blobs)
    if as_json:
        typer.echo(json.dumps(made))
        return
    typer.echo(f"key {made['id']} of {made['name']!r} (shown this once, keep it): {made['key']}")


@app.command("list")
def listed(
    home: Home = Path("home"),
    key: Key = None,
    database: Database = None,
    blobs: Blobs = None,
    as_json: Json = False,
) -> None:
    """Every key, without what opens."""
    rows = ask(home, key, "GET", "keys", database=database, blobs=blobs)
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo(f"{row['id']}  {row['name']:<20} {', '.join(row['scopes']):<24} {_state(row, time.time())}")


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="as lifelong loop keys list tells it")],
    home: Home = Path("home"),
    key: Key = None,
    database: Database = None,
    blobs: Blobs = None,
) -> None:
    """Close a key for good."""
    row = ask(home, key, "DELETE", f"keys/{key_id}", database=database, blobs=blobs)
    typer.echo(f"key {row['id']} of {row['name']!r} opens nothing any more")


def _state(row: dict[str, Any], now: float) -> str:
    """A word on whether it opens.

    >>> _state({"revoked": None, "expires": 86400.0}, 0.0)
    'until 1970-01-02 00:00'
    """
    if row["revoked"] is not None:
        return f"revoked {_at(row['revoked'])}"
    if row["expires"] is None:
        return "open"
    return f"{'until' if row['expires'] > now else 'expired'} {_at(row['expires'])}"


def _at(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))
