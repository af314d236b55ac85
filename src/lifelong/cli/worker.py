"""`lifelong worker`: learn updates for a server, on this machine."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lifelong.cli.extras import needing

__all__ = ["worker"]


def worker(
    server: Annotated[str, typer.Argument(help="its address, as in http://127.0.0.1:8000")],
    key: Annotated[str | None, typer.Option(help="a key of it with the scope worker; default $LIFELONG_KEY")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="for files of the update at hand; default a temporary one")
    ] = None,
) -> None:
    """Learn updates for a server until Ctrl-C or SIGTERM; start as many as you like, wherever you like."""
    with needing("serve"):
        from lifelong.service.client import VARIABLE, Server
        from lifelong.service.running import stopping
        from lifelong.service.worker import work_for

    secret = key or os.environ.get(VARIABLE)
    with tempfile.TemporaryDirectory(prefix="lifelong-worker-") as temporary, stopping() as stopped:
        typer.echo(f"working for {server}")
        work_for(Server(server.rstrip("/"), secret), folder or Path(temporary), stopped)
