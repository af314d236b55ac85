"""A project: what comes in and goes out, what learns it, when it learns anew, and what a new version must show."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field
from typing import Any, Literal

import tomli_w

from lifelong.errors import DataError, SettingError, require, unknown_name
from lifelong.loop.canary import CanarySettings
from lifelong.loop.gate import Gate
from lifelong.loop.lot import ExamSettings
from lifelong.loop.plain import plain, read
from lifelong.loop.quarantine import Rules
from lifelong.loop.schema import InputSchema
from lifelong.loop.triggers import Amount, Trigger, trigger_from
from lifelong.methods import Method, build, settings_of
from lifelong.plugins import is_import_path
from lifelong.training import Learner, Training
from lifelong.types import HeadKind, Scenario, Space

__all__ = ["LearnerSettings", "MethodChoice", "Project", "from_json", "from_toml", "to_json", "to_toml"]

#: chosen by `benchmarks/lives.py`
TRAINING = Training(epochs=20, lr=0.1, momentum=0.9, schedule="linear", clip=2.0)
#: how a candidate that seems to forget can be mended
REPAIRS = ("interpolate", "replay", "retrain")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True)
class MethodChoice:
    """A method by `name` (`er`, `ewc+er`) with its `settings`; what is left out takes the method's default."""

    name: str = "er"
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.build()

    def build(self) -> Method[Any]:
        """The method; `SettingError` where there is none of that name or setting."""
        return build(self.name, self.settings)

    @property
    def complete(self) -> dict[str, Any]:
        """Name and all settings as plain values, defaults included."""
        made = self.build()
        return {"name": made.name, "settings": settings_of(made)}


@dataclass(frozen=True)
class LearnerSettings:
    """The `model` by name (`mlp:400,400`, `cnn`), its `head`, and how a task is learned."""

    model: str = "mlp:256,256"
    head: HeadKind | None = None
    training: Training = field(default_factory=lambda: TRAINING)

    def __post_init__(self) -> None:
        require(  # a project may come in a request, and no request says what is imported
            not is_import_path(self.model),
            f"learner.model must be a model that lifelong knows by name, got the import path {self.model!r}; "
            "register it as an entry point lifelong.models",
        )
        steps = (self.training.augment or "").split(",")
        require(
            not any(is_import_path(step.strip()) for step in steps),
            f"learner.training.augment must name augmentations of lifelong, got {self.training.augment!r}; "
            "leave functions of your own out",
        )


@dataclass(frozen=True)
class Project:
    """Everything that is decided before a life begins.

    Arguments:
        name: lower-case letters, digits, `.`, `_`, `-`; it is part of addresses.
        input: what one input looks like.
        classes: the names of the outputs, in their order; at least two.
        scenario: `domain` (inputs shift), `class` (lots bring new classes), `task` (the task is named at prediction).
        learner, method: what learns, and how it is kept from forgetting.
        gate: what a candidate must show. triggers: each of them starts an update.
        rules: what is quarantined. exam: how much of a lot is examined on.
        canary: how a candidate answers for a few first, where traffic is given to it.
        approval: `automatic`, or `ask` a person once the gate was passed.
        repair: what is tried, in this order, with a candidate that seems to forget; see `lifelong.loop.repair`.
        keep: so many versions before the champion stay in memory, so that going back is immediate.
        seed: of the initial weights, the split of lots, and everything random.

    Raises: `SettingError` for values out of range, and for a method that does not fit the model or the scenario.

    >>> digits = Project("digits", InputSchema((1, 8, 8), low=0, high=1), tuple("0123456789"))
    >>> digits.output("7"), from_toml(to_toml(digits)) == digits
    (7, True)
    """

    name: str
    input: InputSchema
    classes: tuple[str, ...]
    scenario: Scenario = "domain"
    learner: LearnerSettings = field(default_factory=LearnerSettings)
    method: MethodChoice = field(default_factory=lambda: MethodChoice("er", {"capacity": 1000}))
    gate: Gate = field(default_factory=Gate)
    triggers: tuple[Trigger, ...] = (Amount(300),)
    rules: Rules = field(default_factory=Rules)
    exam: ExamSettings = field(default_factory=ExamSettings)
    canary: CanarySettings = field(default_factory=CanarySettings)
    approval: Literal["automatic", "ask"] = "automatic"
    repair: tuple[str, ...] = REPAIRS
    keep: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        require(
            NAME.fullmatch(self.name) is not None,
            f"name must be lower-case letters, digits, '.', '_' and '-' (63 at most), got {self.name!r}",
        )
        require(len(self.classes) >= 2, f"classes must name two outputs or more, got {list(self.classes)}")
        twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
        require(not twice and all(self.classes), f"classes must have names of their own, got {twice or ['']} twice")
        require(self.keep >= 0, f"keep must be 0 or more, got {self.keep}")
        require(self.seed >= 0, f"seed must be 0 or more, got {self.seed}")
        strange = [name for name in self.repair if name not in REPAIRS]
        require(not strange, f"repair must name some of {', '.join(REPAIRS)}, got {', '.join(map(repr, strange))}")
        self.new_learner()

    @property
    def space(self) -> Space:
        """Input shape, outputs and scenario, as a learner wants them."""
        return Space(self.input.shape, len(self.classes), self.scenario)

    @property
    def selection(self) -> float:
        """The fraction of each exam that the verdict does not use: none where nothing is repaired."""
        return self.exam.selection if self.repair else 0.0

    def new_learner(self, method: MethodChoice | None = None) -> Learner:
        """A learner that has learned nothing, with `method` instead of the project's where one is given."""
        chosen, training = method or self.method, self.learner.training
        return Learner(
            self.learner.model,
            chosen.build(),
            self.space,
            head=self.learner.head,
            seed=self.seed,
            **vars(training),
        )

    def output(self, label: object) -> int:
        """The output index of a label that came as a class name or as the index itself.

        Raises: `DataError` for a class that the project does not have, with the nearest that it has.
        """
        if isinstance(label, str) and label in self.classes:
            return self.classes.index(label)
        if isinstance(label, int) and not isinstance(label, bool):
            if any(name.isdecimal() for name in self.classes):  # 7 means the class "7", wherever it stands
                return self.output(str(label))
            if 0 <= label < len(self.classes):
                return label
        if isinstance(label, str):
            raise DataError(f"{unknown_name('class', label, self.classes)}")
        raise DataError(f"expected a class name or an index in 0 … {len(self.classes) - 1}, got {label!r}")


def to_json(project: Project) -> str:
    """The project as JSON; `from_json` reads it back to an equal one."""
    return json.dumps(plain(project), indent=1, allow_nan=False)


def to_toml(project: Project) -> str:
    """The project as TOML; `from_toml` reads it back to an equal one."""
    return tomli_w.dumps(_without_none(plain(project)))


def from_json(text: str | bytes, place: str = "project.json") -> Project:
    """The project that JSON describes; `SettingError` for what is no JSON, unknown names, wrong types and values."""
    try:
        return _from_plain(json.loads(text), place)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{place} is no JSON: {error}") from error


def from_toml(text: str, place: str = "project.toml") -> Project:
    """The project that TOML describes; errors as for `from_json`.

    >>> text = '''
    ... name = "digits"
    ... classes = ["zero", "one"]
    ... input = {shape = [1, 8, 8]}
    ... method = {name = "er", settings = {capacity = 200}}
    ... triggers = [{kind = "amount", n = 250}, {kind = "input-drift", window = 50}]
    ... '''
    >>> from_toml(text).triggers
    (Amount(n=250), InputDrift(window=50, false_alarm=0.01))
    """
    try:
        return _from_plain(tomllib.loads(text), place)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{place} is no TOML: {error}") from error


def _from_plain(data: Any, place: str) -> Project:
    made: dict[str, Any] = {}
    if isinstance(data, dict) and "triggers" in data:
        items = data["triggers"]
        require(isinstance(items, list), f"{place}.triggers: expected a list of triggers, got {items!r}")
        made["triggers"] = tuple(trigger_from(item, f"{place}.triggers[{i}]") for i, item in enumerate(items))
    return read(Project, data, place, **made)


def _without_none(value: Any) -> Any:
    """TOML has no null: what is None is left out, and its default is None too."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
