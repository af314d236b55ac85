"""`lifelong`: the commands, and what becomes of an error: one message on stderr, exit code 2."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from lifelong.cli import data, demo, keys, loop, report, reproduce, run, serve, show, tune, worker
from lifelong.errors import LifelongError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Learn task after task without forgetting, and see what was forgotten.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=show.print_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """What comes before a command."""


app.command("run")(run.run)
app.command("report")(report.report)
app.command("tune")(tune.tune)
app.command("reproduce")(reproduce.reproduce)
app.command("streams")(show.streams)
app.command("methods")(show.methods)
app.command("version")(show.version)
app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.add_typer(demo.app, name="demo")
app.add_typer(loop.app, name="loop")
loop.app.add_typer(keys.app, name="keys")
app.add_typer(data.app, name="data")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit codes: 0 done, 2 a mistake that can be mended, 130 stopped by Ctrl-C."""
    try:
        app(arguments)
    except LifelongError as error:
        Console(stderr=True, highlight=False).print("[bold red]error:[/]", Text(str(error)), soft_wrap=True)
        sys.exit(2)
