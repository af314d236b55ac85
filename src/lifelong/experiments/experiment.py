"""An experiment as plain values: what is written to `experiment.toml` and what a worker is given."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from lifelong.errors import SettingError, require, unknown_name
from lifelong.experiments.results import oracle_facts
from lifelong.methods import METHODS, Chain, Method, as_method, build, method_class, parts_of, settings_of
from lifelong.plugins import import_path_of
from lifelong.streams import Stream, settings_for, stream
from lifelong.streams.catalogue import outside
from lifelong.training import Training
from lifelong.types import HeadKind, Scenario

__all__ = [
    "Experiment",
    "MethodSpec",
    "defaults_for",
    "distinct_titles",
    "from_toml",
    "labelled",
    "load",
    "read_methods",
    "spec_from",
    "to_toml",
]


#: a method with settings behind a colon
WITH_SETTINGS = re.compile(r"([^=]+?):([^\W\d][\w.]*=.*)")


@dataclass(frozen=True)
class MethodSpec:
    """A method as plain values, which a file and a worker process can hold.

    Args:
        name: As `-m` takes it: a name, an entry point, an import path `package.module:MyMethod`, or a chain of them
            with `+`.
        settings: All its settings; of a chain those of each part by its name.
        label: What results call it where that is not its name.

    Example:
        >>> MethodSpec.of("ewc", {"strength": 1}, "soft").title
        'soft'
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    def __post_init__(self) -> None:
        require(self.label.isprintable() and self.label == self.label.strip(), f"no such label: {self.label!r}")

    @property
    def title(self) -> str:
        """What results call it: its label, or its name."""
        return self.label or self.name

    @staticmethod
    def of(
        method: str | Method[Any] | type[Method[Any]], settings: Mapping[str, Any] | None = None, label: str = ""
    ) -> MethodSpec:
        """The complete settings of a method given by name, as an object or as a class.

        Raises:
            SettingError: There is no such method, or it is an object of a class that no import path leads to.
        """
        if isinstance(method, str):
            parts = parts_of(method)
            name = "+".join(map(_canonical, parts))
            chosen = dict(settings or {})
            if len(parts) > 1:
                chosen = {_canonical(part) if part in parts else part: some for part, some in chosen.items()}
            value = build(name, chosen, import_paths=True)
        else:
            value = as_method(method)
            name = "+".join(_name_of_class(part) for part in _parts(value))
        names = parts_of(name)
        plain = (
            settings_of(value) if len(names) == 1 else dict(zip(names, map(settings_of, _parts(value)), strict=True))
        )
        try:
            plain = msgspec.to_builtins(plain)
        except TypeError as error:
            raise SettingError(f"{name} has a setting that no file can hold: {error}") from error
        usual = value.title if value.title != name else ""
        return MethodSpec(name, plain, label or usual)

    def build(self) -> Method[Any]:
        """The method."""
        return build(self.name, self.settings, import_paths=True)


def read_methods(texts: Sequence[str]) -> list[tuple[str, dict[str, dict[str, str]], str]]:
    """Methods as they are written after `-m`: (name, settings of each part, label).

    Settings follow a colon, `ewc:strength=1` or `ewc+er:er.capacity=50,ewc.strength=1`; commas separate methods.

    Raises:
        SettingError: A text that is no such list.

    Example:
        >>> read_methods(["ewc:strength=1,decay=0.5,er"])
        [('ewc', {'ewc': {'strength': '1', 'decay': '0.5'}}, 'ewc:strength=1,decay=0.5'), ('er', {'er': {}}, '')]
    """
    pieces: list[str] = []
    for text in texts:
        begun = len(pieces)
        for piece in text.split(","):
            if "=" in piece and not WITH_SETTINGS.fullmatch(piece) and len(pieces) > begun:
                pieces[-1] += f",{piece}"  # one more setting of the same method
            else:
                pieces.append(piece.strip())
    methods = []
    for piece in pieces:
        require(bool(piece), f"expected methods as in ewc,er or ewc:strength=1, got {','.join(texts)!r}")
        match = WITH_SETTINGS.fullmatch(piece)
        name, text = (match[1], match[2]) if match else (piece, "")
        parts = parts_of(name)
        settings: dict[str, dict[str, str]] = {part: {} for part in parts}
        for setting in text.split(",") if text else ():
            path, equals, value = setting.partition("=")
            part, _, field_name = path.rpartition(".")
            part = part or (parts[0] if len(parts) == 1 else "")
            require(
                bool(equals and field_name) and part in settings,
                f"settings are written as in ewc:strength=1, of a chain as in ewc+er:er.capacity=50; got {piece!r}",
            )
            settings[part][field_name.strip()] = value.strip()
        methods.append((name, settings, piece if match else ""))
    return methods


def spec_from(name: str, settings: Mapping[str, Mapping[str, Any]], label: str = "") -> MethodSpec:
    """The specification of what `read_methods` gives: settings by part."""
    return MethodSpec.of(name, settings if len(parts_of(name)) > 1 else settings[name], label)


def labelled(specs: Sequence[MethodSpec]) -> tuple[MethodSpec, ...]:
    """`specs`, those of one title told apart by the settings in which they differ, as in `ewc:strength=1`.

    Raises:
        SettingError: Two have the same label, or the same settings.

    Example:
        >>> soft, stiff = MethodSpec.of("ewc", {"strength": 1}), MethodSpec.of("ewc", {"strength": 1e3})
        >>> [spec.title for spec in labelled([soft, stiff, MethodSpec.of("er")])]
        ['ewc:strength=1', 'ewc:strength=1000', 'er']
    """
    labels = distinct_titles([(spec.title, spec.settings) for spec in specs])
    return tuple(
        spec if label == spec.title else replace(spec, label=label) for spec, label in zip(specs, labels, strict=True)
    )


def distinct_titles(methods: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """One title for each of (title, settings), made of the settings that differ where a title occurs twice."""
    flat = [_flat(settings) for _, settings in methods]
    titles: list[str] = []
    for (title, _), settings in zip(methods, flat, strict=True):
        rivals = [other for (same, _), other in zip(methods, flat, strict=True) if same == title]
        differing = {name: value for name, value in settings.items() if any(r.get(name) != value for r in rivals)}
        titles.append(f"{title}:{_text(differing)}" if differing else title)
    twice = sorted({title for title in titles if titles.count(title) > 1})
    require(not twice, f"each method once, got {', '.join(twice)} twice; give other settings, or labels of their own")
    return titles


def _canonical(part: str) -> str:
    kind = method_class(part, import_paths=True)
    return kind.name if METHODS.get(kind.name) is kind else part


def _parts(method: Method[Any]) -> tuple[Method[Any], ...]:
    return method.methods if isinstance(method, Chain) else (method,)


def _name_of_class(method: Method[Any]) -> str:
    kind = type(method)
    if METHODS.get(method.name) is kind:
        return method.name
    path = import_path_of(kind)
    require(
        path is not None,
        f"no import path leads to the method {kind.__name__}, so that no file and no worker process can hold it; "
        "put its class into a module",
    )
    return path or ""


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name, those of the parts of a chain as `part.name`."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= {f"{name}.{inner}": some for inner, some in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _text(settings: Mapping[str, Any]) -> str:
    return ",".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in settings.items()
    )


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
            "training": f"{budget} per task, batches of {training.batch}",
            "optimizer": f"{training.optimizer}, lr {training.lr:g}, momentum {training.momentum:g}, {moments}",
            "evaluation": self.evaluate + (", and each batch before it is learned" if self.prequential else ""),
            "seeds": ", ".join(str(seed) for seed in self.seeds),
            **({"hyper-parameters": self.note} if self.note else {}),
            **oracle_facts({method.title: method.build() for method in self.methods}, scenario),
        }


def defaults_for(name: str) -> dict[str, Any]:
    """The model and the training that suit a named stream: `model`, and settings of `Training`."""
    if name == "babi":
        return {"model": "memn2n", "epochs": 10, "batch": 32, "optimizer": "adam", "lr": 0.003}
    if name.endswith("digits"):
        return {"model": "mlp:128,128", "epochs": 10, "batch": 32, "lr": 0.1}
    return {"model": "mlp:256,256", "epochs": 1, "batch": 64, "lr": 0.1}


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
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"cannot read the experiment {file}: {error}") from error
    return from_toml(text, str(file))
