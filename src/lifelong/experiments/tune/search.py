"""The search itself: Optuna proposes, the validation data of the first tasks judges, SQLite keeps the study."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from lifelong.errors import DivergedError, SettingError, StorageError, require
from lifelong.experiments.experiment import Experiment, MethodSpec, to_toml
from lifelong.experiments.resources import check_fit
from lifelong.experiments.tune.ranges import Range
from lifelong.methods import build, parts_of, settings_of
from lifelong.streams import Stream
from lifelong.training import Learner
from lifelong.training.settings import training_from

try:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
except ImportError as error:
    raise SettingError("tuning needs optuna: pip install 'lifelong[tune]'") from error

__all__ = ["Choice", "search", "with_values"]


@dataclass(frozen=True)
class Choice:
    """The best values found, their validation accuracy, and after how many trials."""

    values: dict[str, Any]
    accuracy: float
    trials: int


def search(
    experiment: Experiment,
    ranges: Mapping[str, Range],
    *,
    first: int,
    trials: int,
    out: Path,
    on_trial: Callable[[int, dict[str, Any], float], None] | None = None,
) -> Choice:
    """Choose the settings in `ranges` for the one method of `experiment`.

    Objective: the mean accuracy on the *validation* parts of tasks 1 … `first` after learning exactly these, averaged
    over the seeds of the experiment. No test part and no later task is read. A trial that diverges counts as 0; one
    whose settings are refused has failed, and `on_trial` hears NaN of it.

    Arguments: `ranges` by name: `METHOD.FIELD` or `training.FIELD`; `first` how many tasks may be seen; `trials` to
        finish in all; `out` the folder of the study, which is gone on with where it is there. A proposal depends on the
        finished trials and their number only, so a search that was stopped ends as one that was not.

    Raises: `SettingError` where the ends of a range, or one of its choices, cannot be used in the whole life, before
        the folder is touched; `StorageError` where the folder holds a study of other settings.
    """
    require(len(experiment.methods) == 1, "tune one method at a time")
    require(trials >= 1, f"trials must be 1 or more, got {trials}")
    require(bool(ranges), "nothing to choose: give a range, as in --set ewc.strength=1e1..1e6:log")
    spaces = {name: _distribution(found) for name, found in ranges.items()}
    life = _life(experiment, first)
    for values in _extremes(ranges):
        check_fit(with_values(experiment, values), life, 1)
    study = _study(experiment, ranges, first, out)
    refused = ""
    while (number := len(_finished(study))) < trials:
        study.sampler = optuna.samplers.TPESampler(seed=number, n_startup_trials=6)
        trial = study.ask(spaces)
        try:
            chosen = with_values(experiment, trial.params)
            check_fit(chosen, life, 1)
            value = _validated(chosen, first)
        except DivergedError:
            value = 0.0
        except SettingError as error:  # a value between the ends that does not fit
            refused = str(error)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            if on_trial is not None:
                on_trial(number + 1, trial.params, math.nan)
            continue
        study.tell(trial, value)
        if on_trial is not None:
            on_trial(number + 1, trial.params, value)
    if not _finished(study, complete=True):
        raise SettingError(f"none of the {trials} settings that were tried could be used, the last because: {refused}")
    best = study.best_trial
    return Choice(dict(best.params), float(best.value or 0.0), len(_finished(study)))


def with_values(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    """`experiment` with settings replaced: `{"ewc.strength": 10.0, "training.lr": 0.1}`."""
    [spec] = experiment.methods
    parts = parts_of(spec.name)
    settings = {name: dict(own) if isinstance(own, dict) else own for name, own in spec.settings.items()}
    training = asdict(experiment.training)
    for path, value in values.items():
        name, _, setting = path.partition(".")
        if name == "training":
            training[setting] = value
        else:
            require(name in parts, f"{path}: the method to tune is {spec.name}")
            (settings if len(parts) == 1 else settings[name])[setting] = value
    made = build(spec.name, settings)
    return replace(experiment, methods=(MethodSpec(made.name, settings_of(made)),), training=training_from(training))


def _validated(experiment: Experiment, first: int) -> float:
    found = []
    for seed in experiment.seeds:
        seen = experiment.stream_for(seed).first(first)
        learner = Learner(
            experiment.model,
            experiment.methods[0].build(),
            seen.space,
            head=experiment.head,
            seed=seed,
            **asdict(experiment.training),
        )
        for task in seen:
            learner.learn(task)
        found.append(np.mean(learner.evaluate(seen, split="validation")))
    return float(np.mean(found))


def _study(experiment: Experiment, ranges: Mapping[str, Range], first: int, out: Path) -> optuna.Study:
    out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    question = {"experiment": to_toml(experiment), "ranges": msgspec.to_builtins(dict(ranges)), "first": first}
    study = optuna.create_study(
        storage=f"sqlite:///{(out / 'study.db').resolve()}",
        study_name="tune",
        direction="maximize",
        load_if_exists=True,
    )
    before = study.user_attrs.get("question")
    if before is not None and before != msgspec.json.decode(msgspec.json.encode(question)):
        raise StorageError(f"{out} holds a search with other settings; choose another --out, or remove it")
    study.set_user_attr("question", question)
    return study


def _finished(study: optuna.Study, complete: bool = False) -> list[optuna.trial.FrozenTrial]:
    """The trials that succeeded or failed, or only the former; what was cut off in the middle is proposed again."""
    states = optuna.trial.TrialState
    return study.get_trials(deepcopy=False, states=(states.COMPLETE,) if complete else (states.COMPLETE, states.FAIL))


def _life(experiment: Experiment, first: int) -> Stream:
    """The whole stream, whose later tasks are taken to be as large as the first where nobody knows without reading."""
    stream = experiment.stream_for(experiment.seeds[0])
    seen = stream.first(first)
    size = seen.task(1).size
    later = [replace(task, sizes=task.sizes or {"train": size}) for task in stream.tasks[first:]]
    return replace(stream, tasks=(*seen.tasks, *later))


def _extremes(ranges: Mapping[str, Range]) -> list[dict[str, Any]]:
    """Both ends of every range and all its choices, while the others stand at their first."""
    ends = {name: _ends(found) for name, found in ranges.items()}
    usual = {name: values[0] for name, values in ends.items()}
    return [{**usual, name: value} for name, values in ends.items() for value in values]


def _distribution(found: Range) -> BaseDistribution:
    if found.choices:
        return CategoricalDistribution(found.choices)
    if found.whole:
        return IntDistribution(int(found.low), int(found.high), log=found.log)
    return FloatDistribution(found.low, found.high, log=found.log)


def _ends(found: Range) -> tuple[Any, ...]:
    if found.choices:
        return found.choices
    return (int(found.low), int(found.high)) if found.whole else (found.low, found.high)
