"""`lifelong report`: one HTML page and its pictures from a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from lifelong.errors import require

__all__ = ["report"]


def report(
    folder: Annotated[Path, typer.Argument(help="a folder that `lifelong run --out` made")],
    out: Annotated[Path | None, typer.Option(help="where to write; default into the folder")] = None,
    language: Annotated[str, typer.Option(help="of the page: en or zh")] = "en",
) -> None:
    """Write one self-contained HTML page and PNGs from the finished runs of a folder."""
    from lifelong.experiments import collect

    require(language in ("en", "zh"), f"--language must be en or zh, got {language!r}")
    results = collect(folder)
    files = results.report(out or folder, language=cast(Literal["en", "zh"], language))
    typer.echo(f"report: {files[0]}\npictures: {len(files) - 1} PNG files beside it")
