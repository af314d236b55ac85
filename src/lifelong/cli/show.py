"""`lifelong streams`, `lifelong methods`, `lifelong version`: what there is."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lifelong.cli.completion import methods_like, streams_like
from lifelong.errors import require

__all__ = ["methods", "print_version", "streams", "version"]


def streams(
    name: Annotated[
        str | None, typer.Argument(help="show the card of this stream", autocompletion=streams_like)
    ] = None,
) -> None:
    """List the streams, or show the card of one."""
    from lifelong.plugins import add_working_folder, entry_points
    from lifelong.streams import NAMES
    from lifelong.streams.catalogue import card, outside, sentence

    add_working_folder()
    if name is not None:
        outer = outside(name)
        typer.echo(card(name) if outer is None else inspect.getdoc(outer) or f"{name} has no docstring")
        return
    registered = {point.name: f"registered by {_package(point)}" for point in entry_points("stream").values()}
    _list("stream", {name: sentence(name) for name in NAMES} | registered)


def methods(
    name: Annotated[
        str | None,
        typer.Argument(help="show the card of this method, or of ewc+er", autocompletion=methods_like),
    ] = None,
    language: Annotated[str, typer.Option(help="en, or zh: what each method does, in Chinese")] = "en",
    write: Annotated[Path | None, typer.Option(help="write all cards as pages of markdown to this folder")] = None,
) -> None:
    """List the methods, or show the card of one. Several join as in ewc+er."""
    from lifelong.methods import METHODS, method_class
    from lifelong.methods.card import COLUMNS, card, chain_card, index, page, row, sentence
    from lifelong.plugins import add_working_folder, entry_points
    from lifelong.reports import Fitted
    from lifelong.store import write_atomically

    require(language in ("en", "zh"), f"--language must be en or zh, got {language!r}")
    add_working_folder()
    if write is not None:
        write.mkdir(parents=True, exist_ok=True)
        pages = {"README": index(list(METHODS.values())), **{kind.name: page(kind) for kind in METHODS.values()}}
        for title, text in pages.items():
            write_atomically(write / f"{title}.md", text.encode())
        typer.echo(f"wrote {len(pages)} pages to {write}")
    elif language == "zh":
        for kind in METHODS.values() if name is None else map(method_class, name.split("+")):
            typer.echo(f"{kind.name:<13}{sentence(kind, 'zh')}")
    elif name is None:
        table = Table(*COLUMNS, box=None, padding=(0, 2, 0, 0))
        for kind in METHODS.values():
            table.add_row(*row(kind))
        for point in entry_points("method").values():
            table.add_row(point.name, f"registered by {_package(point)}")
        Console().print(Fitted(table))
    elif "+" in name:
        typer.echo(chain_card(name))
    else:
        typer.echo(card(method_class(name, import_paths=True)))


def version() -> None:
    """Print the version."""
    import lifelong

    typer.echo(lifelong.__version__)


def print_version(asked: bool) -> None:
    """Print the version and end, where `--version` asked for it."""
    if asked:
        version()
        raise typer.Exit


def _package(point: EntryPoint) -> str:
    return point.value if point.dist is None else point.dist.name


def _list(title: str, rows: dict[str, str]) -> None:
    table = Table(title, "what it is", box=None, padding=(0, 2, 0, 0))
    for name, text in rows.items():
        table.add_row(name, text)
    from lifelong.reports import Fitted

    Console().print(Fitted(table))
