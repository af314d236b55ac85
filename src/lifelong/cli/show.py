"""`lifelong streams`, `lifelong methods`, `lifelong version`: what there is."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

__all__ = ["methods", "streams", "version"]


def streams(name: Annotated[str | None, typer.Argument(help="show the card of this stream")] = None) -> None:
    """List the streams, or show the card of one."""
    from lifelong.streams import NAMES
    from lifelong.streams.card import card, sentence

    if name is not None:
        typer.echo(card(name))
        return
    _list("stream", {name: sentence(name) for name in NAMES})


def methods(name: Annotated[str | None, typer.Argument(help="show the card of this method")] = None) -> None:
    """List the methods, or show the card of one. Several join as in ewc+er."""
    from lifelong.errors import unknown_name
    from lifelong.methods import METHODS
    from lifelong.methods.card import card, sentence

    if name is None:
        table = Table("method", "family", "what it does", "needs", "reference", box=None, padding=(0, 2, 0, 0))
        for kind in METHODS.values():
            needs = ", ".join(kind.needs) or "-"
            table.add_row(kind.name, kind.family, sentence(kind), needs, kind.reference)
        Console().print(table)
        return
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    typer.echo(card(METHODS[name]))


def version() -> None:
    """Print the version."""
    import lifelong

    typer.echo(lifelong.__version__)


def _list(title: str, rows: dict[str, str]) -> None:
    table = Table(title, "what it is", box=None, padding=(0, 2, 0, 0))
    for name, text in rows.items():
        table.add_row(name, text)
    Console().print(table)
