"""`lifelong.run`: methods × seeds on a stream, in parallel where there is more than one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import torch
from torch import nn

from lifelong.errors import LifelongError, SettingError, require
from lifelong.evaluation import Record
from lifelong.evaluation.matrix import schedule
from lifelong.experiments.experiment import Experiment, defaults_for, load
from lifelong.experiments.folder import Folder
from lifelong.experiments.method_spec import MethodSpec, distinct_titles, labelled, read_methods, spec_from
from lifelong.experiments.objects import Plan, run_plan
from lifelong.experiments.pool import Answer, cores, run_one_by_one, run_parallel
from lifelong.experiments.resources import check_fit
from lifelong.experiments.results import Results, complete
from lifelong.experiments.single import Event, checked_metrics, run_job, run_single
from lifelong.methods import Method, as_method, settings_of
from lifelong.objectives import Metric
from lifelong.plugins import import_path_of, load_object
from lifelong.progress import ProgressLine
from lifelong.streams import Stream, settings_for
from lifelong.streams import stream as named_stream
from lifelong.streams.catalogue import outside
from lifelong.training.construction import ModelLike, ObjectiveLike
from lifelong.training.settings import training_from
from lifelong.types import HeadKind, Scenario

__all__ = ["collect", "configure", "describe", "run", "run_experiment"]

OnEvent = Callable[[Event], None]
OnRecord = Callable[[Record], None]
MethodLike: TypeAlias = str | Method[Any] | type[Method[Any]]


def run(
    stream: str | Stream,
    methods: MethodLike | Sequence[MethodLike] = ("finetune", "ewc", "er", "joint"),
    *,
    seeds: int | Iterable[int] = 5,
    model: ModelLike | None = None,
    scenario: Scenario | None = None,
    tasks: int | None = None,
    epochs: int | None = None,
    iterations: int | None = None,
    batch: int | None = None,
    optimizer: str | None = None,
    lr: float | None = None,
    stream_settings: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    head: HeadKind | None = None,
    evaluate: str = "every",
    objective: ObjectiveLike | None = None,
    metrics: Mapping[str, Metric | str] | None = None,
    prequential: bool = False,
    keep_predictions: bool = False,
    data_dir: str | Path | None = None,
    device: str | None = None,
    jobs: int | None = None,
    checkpoint_every: int | None = None,
    out: str | Path | None = None,
    progress: bool = True,
    on_event: OnEvent | None = None,
) -> Results:
    """Run `methods` × `seeds` on `stream` and return what they learned; the Python twin of `lifelong run`.

    Functions and classes that stand in a module are used by their import path, so that their runs go to worker
    processes and resume as named ones do. A `Stream` or a module as an object, and what stands in a notebook or a
    script, is run in this process, one run after the other.

    Args:
        stream: A name (`lifelong streams` lists them), an import path `package.module:name`, or a `Stream`.
        methods: Names (`ewc`, `ewc:strength=10`, `package.module:MyMethod`), objects or classes; one or several.
        seeds: How many (0, 1, …), or which.
        model: A name, an import path, a function of the space (or of nothing) that makes a module, or a module. With
            several seeds the layers of a module that are not frozen are initialised anew from each seed
            (`reinitialised`); with one seed it is copied as it is. The default suits the stream, as do epochs and lr.
        scenario: Of a named stream.
        tasks: How many tasks of a named stream.
        epochs: As for `Training`.
        iterations: As for `Training`.
        batch: As for `Training`.
        optimizer: As for `Training`.
        lr: As for `Training`.
        stream_settings: Further settings of a named stream.
        training: Further settings of `Training`.
        head: all, growing or per-task.
        evaluate: every, every:K, last or sampled:M; which tasks are examined after each task.
        objective: An objective of your own: its import path, its class, or an object.
        metrics: Metrics of your own by name: functions (decisions, targets) → number, or their import paths.
        prequential: Answer every batch before it is learned; one pass over each task.
        keep_predictions: Keep what the finished learners decide: `results.predictions`, `results.per_class`.
        data_dir: Where the data files are.
        device: cpu, cuda, cuda:N or mps.
        jobs: Runs at a time; the default is one per core.
        checkpoint_every: Also save every so many steps within a task.
        out: A folder for results and checkpoints; the same call goes on from it. None keeps nothing.
        progress: A line on the terminal or in the notebook; never where stderr is neither.
        on_event: Hears of the progress.

    Raises:
        LifelongError: A run failed; raised after all others are done. Its `results` holds those that finished.

    Example:
        >>> results = run("permuted-digits", "finetune", seeds=1, tasks=2, epochs=1)
        >>> results.matrix.shape
        (1, 3, 2)
    """
    numbers = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    chosen = {
        "epochs": 1 if prequential and epochs is None and iterations is None else epochs,
        "iterations": iterations,
        "batch": batch,
        "optimizer": optimizer,
        "lr": lr,
        "device": device,
    }
    how = {**(training or {}), **{name: value for name, value in chosen.items() if value is not None}}
    settings = {**(stream_settings or {})}
    settings |= {name: value for name, value in (("scenario", scenario), ("tasks", tasks)) if value is not None}
    listed = [methods] if isinstance(methods, (str, Method, type)) else list(methods)
    named_model = _by_path(model) if model is not None else None
    paths = {
        name: metric if isinstance(metric, str) else import_path_of(metric) for name, metric in (metrics or {}).items()
    }
    named_objective = objective if objective is None or isinstance(objective, str) else import_path_of(objective)
    obstacle = _obstacle(stream, model, named_model, listed, paths)
    if not obstacle and objective is not None and named_objective is None:
        obstacle = "an objective without an import path"
    if not obstacle:
        experiment = configure(
            str(stream),
            _specs(listed),
            numbers,
            model=named_model,
            training=how,
            head=head,
            stream_settings=settings,
            data_dir=None if data_dir is None else str(data_dir),
            evaluate=evaluate,
            objective=named_objective,
            metrics={name: path for name, path in paths.items() if path is not None},
            prequential=prequential,
            keep_predictions=keep_predictions,
        )
        folder = None if out is None else Folder(Path(out))
        with ProgressLine(progress, len(experiment.methods) * len(numbers)) as line:
            return run_experiment(
                experiment,
                folder,
                jobs=jobs,
                checkpoint_every=checkpoint_every,
                on_event=_both(line.event, on_event),
                on_record=line.finished,
            )
    require(
        out is None,
        f"runs with {obstacle} cannot be kept, as no file could start them again; put it into a module and name it as "
        "package.module:name",
    )
    require(
        jobs is None or jobs == 1,
        f"{obstacle} cannot go to {jobs} worker processes; put it into a module and name it as package.module:name, or "
        "leave jobs out",
    )
    usual = "mlp:256,256"
    if isinstance(stream, Stream):
        require(not settings, f"a stream of your own has its settings already, got {settings}")
        tasks_of = dict.fromkeys(numbers, stream)
    else:
        defaults = defaults_for(stream)
        usual = defaults.pop("model")
        how = {**defaults, **how}
        tasks_of = {seed: named_stream(stream, data_dir=data_dir, **{"seed": seed, **settings}) for seed in numbers}
    functions = {
        name: load_object(metric, "metric") if isinstance(metric, str) else metric
        for name, metric in (metrics or {}).items()
    }
    plan = Plan(
        tasks_of, _objects(listed), usual if model is None else model, training_from(how), head, objective,
        partial(run_single, evaluate=evaluate, metrics=checked_metrics(functions), prequential=prequential,
                keep_predictions=keep_predictions),
    )  # fmt: skip
    with ProgressLine(progress, len(plan.methods) * len(numbers)) as line:
        return run_plan(plan, _both(line.event, on_event), line.finished)


def _by_path(model: ModelLike) -> str | None:
    """The name or the import path of a model; None for a module, and for a function that no path leads to."""
    if isinstance(model, (str, nn.Module)):
        return model if isinstance(model, str) else None
    return import_path_of(model)


def _specs(methods: Sequence[MethodLike]) -> list[MethodSpec]:
    specs: list[MethodSpec] = []
    for method in methods:
        if isinstance(method, str):
            specs += [spec_from(*one) for one in read_methods([method])]
        else:
            specs.append(MethodSpec.of(method))
    return specs


def _objects(methods: Sequence[MethodLike]) -> dict[str, Method[Any]]:
    """Methods by title, those of one title told apart by their settings."""
    pairs: list[tuple[str, Method[Any]]] = []
    for method in methods:
        if isinstance(method, str):
            pairs += [(spec.title, spec.build()) for spec in _specs([method])]
        else:
            pairs.append((as_method(method).title, as_method(method)))
    titles = distinct_titles([(title, settings_of(method)) for title, method in pairs])
    return {title: method for title, (_, method) in zip(titles, pairs, strict=True)}


def _obstacle(
    stream: str | Stream,
    model: ModelLike | None,
    named_model: str | None,
    methods: Sequence[MethodLike],
    metrics: Mapping[str, str | None],
) -> str:
    """What of a run is an object of this process alone; empty where all has a name."""
    if isinstance(stream, Stream):
        return "a Stream object"
    if model is not None and named_model is None:
        return "a module object" if isinstance(model, nn.Module) else "a model's function without an import path"
    if not all(metrics.values()):
        return "a metric without an import path"
    for method in methods:
        if not isinstance(method, str):
            value = as_method(method)  # what is no method is an error, not an obstacle
            try:
                MethodSpec.of(value)
            except SettingError:
                return f"the method object {value.title}"
    return ""


def _both(first: OnEvent, second: OnEvent | None) -> OnEvent:
    def hear(event: Event) -> None:
        first(event)
        if second is not None:
            second(event)

    return hear


def configure(
    stream: str,
    methods: Sequence[MethodSpec],
    seeds: Sequence[int],
    *,
    model: str | None = None,
    training: dict[str, Any] | None = None,
    head: HeadKind | None = None,
    stream_settings: dict[str, Any] | None = None,
    data_dir: str | None = None,
    evaluate: str = "every",
    threads: int = 1,
    objective: str | None = None,
    metrics: dict[str, str] | None = None,
    prequential: bool = False,
    keep_predictions: bool = False,
) -> Experiment:
    """The experiment that these choices mean, what is left out at the stream's default."""
    if outside(stream) is None:
        settings_for(stream, stream_settings)
    defaults = defaults_for(stream)
    usual = defaults.pop("model")
    return Experiment(
        stream=stream,
        methods=labelled(methods),
        seeds=tuple(seeds),
        model=model or usual,
        training=training_from({**defaults, **(training or {})}),
        head=head,
        stream_settings=dict(stream_settings or {}),
        data_dir=data_dir,
        evaluate=evaluate,
        threads=threads,
        objective=objective,
        metrics=dict(metrics or {}),
        prequential=prequential,
        keep_predictions=keep_predictions,
    )


def run_experiment(
    experiment: Experiment,
    folder: Folder | None = None,
    *,
    jobs: int | None = None,
    checkpoint_every: int | None = None,
    on_event: OnEvent | None = None,
    on_record: OnRecord | None = None,
) -> Results:
    """Run what is not finished yet in `folder`; see `run`.

    Everything that can be wrong with the settings is found before the folder is touched.
    """
    require(jobs is None or jobs >= 1, f"jobs must be 1 or more, got {jobs}")
    every = checkpoint_every
    require(every is None or every >= 1, f"checkpoint_every must be 1 or more, got {every}")
    stream = experiment.stream_for(experiment.seeds[0])
    schedule(experiment.evaluate, 0, len(stream))
    processes = min(jobs or cores(experiment.threads), len(experiment.methods) * len(experiment.seeds))
    check_fit(experiment, stream, processes)
    if experiment.objective is not None:
        load_object(experiment.objective, "objective")
    checked_metrics({name: load_object(path, "metric") for name, path in experiment.metrics.items()})
    if folder is not None:
        folder.claim(experiment)
    records: dict[tuple[int, int], Record] = {}
    todo: list[tuple[int, int]] = []
    for seed in experiment.seeds:  # seeds first, so that an interrupted experiment compares all methods
        for place, spec in enumerate(experiment.methods):
            record = None if folder is None else folder.finished(spec.title, seed)
            if record is None:
                todo.append((place, seed))
            else:
                records[place, seed] = record
                if on_record is not None:
                    on_record(record)
    places = {spec.title: place for place, spec in enumerate(experiment.methods)}

    def keep(record: Record) -> None:
        records[places[record.method], record.seed] = record
        if on_record is not None:
            on_record(record)

    failures = _run_all(experiment, todo, folder, min(processes, len(todo)), checkpoint_every, on_event, keep)
    ordered = tuple(records[key] for key in sorted(records))
    return complete(Results(describe(experiment, stream), experiment.facts(), ordered), failures)


def collect(path: Path) -> Results:
    """The finished runs of a run folder.

    Raises: `StorageError` or `SettingError` where the folder is none, or has no finished run.
    """
    require((path / "experiment.toml").is_file(), f"{path} is no run folder: it has no experiment.toml")
    experiment, folder = load(path), Folder(path)
    finished = [folder.finished(spec.title, seed) for spec in experiment.methods for seed in experiment.seeds]
    records = tuple(record for record in finished if record is not None)
    require(len(records) > 0, f"{path} has no finished run yet; finish one with: lifelong run {path}")
    facts = {**experiment.facts(), "command": f"lifelong run {path}"}
    return Results(describe(experiment, experiment.stream_for(experiment.seeds[0])), facts, records)


def describe(experiment: Experiment, stream: Stream) -> dict[str, Any]:
    """The stream in plain values, for `--json`."""
    return {
        "name": stream.name,
        "scenario": stream.scenario,
        "tasks": [task.name for task in stream],
        "input_shape": list(stream.space.input_shape or ()),
        "classes": stream.space.classes,
        "settings": experiment.stream_settings,
    }


def _run_all(
    experiment: Experiment,
    todo: list[tuple[int, int]],
    folder: Folder | None,
    processes: int,
    checkpoint_every: int | None,
    on_event: OnEvent | None,
    keep: OnRecord,
) -> list[LifelongError]:
    if processes > 1:
        plain = msgspec.to_builtins(experiment)
        lines = [
            {
                "name": f"{experiment.methods[place].title} with seed {seed}",
                "experiment": plain,
                "method": place,
                "seed": seed,
                "out": None if folder is None else str(folder.path.resolve()),
                "checkpoint_every": checkpoint_every,
            }
            for place, seed in todo
        ]

        def hear(answer: Answer) -> None:
            if "record" in answer:
                record = Record.from_json(answer["record"])
                if folder is not None and experiment.keep_predictions:
                    record = folder.finished(record.method, record.seed) or record  # predictions go through the folder
                keep(record)
            elif on_event is not None:
                on_event(Event(**answer["event"]))

        return run_parallel(lines, processes, experiment.threads, hear)
    before = torch.get_num_threads()
    torch.set_num_threads(experiment.threads)
    try:
        return run_one_by_one(
            [
                partial(_run_here, keep, experiment, place, seed, folder, checkpoint_every, on_event)
                for place, seed in todo
            ]
        )
    finally:
        torch.set_num_threads(before)


def _run_here(keep: OnRecord, *job: Any) -> None:
    keep(run_job(*job))
