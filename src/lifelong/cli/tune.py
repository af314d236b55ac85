"""`lifelong tune`: choose hyper-parameters on the first tasks, report on the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lifelong.errors import SettingError, require

__all__ = ["tune"]


def tune(
    stream: Annotated[str, typer.Argument(help="a stream (lifelong streams)")],
    method: Annotated[str, typer.Option("-m", "--method", help="one method, or a chain as in ewc+er")],
    sets: Annotated[
        list[str],
        typer.Option("--set", help="what to search, METHOD.FIELD=1e1..1e6:log or =a|b; or a fixed METHOD.FIELD=VALUE"),
    ],
    on: Annotated[str, typer.Option(help="first-K: validation data of the first K tasks; all: optimistic")] = "first-3",
    trials: Annotated[int, typer.Option(help="settings to try")] = 20,
    search_seeds: Annotated[str, typer.Option(help="seeds per trial: how many, or which")] = "2",
    seeds: Annotated[str, typer.Option(help="seeds of the final report: how many, or which")] = "5",
    scenario: Annotated[str | None, typer.Option(help="task, domain or class")] = None,
    tasks: Annotated[int | None, typer.Option(help="how many tasks")] = None,
    epochs: Annotated[int | None, typer.Option(help="passes over each task")] = None,
    iterations: Annotated[int | None, typer.Option(help="steps per task instead of epochs")] = None,
    batch: Annotated[int | None, typer.Option(help="examples per step")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, adam or adamw")] = None,
    lr: Annotated[float | None, typer.Option(help="learning rate")] = None,
    model: Annotated[str | None, typer.Option(help="mlp:400,400, cnn or linear")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="where the data files are")] = None,
    out: Annotated[Path, typer.Option(help="keep the study and the final runs here")] = Path("runs/tune"),
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object on stdout and nothing else")] = False,
) -> None:
    """Choose hyper-parameters on validation data of the first tasks only, then report on all of them."""
    from dataclasses import replace

    from lifelong.cli.choices import experiment_from, seeds_from
    from lifelong.cli.progress import counting, following, stopped_with
    from lifelong.cli.show_results import show_results
    from lifelong.evaluation.statistics import interval
    from lifelong.experiments import Folder, run_experiment
    from lifelong.experiments.tune import parse, search, with_values
    from lifelong.experiments.tune.ranges import is_range
    from lifelong.plugins import add_working_folder
    from lifelong.reports.wording import with_interval

    for text in sets:
        listed = "," in text and not text.startswith("stream.")  # only streams have settings that are lists
        choices = text.replace(",", "|")
        require(not listed, f"choices to search are written with |, as in --set '{choices}', got {text!r}")
    add_working_folder()
    searched = {path: parse(value) for path, _, value in (text.partition("=") for text in sets) if is_range(value)}
    experiment = experiment_from(
        stream,
        methods=[method],
        sets=[text for text in sets if not is_range(text.partition("=")[2])],
        stream_options={"scenario": scenario, "tasks": tasks},
        training_options={
            "epochs": epochs, "iterations": iterations, "batch": batch, "optimizer": optimizer, "lr": lr
        },
        seeds=search_seeds,
        model=model,
        head=None,
        evaluate="every",
        data_dir=data_dir,
        threads=1,
    )  # fmt: skip
    total = len(experiment.stream_for(experiment.seeds[0]))
    first = _first(on, total)
    kept = f"finished trials are kept in {out}: the same command goes on from there"
    with stopped_with(kept), counting(f"trials of {method} on {stream}", trials) as told:
        choice = search(
            experiment,
            searched,
            first=first,
            trials=trials,
            out=out,
            on_trial=lambda trial: told(
                f"{_text(trial.values)}: "
                + (trial.problem if trial.score is None else f"validation score {100 * trial.score:.2f} %")
            ),
        )
    seen = "all tasks" if first == total else f"tasks 1 … {first}"
    warning = "optimistic: " if first == total else ""
    note = f"{warning}{_text(choice.values)} chosen in {choice.trials} trials on the validation data of {seen}"
    final = replace(with_values(experiment, choice.values), seeds=tuple(seeds_from(seeds)), note=note)
    with following(final) as (on_event, on_record):
        results = run_experiment(final, Folder(out / "final"), on_event=on_event, on_record=on_record)
    rest = [100 * float(record.matrix[-1, first:].mean()) for record in results.records] if first < total else []
    if as_json:
        found = {"values": choice.values, "validation_score": choice.score, "trials": choice.trials}
        honest = {"rest_acc": interval(rest).mean if rest else None, "optimistic": not rest}
        typer.echo(json.dumps({**found, **honest, "results": results.to_json()}, allow_nan=False))
        return
    show_results(results, Console())
    if rest:
        alone = with_interval(interval(rest), "{:.2f}".format)
        typer.echo(f"\nACC on tasks {first + 1} … {total} alone: {alone} %")
    typer.echo(f"kept in {out}; run again with: lifelong run {out / 'final'}")


def _first(on: str, total: int) -> int:
    if on == "all":
        return total
    prefix, _, number = on.partition("-")
    if prefix != "first" or not number.isdigit():
        raise SettingError(f"--on takes first-K or all, got {on!r}")
    require(
        1 <= int(number) < total, f"--on first-K needs K in 1 … {total - 1} for {total} tasks, got {on}; or use all"
    )
    return int(number)


def _text(values: dict[str, object]) -> str:
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()
    )
