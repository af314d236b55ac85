"""An experiment as plain values: what is written to `experiment.toml` and what a worker is given."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from lifelong.errors import SettingError, require, unknown_name
from lifelong.experiments.method_spec import MethodSpec, distinct_titles, labelled
from lifelong.experiments.results import oracle_facts
from lifelong.store import read_text
from lifelong.streams import Stream, settings_for, stream
from lifelong.streams.catalogue import outside
from lifelong.training import Training
from lifelong.types import HeadKind, Scenario

__all__ = ["Experiment", "defaults_for", "from_toml", "load", "to_toml"]


@dataclass(frozen=True)
class Experiment:
    """Methods × seeds on one stream with one model.

    Args:
        stream: Its name, an entry point, or an import path.
        methods: What is compared.
        seeds: Of the runs.
        model: As for `Learner`, by name or import path.
        training: As for `Learner`.
        head: As for `Learner`.
        stream_settings: Its seed follows the run's seed unless it is set.
        data_dir: Where the data files are.
        evaluate: Which tasks are examined when (`evaluation.schedule`).
        threads: Of each run: the bits of a result depend on it, not on how many run at once.
        note: Says in every report how the hyper-parameters were chosen.
        objective: The import path of an objective of your own, in place of what the stream's target asks for.
        metrics: Import paths of metrics of your own, (decisions, targets) → number, by name.
        prequential: Whether every batch is answered before it is learned.
        keep_predictions: Whether the predictions of the finished learners are kept.
    """

    stream: str
    methods: tuple[MethodSpec, ...]
    seeds: tuple[int, ...]
    model: str
    training: Training
    head: HeadKind | None = None
    stream_settings: dict[str, Any] = field(default_factory=dict)
    data_dir: str | None = None
    evaluate: str = "every"
    threads: int = 1
    note: str = ""
    objective: str | None = None
    metrics: dict[str, str] = field(default_factory=dict)
    prequential: bool = False
    keep_predictions: bool = False

    def __post_init__(self) -> None:
        require(len(self.methods) > 0, "an experiment needs at least one method")
        distinct_titles([(method.title, {}) for method in self.methods])
        require(len(self.seeds) > 0, "an experiment needs at least one seed")
        require(len(set(self.seeds)) == len(self.seeds), f"each seed once, got {list(self.seeds)}")
        require(min(self.seeds) >= 0, f"seeds must be 0 or more, got {min(self.seeds)}")
        require(self.threads >= 1, f"threads must be 1 or more, got {self.threads}")

    def stream_for(self, seed: int) -> Stream:
        """The stream of the run with `seed`."""
        return stream(self.stream, data_dir=self.data_dir, **{"seed": seed, **self.stream_settings})

    def facts(self) -> dict[str, str]:
        """What a reader of a table must know, in words."""
        settings: dict[str, Any] = dict(self.stream_settings)
        scenario: Scenario
        if outside(self.stream) is None:
            settings = asdict(settings_for(self.stream, self.stream_settings))
            scenario, tasks = settings.pop("scenario"), settings.pop("tasks") or "all"
        else:
            first = self.stream_for(self.seeds[0])
            scenario, tasks = first.scenario, len(first)
        if "seed" not in self.stream_settings:
            settings["seed"] = "the run's"
        training = self.training
        budget = f"{training.iterations} steps" if training.iterations else f"{training.epochs} epochs"
        moments = "kept between tasks" if training.keep_optimizer else "made anew for each task"
        return {
            "stream": self.stream,
            "scenario": scenario,
            "tasks": str(tasks),
            "stream settings": ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None),
            "model": self.model + (f", head {self.head}" if self.head else ""),
            **({"objective": self.objective} if self.objective else {}),
            "training": f"{budget} per task, batches of {training.batch}",
            "optimizer": f"{training.optimizer}, lr {training.lr:g}, momentum {training.momentum:g}, {moments}",
            "evaluation": self.evaluate + (", and each batch before it is learned" if self.prequential else ""),
            "seeds": ", ".join(str(seed) for seed in self.seeds),
            **({"hyper-parameters": self.note} if self.note else {}),
            **oracle_facts({method.title: method.build() for method in self.methods}, scenario),
        }


#: Streams with a training of their own: the levels of noise of `streams.kinds.NOISE` belong to these.
STREAM_DEFAULTS: dict[str, dict[str, Any]] = {
    "babi": {"model": "memn2n", "epochs": 10, "batch": 32, "optimizer": "adam", "lr": 0.003},
    "skills": {"model": "mlp:128", "epochs": 30, "optimizer": "adam", "lr": 0.002, "schedule": "linear"},
    "noisy-digits": {"model": "mlp:128,128", "epochs": 40, "optimizer": "adamw", "lr": 0.003, "weight_decay": 0.3},
    "noisy-mnist-4k": {"model": "mlp:400", "epochs": 20, "optimizer": "adam", "lr": 0.001, "augment": "crop:2"},
    **{
        f"noisy-{data}": {"model": "mlp:256,256", "epochs": 2, "batch": 64, "momentum": 0.9, "schedule": "linear"}
        for data in ("mnist", "fashion-mnist")
    },
}


def defaults_for(name: str) -> dict[str, Any]:
    """The model and the training that suit a named stream: `model`, and settings of `Training`.

    The training is the one with which joint training reads most of the validation data of the first tasks
    (docs/defaults.md), so that what it reaches is an upper bound of what the network can do.

    Example:
        >>> defaults_for("permuted-digits")["model"], defaults_for("babi")["model"]
        ('mlp:128,128', 'memn2n')
    """
    if name in STREAM_DEFAULTS:
        return dict(STREAM_DEFAULTS[name])
    if name.endswith(("digits", "mnist-4k")):
        model = "mlp:128,128" if name.endswith("digits") else "mlp:256,256"
        clip = (
            {"clip": 2.0} if name.startswith("split-") else {}
        )  # gradients leap where a class is new, and mas diverges
        return {"model": model, "epochs": 10, "batch": 32, "lr": 0.1, "momentum": 0.9, "schedule": "linear", **clip}
    return {"model": "mlp:256,256", "epochs": 1, "batch": 64, "lr": 0.1, "schedule": "linear"}


def to_toml(experiment: Experiment) -> str:
    """The experiment as TOML; `from_toml` reads it back to an equal one."""
    plain = _without_none(msgspec.to_builtins(experiment))
    return tomli_w.dumps(plain)


def from_toml(text: str, place: str = "experiment.toml") -> Experiment:
    """The experiment that a TOML text describes; what it leaves out takes the default.

    Raises: `SettingError` for text that is no TOML, unknown names (with the nearest known one) and wrong types.

    >>> two = from_toml('''
    ... stream = "permuted-digits"
    ... seeds = [0, 1]
    ... [[methods]]
    ... name = "ewc"
    ... settings = {strength = 10}
    ... ''')
    >>> two.methods[0].settings["strength"], from_toml(to_toml(two)) == two
    (10.0, True)
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{place} is no TOML: {error}") from error
    _check_names(data, [f.name for f in fields(Experiment)], place)
    _check_names(data.get("training", {}), [f.name for f in fields(Training)], f"[training] of {place}")
    require("stream" in data, f'{place} does not say which stream: expected stream = "…"')
    if outside(str(data["stream"])) is None:
        settings_for(str(data["stream"]), data.get("stream_settings", {}))
    defaults = defaults_for(str(data["stream"]))
    data.setdefault("model", defaults.pop("model"))
    data["training"] = {**defaults, **data.get("training", {})}
    if "iterations" in data["training"]:
        data["training"].setdefault("epochs", 1)
    data.setdefault("seeds", [0, 1, 2, 3, 4])
    try:
        specs = msgspec.convert(data.get("methods", []), list[MethodSpec])
        methods = labelled([MethodSpec.of(spec.name, spec.settings, spec.label) for spec in specs])
        return msgspec.convert({**data, "methods": msgspec.to_builtins(methods)}, Experiment)
    except msgspec.ValidationError as error:
        raise SettingError(f"{place}: {error}") from error


def _check_names(data: Mapping[str, Any], known: list[str], place: str) -> None:
    for name in data:
        if name not in known:
            raise unknown_name(f"setting in {place}:", name, known)


def _without_none(value: Any) -> Any:
    """TOML has no null: what is None is left out."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value


def load(path: Path) -> Experiment:
    """The experiment in a TOML file, or in a run folder's `experiment.toml`."""
    file = path / "experiment.toml" if path.is_dir() else path
    return from_toml(read_text(file), str(file))
