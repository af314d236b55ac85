"""The program `lifelong`: the commands of the library, and the chapter on top of them."""

from __future__ import annotations

from lifelong.chapter.command import chapter
from lifelong.chapter.homework.command import app as homework
from lifelong.chapter.notebooks.command import notebooks
from lifelong.cli import app, main

__all__ = ["main"]

app.command("chapter")(chapter)
app.command("notebooks")(notebooks)
app.add_typer(homework, name="homework")

if __name__ == "__main__":
    main()
