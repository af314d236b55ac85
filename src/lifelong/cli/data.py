"""`lifelong data fetch`: get the files of a data set that is not embedded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["app", "fetch"]

app = typer.Typer(help="Data sets that are not embedded.", no_args_is_help=True)


@app.callback()
def _data() -> None:
    """Data sets that are not embedded."""


@app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="mnist or fashion-mnist")],
    data_dir: Annotated[Path | None, typer.Option(help="where to put them; default $LIFELONG_DATA, the cache")] = None,
    mirror: Annotated[list[str] | None, typer.Option(help="an address to try instead of the public mirrors")] = None,
) -> None:
    """Download a data set, checked by SHA-256; a download that broke off is resumed."""
    from lifelong.streams.fetch import fetch as fetch_files

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bars: dict[str, TaskID] = {}

        def tell(file: str, done: int, total: int | None) -> None:
            if file not in bars:
                bars[file] = progress.add_task(file, total=total)
            progress.update(bars[file], completed=done, total=total)

        files = fetch_files(name, data_dir, mirrors=mirror or None, progress=tell)
    for file in files:
        typer.echo(file)
