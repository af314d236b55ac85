"""`lifelong serve`: the server over a home, with its worker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lifelong.cli.extras import needing

__all__ = ["serve"]

Homes = Annotated[Path, typer.Option("--home", help="the folder that lifelong loop init made")]


def serve(
    home: Homes = Path("home"),
    host: Annotated[str, typer.Option(help="where to listen; anything but loopback needs keys")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one")] = 8000,
    database: Annotated[str | None, typer.Option(help="postgresql+psycopg://… instead of SQLite in --home")] = None,
    blobs: Annotated[str | None, typer.Option(help="s3://… or another fsspec address instead of --home/blobs")] = None,
    worker: Annotated[bool, typer.Option(help="learn in this server, too")] = True,
    keys: Annotated[bool, typer.Option(help="ask for API keys; off only on loopback")] = True,
    durable: Annotated[bool, typer.Option(help="answer only when the prediction is stored")] = False,
    max_body: Annotated[int, typer.Option(help="bytes of a request's body")] = 8 * 2**20,
    max_rows: Annotated[int, typer.Option(help="inputs in one prediction")] = 1024,
    max_lines: Annotated[int, typer.Option(help="labels in one feedback:batch")] = 10_000,
    rate: Annotated[
        float, typer.Option(help="requests per second that one key may make for long; 0: no limit")
    ] = 1000.0,
    burst: Annotated[int, typer.Option(help="requests that one key may make at once")] = 2000,
    webhook: Annotated[str | None, typer.Option(help="an http address that is told when a project stalls")] = None,
) -> None:
    """Answer predictions, take feedback, learn from it, and swap in what passes the gate.

    The first start prints an admin key, once. Ctrl-C or SIGTERM ends the server in order.
    """
    with needing("serve"):
        from lifelong.service.home import check_home, first_key, open_home
        from lifelong.service.running import announced, stopping
        from lifelong.service.settings import ServeSettings, check_binding

    settings = ServeSettings(
        keys=keys,
        durable=durable,
        max_body=max_body,
        max_rows=max_rows,
        max_lines=max_lines,
        waiting_rows=max(ServeSettings.waiting_rows, max_rows),
        rate=rate or None,
        burst=burst,
        webhook=webhook,
    )
    check_binding(host, settings)
    check_home(home, database)
    with (
        stopping() as stopped,
        open_home(home, settings, database=database, blobs=blobs, with_worker=worker) as opened,
    ):
        for warning in opened.engine.store.warnings:
            typer.echo(f"warning: {warning}", err=True)
        secret = first_key(opened.engine) if keys else None
        if secret is not None:
            typer.echo(f"admin key (shown this once, keep it): {secret}")
        with announced(home, opened.app, settings, host, port) as url:
            typer.echo(f"serving {url}")
            while not stopped.wait(0.5):  # one without end would not hear signals on every system
                pass
