"""`lifelong reproduce`: published tables, ours beside theirs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lifelong.errors import require

if TYPE_CHECKING:
    from lifelong.experiments.reproduce import Compared

__all__ = ["reproduce"]


def reproduce(
    name: Annotated[str | None, typer.Argument(help="homework, three-scenarios, der or gem")] = None,
    methods: Annotated[list[str] | None, typer.Option("-m", "--methods", help="only these; once per method")] = None,
    rows: Annotated[list[str] | None, typer.Option(help="only protocols that begin so; once per protocol")] = None,
    seeds: Annotated[int | None, typer.Option(help="how many; default the table's own")] = None,
    jobs: Annotated[int | None, typer.Option(help="runs at a time; default one per core")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="where MNIST is; default $LIFELONG_DATA")] = None,
    out: Annotated[Path, typer.Option(help="keep runs here; the same command goes on from them")] = Path(
        "runs/reproduce"
    ),
    store: Annotated[
        Path | None, typer.Option(help="keep results here, one file per part; default OUT/results")
    ] = None,
    write: Annotated[Path | None, typer.Option(help="write the page of all stored results to this file")] = None,
) -> None:
    """Run a published table's own protocol, and print ours beside the published values."""
    from lifelong.cli.progress import counting, stopped_with
    from lifelong.experiments.reproduce import page, run_table, table, verdict
    from lifelong.experiments.reproduce import store as store_part
    from lifelong.reports import Fitted
    from lifelong.store import write_atomically

    require(
        name is not None or write is not None, "name a table: homework, three-scenarios, der or gem; or --write FILE"
    )
    results = store or out / "results"
    if name is not None:
        chosen = table(name)
        kept = f"finished runs are kept in {out}: the same command goes on from them"
        with stopped_with(kept), counting(f"runs of the table {name}") as told:
            found = run_table(
                chosen,
                out,
                methods=methods or (),
                rows=rows or (),
                seeds=seeds,
                jobs=jobs,
                data_dir=None if data_dir is None else str(data_dir.resolve()),
                on_record=lambda part, record: told(
                    f"{part} seed {record.seed}: ACC {100 * record.scores['acc']:.2f} %, "
                    f"{record.cost.train_seconds:.0f} s of training"
                ),
            )
        printed = Table("protocol", "method", "measure", "published", "ours", "difference", "", "seeds", box=None)
        for part, records in found:
            for cell in store_part(results, chosen, part, records).cells:
                printed.add_row(*_row(cell), verdict(cell).strip("*"), str(cell.seeds))
        Console().print(Fitted(printed))
    if write is not None:
        write_atomically(write, page(results).encode())
        typer.echo(f"wrote {write}")


def _row(cell: Compared) -> tuple[str, ...]:
    spread = "" if cell.published_ci95 is None else f" ± {cell.published_ci95:.2f}"
    published = "" if cell.published is None else f"{cell.published:.2f}{spread} ({cell.confidence})"
    ours = f"{cell.mean:.2f}" + ("" if cell.ci95 is None else f" ± {cell.ci95:.2f}")
    difference = "" if cell.difference is None else f"{cell.difference:+.2f}"
    return cell.row, cell.label, cell.measure, published, ours, difference
