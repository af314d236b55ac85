"""`lifelong demo`: the main job on embedded data, from nothing to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

__all__ = ["demo"]


def demo(out: Annotated[Path, typer.Option(help="where to keep results and the report")] = Path("runs/demo")) -> None:
    """Learn rotated digits over 5 tasks with five methods × 3 seeds, print the table and write the report."""
    from lifelong.cli.progress import following
    from lifelong.cli.show_results import show_results
    from lifelong.experiments import Folder, MethodSpec, configure, run_experiment

    names = ("finetune", "ewc", "gem", "er", "joint")
    experiment = configure("rotated-digits", [MethodSpec.of(name) for name in names], range(3))
    console = Console()
    console.print(
        "Handwritten digits, turned a little further in each of 5 tasks. One network learns them one after the other:\n"
        "finetune defends nothing, ewc holds important weights, gem and er keep some examples, joint keeps them all.\n"
    )
    with following(experiment) as (on_event, on_record):
        results = run_experiment(experiment, Folder(out), on_event=on_event, on_record=on_record)
    show_results(results, console)
    files = results.report(out)
    typer.echo(
        f"\nreport: {files[0]}\npictures: {len(files) - 1} PNG files beside it\nexperiment: {out}/experiment.toml"
    )
