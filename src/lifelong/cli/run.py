"""`lifelong run`: methods × seeds on a stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lifelong.cli.completion import methods_like, streams_like
from lifelong.errors import SettingError

__all__ = ["run"]

OWN = "the stream's own"
Scenario = Annotated[str | None, typer.Option(help="task, domain or class", show_default=OWN)]


def run(
    stream: Annotated[
        str,
        typer.Argument(
            help="a stream (lifelong streams, package.module:stream), an experiment.toml, or a run folder",
            autocompletion=streams_like,
        ),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--method",
            help="ewc, ewc:strength=10, package.module:MyMethod; once per method, or ewc,er; several join as in ewc+er",
            show_default="finetune, ewc, er, joint",
            autocompletion=methods_like,
        ),
    ] = None,
    scenario: Scenario = None,
    tasks: Annotated[int | None, typer.Option(help="how many tasks", show_default=OWN)] = None,
    seeds: Annotated[str | None, typer.Option(help="how many, or which as in 0,3,7", show_default="5")] = None,
    epochs: Annotated[int | None, typer.Option(help="passes over each task", show_default=OWN)] = None,
    iterations: Annotated[int | None, typer.Option(help="steps per task instead", show_default="epochs")] = None,
    batch: Annotated[int | None, typer.Option(help="examples per step", show_default=OWN)] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, adam or adamw", show_default=OWN)] = None,
    lr: Annotated[float | None, typer.Option(help="learning rate", show_default=OWN)] = None,
    model: Annotated[
        str | None, typer.Option(help="mlp:400,400, cnn, package.module:function", show_default=OWN)
    ] = None,
    head: Annotated[str | None, typer.Option(help="all, growing or per-task", show_default="by scenario")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="METHOD.FIELD=VALUE, stream.FIELD=VALUE or training.FIELD=VALUE"),
    ] = None,
    evaluate: Annotated[str | None, typer.Option(help="every, every:K, last, sampled:M", show_default="every")] = None,
    objective: Annotated[str | None, typer.Option(help="package.module:MyObjective in place of the stream's")] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="package.module:function of decisions and targets; once per metric")
    ] = None,
    prequential: Annotated[bool, typer.Option("--prequential", help="answer every batch before it is learned")] = False,
    keep_predictions: Annotated[
        bool, typer.Option("--keep-predictions", help="keep what the finished learners decide; needs --out to last")
    ] = False,
    data_dir: Annotated[Path | None, typer.Option(help="where data files are", show_default="$LIFELONG_DATA")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or mps", show_default="cpu")] = None,
    threads: Annotated[int | None, typer.Option(help="threads of each run", show_default="1")] = None,
    jobs: Annotated[int | None, typer.Option(help="runs at a time", show_default="one per core")] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="also save every so many steps within a task")] = None,
    out: Annotated[Path | None, typer.Option(help="keep results here; the same command goes on from them")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object on stdout and nothing else")] = False,
) -> None:
    """Run methods × seeds on a stream, and show what was learned, forgotten and transferred.

    Defaults that are the stream's own stand in its card (lifelong streams NAME) and in docs/defaults.md.
    """
    from lifelong.cli.choices import DEFAULT_METHODS, experiment_from, is_file
    from lifelong.cli.progress import following
    from lifelong.cli.show_results import show_results
    from lifelong.experiments import Folder, load, run_experiment
    from lifelong.plugins import add_working_folder

    choices = (method, scenario, tasks, seeds, epochs, iterations, batch, optimizer, lr, model, head, sets, evaluate)
    choices += (objective, metric, prequential or None, keep_predictions or None)
    if is_file(stream):
        if any(choice is not None for choice in (*choices, data_dir, device, threads)):
            raise SettingError(f"{stream} says what to run; change it there, or give the name of a stream instead")
        add_working_folder()
        experiment = load(Path(stream))
        if out is None and Path(stream).is_dir():
            out = Path(stream)
    else:
        experiment = experiment_from(
            stream,
            methods=method or DEFAULT_METHODS,
            sets=sets or (),
            stream_options={"scenario": scenario, "tasks": tasks},
            training_options={
                "epochs": epochs,
                "iterations": iterations,
                "batch": batch,
                "optimizer": optimizer,
                "lr": lr,
                "device": device,
            },
            seeds=seeds or "5",
            model=model,
            head=head,
            evaluate=evaluate or "every",
            data_dir=data_dir,
            threads=threads or 1,
            objective=objective,
            metrics=metric or (),
            prequential=prequential,
            keep_predictions=keep_predictions,
        )
    folder = None if out is None else Folder(out)
    with following(experiment) as (on_event, on_record):
        results = run_experiment(
            experiment,
            folder,
            jobs=jobs,
            checkpoint_every=checkpoint_every,
            on_event=on_event,
            on_record=on_record,
        )
    if as_json:
        typer.echo(json.dumps(results.to_json(), allow_nan=False))
    else:
        show_results(results, Console())
        if out is not None:
            typer.echo(f"\nkept in {out}; see pictures with: lifelong report {out}")
