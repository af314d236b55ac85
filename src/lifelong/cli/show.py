"""`lifelong streams`, `lifelong methods`, `lifelong version`: what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

__all__ = ["methods", "streams", "version"]


def streams(name: Annotated[str | None, typer.Argument(help="show the card of this stream")] = None) -> None:
    """List the streams, or show the card of one."""
    from lifelong.streams import NAMES
    from lifelong.streams.catalogue import card, sentence

    if name is not None:
        typer.echo(card(name))
        return
    _list("stream", {name: sentence(name) for name in NAMES})


def methods(
    name: Annotated[str | None, typer.Argument(help="show the card of this method")] = None,
    write: Annotated[Path | None, typer.Option(help="write all cards as pages of markdown to this folder")] = None,
) -> None:
    """List the methods, or show the card of one. Several join as in ewc+er."""
    from lifelong.errors import unknown_name
    from lifelong.methods import METHODS
    from lifelong.methods.card import COLUMNS, card, index, page, row
    from lifelong.store import write_atomically

    if write is not None:
        write.mkdir(parents=True, exist_ok=True)
        pages = {"README": index(list(METHODS.values())), **{kind.name: page(kind) for kind in METHODS.values()}}
        for title, text in pages.items():
            write_atomically(write / f"{title}.md", text.encode())
        typer.echo(f"wrote {len(pages)} pages to {write}")
    elif name is None:
        table = Table(*COLUMNS, box=None, padding=(0, 2, 0, 0))
        for kind in METHODS.values():
            table.add_row(*row(kind))
        Console().print(table)
    elif name in METHODS:
        typer.echo(card(METHODS[name]))
    else:
        raise unknown_name("method", name, METHODS)


def version() -> None:
    """Print the version."""
    import lifelong

    typer.echo(lifelong.__version__)


def _list(title: str, rows: dict[str, str]) -> None:
    table = Table(title, "what it is", box=None, padding=(0, 2, 0, 0))
    for name, text in rows.items():
        table.add_row(name, text)
    Console().print(table)
