"""`lifelong homework`: start, check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text as Line

from lifelong.cli.extras import needing
from lifelong.errors import require

if TYPE_CHECKING:
    from lifelong.evaluation import Record
    from lifelong.reports.bilingual import Language

__all__ = ["app"]

app = typer.Typer(help="Write a method of your own, and have it graded.", no_args_is_help=True)


@app.command("start")
def start(
    folder: Annotated[Path, typer.Argument(help="where to write the starter code")] = Path("homework"),
) -> None:
    """Write starter code (your method as one class) and the task sheet, in English and Chinese."""
    from lifelong.chapter.homework.starter_files import write_starter

    paths = write_starter(folder)
    typer.echo(f"{paths[0]}: your method\n{paths[1]}: the task\ngrade it with: lifelong homework check {paths[0]}")


@app.command("check")
def check(
    target: Annotated[str, typer.Argument(help="your file; FILE:Class where it has several methods")],
    language: Annotated[str, typer.Option(help="of the grade: en or zh")] = "en",
    jobs: Annotated[int | None, typer.Option(help="runs at a time; default one per core")] = None,
) -> None:
    """Grade your method on rotated digits, beside fine-tuning, EWC, rehearsal and joint training; a minute or so.

    Exit code 0 where it passes, 1 where it does not.
    """
    require(language in ("en", "zh"), f"--language must be en or zh, got {language!r}")
    require(jobs is None or jobs >= 1, f"--jobs must be 1 or more, got {jobs}")
    with needing("report"):
        from lifelong.chapter.homework.grading import PASS, accuracies, grade, reference_runs, student_runs
        from lifelong.chapter.homework.student import StudentError, load_method, split_target
        from lifelong.reports.bilingual import Text

    spoken = cast("Language", language)
    path, name = split_target(target)
    console = Console(highlight=False)
    heading = Text("grade", "分数").of(spoken)
    try:
        student = student_runs(load_method(path, name), path)
    except StudentError as error:
        console.print(Line(str(error)), soft_wrap=True)
        console.print(Line(f"{heading}: 0 / 100", style="bold"))
        sys.exit(1)
    references = reference_runs(jobs)
    done = grade(accuracies(student)[student[0].method], accuracies(references))
    console.print(_table(student, references, spoken))
    console.print(Line(f"{heading}: {done.rule.points} / 100", style="bold"), Line(f"({done.rule.why.of(spoken)})"))
    console.print(Line(f"{Text('next', '下一步').of(spoken)}: {done.rule.then.of(spoken)}"))
    sys.exit(0 if done.rule.points >= PASS else 1)


def _table(student: list[Record], references: list[Record], language: Language) -> Table:
    """One row per method, the student's last: percent, mean ± 95 % interval over seeds."""
    from lifelong.chapter.homework.grading import accuracies
    from lifelong.evaluation import bwt, by_method, interval, paired_difference
    from lifelong.reports.bilingual import Text
    from lifelong.reports.wording import points, size, with_interval

    caption = Text(
        "Rotated digits, five tasks: percent, mean ± 95 % interval over seeds",
        "旋转的数字，五个任务：百分比，各随机种子的平均 ± 95% 置信区间",
    )
    table = Table(title=Line(caption.of(language), style="italic"), title_justify="left", box=None)
    against, stored = Text("ACC − finetune", "ACC − finetune"), Text("stored", "存储")
    for head in (Text("method", "方法"), Text("ACC", "ACC"), Text("BWT", "反向迁移"), against, stored):
        table.add_column(Line(head.of(language)), justify="left" if head.en == "method" else "right")
    base = accuracies(references)["finetune"]
    for records, style in ((references, ""), (student, "bold")):
        for method, some in by_method(records).items():
            values = accuracies(some)[method]
            cells = (
                with_interval(interval(values)),
                with_interval(interval([float(bwt(record.matrix)) for record in some]), points),
                with_interval(paired_difference(values, base), points),
                size(max(record.cost.stored_bytes for record in some)),
            )
            table.add_row(*map(Line, (method, *cells)), style=style)
    return table
