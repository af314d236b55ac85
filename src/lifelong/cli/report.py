"""`lifelong report`: one HTML page and its pictures from a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    folder: Annotated[Path, typer.Argument(help="a folder that `lifelong run --out` made")],
    out: Annotated[Path | None, typer.Option(help="where to write; default into the folder")] = None,
) -> None:
    """Write one self-contained HTML page and PNGs from the finished runs of a folder."""
    from lifelong.experiments import collect

    results = collect(folder)
    files = results.report(out or folder)
    typer.echo(f"report: {files[0]}\npictures: {len(files) - 1} PNG files beside it")
