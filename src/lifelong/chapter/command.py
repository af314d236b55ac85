"""`lifelong chapter`: the classic experiments of lifelong learning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lifelong.cli import counting, stopped_with
from lifelong.errors import SettingError, require

if TYPE_CHECKING:
    from lifelong.chapter import Lesson
    from lifelong.chapter.shown import Shown
    from lifelong.reports.bilingual import Language

__all__ = ["chapter"]


def chapter(
    names: Annotated[list[str] | None, typer.Argument(help="experiments to run; none lists them")] = None,
    whole: Annotated[bool, typer.Option("--all", help="run every experiment")] = False,
    data: Annotated[str, typer.Option(help="handwritten digits: digits (embedded) or mnist")] = "digits",
    full: Annotated[bool, typer.Option("--full", help="at full length what is shortened by default (hours)")] = False,
    seed: Annotated[int, typer.Option(help="of every random number")] = 0,
    language: Annotated[str, typer.Option(help="of what is printed: en or zh; the page has both")] = "en",
    jobs: Annotated[int | None, typer.Option(help="parts at a time; default one per core")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="where data files are; default $LIFELONG_DATA")] = None,
    out: Annotated[Path, typer.Option(help="page and values; the same command goes on from there")] = Path(
        "runs/chapter"
    ),
) -> None:
    """Run experiments of the chapter: print what they found, and write one page with all figures."""
    require(language in ("en", "zh"), f"--language must be en or zh, got {language!r}")
    require(data in ("digits", "mnist"), f"--data must be digits or mnist, got {data!r}")
    require(jobs is None or jobs >= 1, f"--jobs must be 1 or more, got {jobs}")
    try:
        from lifelong.chapter import LESSONS, Setup, finished, lesson, run_lessons, unfinished, write_page
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("matplotlib", "jinja2"):
            raise SettingError("the chapter needs matplotlib and jinja2: pip install 'lifelong[report]'") from error
        raise
    spoken = cast("Language", language)
    console = Console(highlight=False)
    if not names and not whole:
        for each in LESSONS.values():
            console.print(f"{each.name:<16}{', '.join(each.figures):<18}{each.title.of(spoken)}")
        return
    require(not (names and whole), "name experiments, or say --all, not both")
    chosen = list(LESSONS.values()) if whole else [lesson(name) for name in names or ()]
    place = None if data_dir is None else str(data_dir.resolve())
    setup = Setup(cast(Literal["digits", "mnist"], data), place, full, seed)
    kept = f"finished parts are kept in {out}: the same command goes on from there"
    left = len(unfinished(chosen, setup, out))
    with stopped_with(kept), counting(f"parts of {len(chosen)} experiment{'s' * (len(chosen) > 1)}", left) as told:
        run_lessons(
            chosen,
            setup,
            out,
            jobs=jobs,
            on_part=lambda name, part, seconds: told(f"{name}: {part}, {seconds:.1f} s"),
        )
    for each in chosen:
        values = finished(each, setup, out)
        if values is not None:
            _print(console, each, each.show(setup, values), spoken)
    with stopped_with(kept), counting("drawing the page"):
        paths = write_page(setup, out, jobs=jobs)
    typer.echo(f"\npage: {paths[0]}\npictures: {len(paths) - 1} PNG files in {out / 'pictures'}")


def _print(console: Console, lesson: Lesson, shown: Shown, language: Language) -> None:
    """The paragraph, the notes and the tables of one experiment."""
    from lifelong.reports import Fitted

    console.print(Text(f"\n{lesson.title.of(language)}", style="bold"))
    console.print(Text(f"{lesson.see.of(language)}\n"))
    for claim in shown.claims:
        console.print(Text(f"{'✓' if claim.holds else '✗'} {claim.sentence.of(language)}"))
    for note in shown.notes:
        console.print(Text(note.of(language), style="dim"))
    for table in shown.tables:
        caption, heads, rows = table.in_language(language)
        printed = Table(title=Text(caption, style="italic"), title_justify="left", box=None)
        for head in heads:
            printed.add_column(Text(head))
        for row in rows:
            printed.add_row(*map(Text, row))
        console.print(Fitted(printed))
