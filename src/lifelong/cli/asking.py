"""What the commands of `lifelong loop` share: where the home is, with what key, and one question to its server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lifelong.cli.extras import needing

__all__ = ["Blobs", "Database", "Home", "Json", "Key", "ask"]

Home = Annotated[Path, typer.Option("--home", help="the folder of the loop")]
Key = Annotated[str | None, typer.Option(help="an admin key of the running server; default $LIFELONG_KEY")]
Json = Annotated[bool, typer.Option("--json", help="print JSON and nothing else")]
Database = Annotated[str | None, typer.Option(help="postgresql+psycopg://… instead of SQLite in --home")]
Blobs = Annotated[str | None, typer.Option(help="s3://… instead of --home/blobs")]


def ask(
    home: Path,
    key: str | None,
    method: str,
    path: str,
    body: object = None,
    *,
    revision: int | None = None,
    database: str | None = None,
    blobs: str | None = None,
) -> Any:
    """What the server of `home` answers to `method` `path` under /v1/. Raises: like `talk` and `Server.ask`."""
    with needing("serve"):
        from lifelong.service.talk import talk

    with talk(home, key, database=database, blobs=blobs) as server:
        return server.ask(method, path, body, under="", revision=revision)
