"""`lifelong.run`: methods × seeds on a stream, in parallel where there is more than one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch

from lifelong.errors import LifelongError, require
from lifelong.evaluation import Record
from lifelong.evaluation.matrix import schedule
from lifelong.experiments.experiment import Experiment, MethodSpec, defaults_for, load
from lifelong.experiments.folder import Folder
from lifelong.experiments.job import run_job
from lifelong.experiments.own import run_in_process
from lifelong.experiments.pool import Answer, cores, run_parallel
from lifelong.experiments.resources import check_fit
from lifelong.experiments.results import Results
from lifelong.experiments.single import Event
from lifelong.methods import Method
from lifelong.methods import build as build_method
from lifelong.streams import Stream, settings_for
from lifelong.streams import stream as named_stream
from lifelong.training.learner import ModelLike
from lifelong.training.settings import training_from
from lifelong.types import HeadKind, Scenario

__all__ = ["collect", "configure", "describe", "run", "run_experiment"]

OnEvent = Callable[[Event], None]
OnRecord = Callable[[Record], None]


def run(
    stream: str | Stream,
    methods: Sequence[str | Method[Any]] = ("finetune", "ewc", "er", "joint"),
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
    data_dir: str | Path | None = None,
    device: str | None = None,
    jobs: int | None = None,
    checkpoint_every: int | None = None,
    out: str | Path | None = None,
    on_event: OnEvent | None = None,
) -> Results:
    """Run `methods` × `seeds` on `stream` and return what was found; the Python twin of `lifelong run`.

    Arguments:
        stream: a name (`lifelong streams` lists them), or a `Stream` of your own.
        methods: names or method objects. seeds: how many (0, 1, …), or which.
        model: a name, a function that makes a module, or a module (copied for each run). The default suits the
            stream, as do epochs, batch and lr.
        scenario, tasks, stream_settings: of a named stream. training: further settings of `Training`.
        evaluate: every, every:K, last or sampled:M; which tasks are examined after each task.
        jobs: runs at a time; the default is one per core, and 1 for streams and models of your own.
        out: a folder for results and checkpoints; the same call goes on from it. None keeps nothing.
        on_event: hears of the progress.

    Raises: `LifelongError`s, after all other runs are done where one run fails.

    >>> results = run("permuted-digits", ["finetune"], seeds=1, tasks=2, epochs=1)
    >>> results.matrix.shape
    (1, 3, 2)
    """
    numbers = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    chosen = {
        "epochs": epochs,
        "iterations": iterations,
        "batch": batch,
        "optimizer": optimizer,
        "lr": lr,
        "device": device,
    }
    given = {**(training or {}), **{name: value for name, value in chosen.items() if value is not None}}
    settings = {**(stream_settings or {})}
    settings |= {name: value for name, value in (("scenario", scenario), ("tasks", tasks)) if value is not None}
    if isinstance(stream, Stream) or not (model is None or isinstance(model, str)):
        require(out is None, "runs with a stream or a model of your own cannot be kept: no file could start them again")
        if isinstance(stream, Stream):
            require(not settings, f"a stream of your own has its settings already, got {settings}")
            own = stream
        else:
            own = named_stream(stream, data_dir=data_dir, **settings)
            given = {**{k: v for k, v in defaults_for(stream).items() if k != "model"}, **given}
        made = [method if isinstance(method, Method) else build_method(method) for method in methods]
        return run_in_process(
            own, model or "mlp:256,256", made, numbers, training_from(given), head, evaluate, on_event
        )
    experiment = configure(
        stream,
        [MethodSpec.of(method) for method in methods],
        numbers,
        model=model,
        training=given,
        head=head,
        stream_settings=settings,
        data_dir=None if data_dir is None else str(data_dir),
        evaluate=evaluate,
    )
    folder = None if out is None else Folder(Path(out))
    return run_experiment(experiment, folder, jobs=jobs, checkpoint_every=checkpoint_every, on_event=on_event)


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
) -> Experiment:
    """The experiment that these choices mean, what is left out at the stream's default."""
    settings_for(stream, stream_settings)
    defaults = defaults_for(stream)
    usual = defaults.pop("model")
    return Experiment(
        stream=stream,
        methods=tuple(methods),
        seeds=tuple(seeds),
        model=model or usual,
        training=training_from({**defaults, **(training or {})}),
        head=head,
        stream_settings=dict(stream_settings or {}),
        data_dir=data_dir,
        evaluate=evaluate,
        threads=threads,
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
    if folder is not None:
        folder.claim(experiment)
    records: dict[tuple[int, int], Record] = {}
    todo: list[tuple[int, int]] = []
    for seed in experiment.seeds:  # seeds first, so that an interrupted experiment compares all methods
        for place, spec in enumerate(experiment.methods):
            record = None if folder is None else folder.finished(spec, seed)
            if record is None:
                todo.append((place, seed))
            else:
                records[place, seed] = record
                if on_record is not None:
                    on_record(record)
    places = {spec.name: place for place, spec in enumerate(experiment.methods)}

    def keep(record: Record) -> None:
        records[places[record.method], record.seed] = record
        if on_record is not None:
            on_record(record)

    failures = _run_all(experiment, todo, folder, min(processes, len(todo)), checkpoint_every, on_event, keep)
    if failures:
        raise _together(failures)
    ordered = tuple(records[key] for key in sorted(records))
    return Results(describe(experiment, stream), experiment.facts(), ordered)


def collect(path: Path) -> Results:
    """The finished runs of a run folder.

    Raises: `StorageError` or `SettingError` where the folder is none, or has no finished run.
    """
    require((path / "experiment.toml").is_file(), f"{path} is no run folder: it has no experiment.toml")
    experiment, folder = load(path), Folder(path)
    found = [folder.finished(spec, seed) for spec in experiment.methods for seed in experiment.seeds]
    records = tuple(record for record in found if record is not None)
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
                "name": f"{experiment.methods[place].name} with seed {seed}",
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
                keep(Record.from_json(answer["record"]))
            elif on_event is not None:
                on_event(Event(**answer["event"]))

        return run_parallel(lines, processes, experiment.threads, hear)
    failures: list[LifelongError] = []
    before = torch.get_num_threads()
    torch.set_num_threads(experiment.threads)
    try:
        for place, seed in todo:
            try:
                keep(run_job(experiment, place, seed, folder, checkpoint_every, on_event))
            except LifelongError as error:
                failures.append(error)
    finally:
        torch.set_num_threads(before)
    return failures


def _together(failures: list[LifelongError]) -> LifelongError:
    """One error for all failures, of the first one's class."""
    if len(failures) == 1:
        return failures[0]
    texts = list(dict.fromkeys(str(failure) for failure in failures))
    return type(failures[0])(f"{len(failures)} runs failed:\n" + "\n".join(f"- {text}" for text in texts))
