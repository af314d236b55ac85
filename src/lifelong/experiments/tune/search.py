"""The search itself: Optuna proposes, the validation data of the first tasks judges, SQLite keeps the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from lifelong.errors import DivergedError, SettingError, StorageError, require
from lifelong.experiments.experiment import Experiment, to_toml
from lifelong.experiments.method_spec import MethodSpec
from lifelong.experiments.resources import check_fit
from lifelong.experiments.tune.ranges import Range
from lifelong.methods import method_class, parts_of
from lifelong.streams import Stream
from lifelong.training import Learner
from lifelong.training.settings import training_from

try:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
except ImportError as error:
    raise SettingError("tuning needs optuna: pip install 'lifelong[tune]'") from error

__all__ = ["Choice", "Trial", "search", "with_values"]


@dataclass(frozen=True)
class Choice:
    """The best values, their validation score, and after how many trials."""

    values: dict[str, Any]
    score: float
    trials: int


@dataclass(frozen=True)
class Trial:
    """One trial: its number from 1, its values, and its validation score; None where `problem` says what went wrong."""

    number: int
    values: dict[str, Any]
    score: float | None
    problem: str = ""


def search(
    experiment: Experiment,
    ranges: Mapping[str, Range],
    *,
    first: int,
    trials: int,
    out: Path,
    on_trial: Callable[[Trial], None] | None = None,
) -> Choice:
    """Choose the settings in `ranges` for the one method of `experiment`.

    Objective: the mean of the first score on the *validation* splits of tasks 1 … `first` after learning exactly these,
    averaged over the seeds of the experiment. No test split and no later task is read. A trial that diverges counts as
    0 for the proposals that follow and is never chosen; one whose settings are refused has failed.

    Args:
        experiment: What is tuned.
        ranges: By name: `METHOD.FIELD` or `training.FIELD`.
        first: How many tasks may be seen.
        trials: To finish in all.
        out: The folder of the study, which is gone on with where it is there. A proposal depends on the finished
            trials and their number only, so a search that was stopped ends as one that was not.
        on_trial: Hears of each.

    Raises:
        SettingError: The ends of a range, or one of its choices, cannot be used in the whole life (found before the
            folder is touched), or none of the settings that were tried could be used.
        DivergedError: Every trial that could be used diverged.
        StorageError: The folder holds a study of other settings.
    """
    require(len(experiment.methods) == 1, "tune one method at a time")
    require(trials >= 1, f"trials must be 1 or more, got {trials}")
    require(bool(ranges), "nothing to choose: give a range, as in --set ewc.strength=1e1..1e6:log")
    spaces = {name: _distribution(found) for name, found in ranges.items()}
    life = _life(experiment, first)
    for values in _extremes(ranges):
        check_fit(with_values(experiment, values), life, 1)
    study = _study(experiment, ranges, first, out)
    problem = ""
    while (number := len(_finished(study))) < trials:
        study.sampler = optuna.samplers.TPESampler(seed=number, n_startup_trials=6)
        trial = study.ask(spaces)
        score: float | None = None
        said = ""
        try:
            chosen = with_values(experiment, trial.params)
            check_fit(chosen, life, 1)
            score = _validated(chosen, first)
            study.tell(trial, score)
        except DivergedError as error:
            problem, said = str(error), f"diverged, {error}"
            trial.set_user_attr("diverged", problem)
            study.tell(trial, 0.0)
        except SettingError as error:  # a value between the ends that does not fit
            problem, said = str(error), f"failed, these settings do not fit: {error}"
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        if on_trial is not None:
            on_trial(Trial(number + 1, trial.params, score, said))
    complete = _finished(study, complete=True)
    usable = [trial for trial in complete if "diverged" not in trial.user_attrs]
    if not usable and complete:
        raise DivergedError(
            f"all of the {len(complete)} settings that could be used diverged, so there is none to choose; search "
            f"smaller values of {' or '.join(ranges)}, or learn with a smaller training.lr"
        )
    if not usable:
        raise SettingError(f"none of the {trials} settings that were tried could be used, the last because: {problem}")
    best = max(usable, key=lambda trial: (trial.value or 0.0, -trial.number))
    return Choice(dict(best.params), float(best.value or 0.0), len(_finished(study)))


def with_values(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    """`experiment` with settings replaced: `{"ewc.strength": 10.0, "training.lr": 0.1}`."""
    [spec] = experiment.methods
    parts = parts_of(spec.name)
    names = {part: part for part in parts} | {method_class(part, import_paths=True).name: part for part in parts}
    settings = {name: dict(some) if isinstance(some, dict) else some for name, some in spec.settings.items()}
    training = asdict(experiment.training)
    for path, value in values.items():
        name, _, setting = path.rpartition(".")
        if name == "training":
            training[setting] = value
        else:
            require(name in names, f"{path}: the method to tune is {spec.title}")
            (settings if len(parts) == 1 else settings[names[name]])[setting] = value
    tuned = MethodSpec.of(spec.name, settings, spec.label)
    return replace(experiment, methods=(tuned,), training=training_from(training))


def _validated(experiment: Experiment, first: int) -> float:
    scores = []
    for seed in experiment.seeds:
        seen = experiment.stream_for(seed).first(first)
        learner = Learner(
            experiment.model,
            experiment.methods[0].build(),
            seen.space,
            experiment.training,
            head=experiment.head,
            objective=experiment.objective,
            seed=seed,
        )
        for task in seen:
            learner.learn(task, progress=False)
        scores.append(np.mean(learner.evaluate(seen, split="validation")))
    return float(np.mean(scores))


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
