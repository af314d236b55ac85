"""The program `lifelong`: the commands of the library, and the chapter on top of them."""

from __future__ import annotations

from lifelong.chapter.command import chapter
from lifelong.cli import app, main

__all__ = ["main"]

app.command("chapter")(chapter)

if __name__ == "__main__":
    main()
