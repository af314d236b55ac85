"""`lifelong demo`: the main job on embedded data, from nothing to a report; `lifelong demo loop`: a life online."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lifelong.cli.extras import needing

__all__ = ["app"]

app = typer.Typer(help="See it work on embedded data: in the lab, and online (demo loop).")


@app.callback(invoke_without_command=True)
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="where to keep results and the report")] = Path("runs/demo"),
) -> None:
    """Learn rotated digits over 5 tasks with five methods × 3 seeds, print the table and write the report."""
    if context.invoked_subcommand is not None:
        return
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


@app.command("loop")
def loop(
    home: Annotated[Path | None, typer.Option(help="a new folder for it; default a temporary one")] = None,
    port: Annotated[int, typer.Option(help="0 takes a free one")] = 0,
    keep: Annotated[bool, typer.Option("--keep", help="leave the server running until Ctrl-C")] = False,
) -> None:
    """A life of twelve updates online: users correct the model, which learns what is new and keeps what it knows.

    Drift that comes back, a class that comes late, wrong labels that are found out, candidates that are repaired, a
    full retrain. Exit code 1 where a request failed, or the gate decided otherwise than the story tells.
    """
    with needing("serve"):
        from lifelong.cli.life import life_table
        from lifelong.reports import Fitted
        from lifelong.service.demonstration import tell_story
        from lifelong.service.running import stopping

    console, start = Console(), time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - start:5.1f} s[/]  ", end="")
        console.print(text, highlight=False, markup=False)

    with (
        tempfile.TemporaryDirectory(prefix="lifelong-demo-") as temporary,
        stopping() as stopped,
        tell_story(home or Path(temporary) / "home", say, port) as shown,
    ):
        console.print(
            "\nThe life of the model, accuracy in % (a row for each version, * answers now; a column for each task):"
        )
        champion = next(row["candidate"] for row in reversed(shown.updates) if row["state"] == "promoted")
        numbers = {version["id"]: version["number"] for version in shown.life["versions"]}
        console.print(Fitted(life_table(shown.life, numbers[champion])))
        for kind, before in shown.before.items():
            told = f"{kind} digits: {100 * before:.1f} % right before, {100 * shown.after[kind]:.1f} % now"
            console.print(told, highlight=False)
        console.print(f"{shown.seconds:.0f} s in all", highlight=False)
        if keep:
            console.print(f"\n{shown.url} goes on; log in with the key", highlight=False)
            console.print(shown.key, highlight=False, soft_wrap=True)
            console.print("Ctrl-C ends it", highlight=False)
            while not stopped.wait(0.5):
                pass
    for surprise in shown.surprises:
        console.print(surprise, highlight=False)
    if shown.failures or shown.audit_breaks or shown.surprises:
        raise typer.Exit(1)
