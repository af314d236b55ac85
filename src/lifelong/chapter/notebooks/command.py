"""`lifelong notebooks`: the chapter to work through, one notebook per section."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console

from lifelong.cli.extras import needing
from lifelong.errors import require

if TYPE_CHECKING:
    from lifelong.reports.bilingual import Language

__all__ = ["notebooks"]


def notebooks(
    folder: Annotated[Path, typer.Argument(help="where to write them, in a folder for each language")],
    language: Annotated[str | None, typer.Option(help="en or zh; default both")] = None,
    run: Annotated[
        bool, typer.Option("--run", help="run them (a minute for each language) and keep the outputs")
    ] = False,
) -> None:
    """Write the notebooks of the chapter: predictions to make, exercises with hidden answers, pictures."""
    require(language in (None, "en", "zh"), f"--language must be en or zh, got {language!r}")
    with needing("report"):
        from lifelong.chapter.notebooks import notebooks as build
        from lifelong.chapter.notebooks import refuse_existing, write_notebooks
    contents = build(("en", "zh") if language is None else (cast("Language", language),))
    if run:
        with needing("notebooks"):
            from lifelong.chapter.notebooks.execute import executed
        refuse_existing(folder, contents)
        news = Console(stderr=True, highlight=False)
        for file, content in contents.items():
            start = time.monotonic()
            contents[file] = executed(content)
            news.print(f"{file}: {time.monotonic() - start:.1f} s")
    paths = write_notebooks(folder, contents)
    typer.echo(f"{len(paths)} notebooks in {folder}; open them with: jupyter lab {folder}")
