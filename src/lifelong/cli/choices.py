"""What is written on the command line, turned into an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifelong.errors import SettingError, require, unknown_name
from lifelong.types import HeadKind

if TYPE_CHECKING:
    from lifelong.experiments import Experiment

__all__ = ["assignments", "experiment_from", "is_file", "seeds_from"]

DEFAULT_METHODS = ("finetune", "ewc", "er", "joint")


def is_file(text: str) -> bool:
    """Whether `run` was given an experiment file or a run folder instead of the name of a stream."""
    return text.endswith(".toml") or Path(text).exists()


def head_from(text: str | None) -> HeadKind | None:
    """The kind of output layer that `--head` names."""
    kinds: dict[str, HeadKind] = {"all": "all", "growing": "growing", "per-task": "per-task"}
    if text is None:
        return None
    if text not in kinds:
        raise unknown_name("head", text, kinds)
    return kinds[text]


def seeds_from(text: str) -> list[int]:
    """`5` means the seeds 0 … 4, `0,3,7` these, `3,` only 3.

    >>> seeds_from("3"), seeds_from("0,7"), seeds_from("3,")
    ([0, 1, 2], [0, 7], [3])
    """
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise SettingError(f"--seeds takes a number or a list as in 0,3,7, got {text!r}") from None
    if "," in text:
        return numbers
    require(len(numbers) == 1 and numbers[0] >= 1, f"--seeds must be 1 or more, got {text!r}")
    return list(range(numbers[0]))


def assignments(texts: Sequence[str], methods: Sequence[str]) -> dict[str, dict[str, str]]:
    """`ewc.strength=10`, `stream.angles=0,45`, `training.momentum=0.9` as settings per name.

    A method may be called as it is among `-m`, or by its own name where that was an import path or a class.

    >>> assignments(["ewc.strength=10"], ["finetune", "ewc+er"])
    {'ewc': {'strength': '10'}}
    """
    from lifelong.methods import method_class, parts_of

    parts = {part for method in methods for part in parts_of(method)}
    known = {method_class(part, import_paths=True).name: part for part in parts} | {part: part for part in parts}
    known |= {"stream": "stream", "training": "training"}
    settings: dict[str, dict[str, str]] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        name, dot, setting = path.rpartition(".")
        require(bool(equals and dot and setting), f"--set takes METHOD.FIELD=VALUE, got {text!r}")
        if name not in known:
            raise unknown_name("method in --set (it must be among -m):", name, known)
        settings.setdefault(known[name], {})[setting] = value
    return settings


def experiment_from(
    stream: str,
    *,
    methods: Sequence[str],
    sets: Sequence[str],
    stream_options: dict[str, Any],
    training_options: dict[str, Any],
    seeds: str,
    model: str | None,
    head: str | None,
    evaluate: str,
    data_dir: Path | None,
    threads: int,
    objective: str | None = None,
    metrics: Sequence[str] = (),
    prequential: bool = False,
    keep_predictions: bool = False,
) -> Experiment:
    """The experiment that the flags of `lifelong run` mean."""
    from lifelong.experiments import configure
    from lifelong.experiments.method_spec import read_methods, spec_from
    from lifelong.plugins import add_working_folder

    add_working_folder()
    listed = read_methods(methods)
    assigned = assignments(sets, [name for name, _, _ in listed])
    specs = [
        spec_from(name, {part: {**assigned.get(part, {}), **inline} for part, inline in settings.items()}, label)
        for name, settings, label in listed
    ]
    if prequential and training_options.get("epochs") is None and training_options.get("iterations") is None:
        training_options = {**training_options, "epochs": 1}
    chosen = {name: value for name, value in training_options.items() if value is not None}
    settings = {name: value for name, value in stream_options.items() if value is not None}
    return configure(
        stream,
        specs,
        seeds_from(seeds),
        model=model,
        training={**chosen, **assigned.get("training", {})},
        head=head_from(head),
        stream_settings={**settings, **assigned.get("stream", {})},
        data_dir=None if data_dir is None else str(data_dir.resolve()),
        evaluate=evaluate,
        threads=threads,
        objective=objective,
        metrics=metrics_from(metrics),
        prequential=prequential,
        keep_predictions=keep_predictions,
    )


def metrics_from(texts: Sequence[str]) -> dict[str, str]:
    """`--metric package.module:f` or `--metric name=package.module:f` by name, which is the function's where left out.

    >>> metrics_from(["mine.metrics:worst", "best=mine.metrics:best_of"])
    {'worst': 'mine.metrics:worst', 'best': 'mine.metrics:best_of'}
    """
    from lifelong.plugins import is_import_path

    metrics: dict[str, str] = {}
    for text in texts:
        name, _, path = text.rpartition("=")
        require(is_import_path(path), f"--metric takes package.module:function, got {text!r}")
        name = name or path.rpartition(":")[2]
        require(name not in metrics, f"two metrics are called {name}; write --metric another={path}")
        metrics[name] = path
    return metrics
