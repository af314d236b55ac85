"""Tuning: what may be searched, that only validation data of the first tasks is read, that a study is gone on with."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lifelong.cli.app import app
from lifelong.errors import DataError, DivergedError, SettingError, StorageError
from lifelong.experiments import Experiment, MethodSpec, configure
from lifelong.experiments.tune import Range, Trial, parse, search, with_values
from lifelong.streams.blurry import blurred
from lifelong.streams.stream import Stream
from lifelong.types import Examples, Split, Task

RANGES = {"ewc.strength": Range(1.0, 1e4, log=True), "training.lr": Range(0.01, 0.2)}


def small(method: str = "ewc") -> Experiment:
    training = {"epochs": 1}
    return configure("permuted-digits", [MethodSpec.of(method)], [0], model="mlp:8", training=training)


@pytest.mark.parametrize("text", ["1..", "5..1", "0..3:log", "1..2:cubic", "a|a", "x..y"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(SettingError):
        parse(text)


def test_whole_numbers_stay_whole() -> None:
    assert parse("10..500:log").whole
    assert not parse("1e1..1e6:log").whole


def test_a_search_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole: list[Trial] = []
    search(small(), RANGES, first=2, trials=4, out=tmp_path / "a", on_trial=whole.append)
    parts: list[Trial] = []
    for trials in (2, 4):
        choice = search(
            small(),
            RANGES,
            first=2,
            trials=trials,
            out=tmp_path / "b",
            on_trial=parts.append,
        )
    assert parts == whole
    assert choice.score == max(trial.score or 0.0 for trial in whole)
    assert choice.trials == 4
    with pytest.raises(StorageError, match="other settings"):
        search(small(), RANGES, first=3, trials=4, out=tmp_path / "b")


@pytest.mark.parametrize(("method", "fraction"), [("ewc", 0.0), ("er", 0.5)])
def test_no_test_part_and_no_later_task_is_read(
    method: str, fraction: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[tuple[int, Split]] = set()

    def watched(self: Experiment, seed: int) -> Stream:
        made = original(self, seed)

        def watch(task: Task) -> Task:
            def load(part: Split) -> Examples | None:
                asked.add((task.number, part))
                return task.load(part)

            return replace(task, load=load)

        return blurred(replace(made, tasks=tuple(watch(task) for task in made)), fraction, seed)

    original = Experiment.stream_for
    monkeypatch.setattr(Experiment, "stream_for", watched)
    search(small(method), {"training.lr": Range(0.01, 0.2)}, first=2, trials=1, out=tmp_path)
    assert asked == {(1, "train"), (2, "train"), (1, "validation"), (2, "validation")}


def test_values_reach_the_method_in_a_chain_and_the_training() -> None:
    made = with_values(small("ewc+er"), {"er.capacity": 7, "ewc.strength": 3.0, "training.lr": 0.5})
    assert made.methods[0].settings["er"]["capacity"] == 7
    assert made.methods[0].settings["ewc"]["strength"] == 3.0
    assert made.training.lr == 0.5


def test_unknown_settings_are_found_before_any_trial(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="did you mean 'strength'"):
        search(small(), {"ewc.strenght": Range(1.0, 2.0)}, first=1, trials=1, out=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("method", "name", "text", "message"),
    [
        ("gpm", "gpm.threshold", "0.5..1.5", r"gpm\.threshold must be in 0 … 1, got 1\.5"),
        ("ewc", "ewc.fisher", "true|fake", r"ewc.fisher must be auto, true, sampled, empirical or batched, got 'fake'"),
        ("agem", "agem.capacity", "1..4", r"agem\.capacity .* each of the 5 tasks, got 1; raise it to 5"),
    ],
)
def test_ends_and_choices_that_cannot_be_used_are_found_before_any_trial(
    method: str, name: str, text: str, message: str, tmp_path: Path
) -> None:
    whole = replace(small(method), stream_settings={"tasks": 5})
    with pytest.raises(SettingError, match=message):
        search(whole, {name: parse(text)}, first=1, trials=2, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_trial_whose_settings_are_refused_has_failed_and_the_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Trial] = []
    judged: list[float] = []

    def picky(experiment: Experiment, first: int) -> float:
        judged.append(experiment.training.lr)
        if len(judged) % 2:
            raise SettingError("odd ones do not fit")
        return 0.5

    monkeypatch.setattr(sys.modules[search.__module__], "_validated", picky)
    choice = search(small(), RANGES, first=1, trials=4, out=tmp_path / "a", on_trial=heard.append)
    assert [trial.score == 0.5 for trial in heard] == [False, True, False, True]
    assert len(set(judged)) == 4, "a trial that failed is not proposed again"
    assert choice.trials == 4
    judged.clear()
    with pytest.raises(SettingError, match=r"none of the 1 settings .* odd ones do not fit"):
        search(small(), RANGES, first=1, trials=1, out=tmp_path / "b")


def test_without_validation_data_tuning_is_refused(tmp_path: Path) -> None:
    bare = replace(small(), stream_settings={"validation": 0.0})
    with pytest.raises(DataError, match="validation"):
        search(bare, RANGES, first=1, trials=1, out=tmp_path)


@pytest.mark.parametrize(("on", "optimistic"), [("first-1", False), ("all", True)])
def test_the_command_reports_on_the_rest_and_labels_what_is_optimistic(
    on: str, optimistic: bool, tmp_path: Path
) -> None:
    options = ["--tasks", "2", "--epochs", "1", "--model", "mlp:8", "--trials", "2", "--search-seeds", "1"]
    command = ["tune", "permuted-digits", "-m", "ewc", "--set", "ewc.strength=1e0..1e3:log", "--on", on, *options]
    done = CliRunner().invoke(app, [*command, "--seeds", "1", "--out", str(tmp_path / "t"), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["optimistic"] is optimistic
    assert (found["rest_acc"] is None) is optimistic
    assert ("optimistic" in found["results"]["note"]) is optimistic
    assert "note" in (tmp_path / "t" / "final" / "experiment.toml").read_text()


@pytest.mark.parametrize(("seeds", "alone"), [("1", r"alone: \d+\.\d\d %"), ("2", r"alone: \d+\.\d\d ± \d+\.\d\d %")])
def test_one_seed_has_no_interval(seeds: str, alone: str, tmp_path: Path) -> None:
    options = ["--tasks", "2", "--epochs", "1", "--model", "mlp:8", "--trials", "1", "--search-seeds", "1"]
    command = ["tune", "permuted-digits", "-m", "ewc", "--set", "ewc.strength=1..9", "--on", "first-1", *options]
    done = CliRunner().invoke(app, [*command, "--seeds", seeds, "--out", str(tmp_path / "t")])
    assert done.exit_code == 0, done.output
    assert re.search(alone, done.stdout)
    assert "nan" not in done.stdout


def test_a_list_of_values_is_told_how_choices_are_written(tmp_path: Path) -> None:
    command = ["tune", "permuted-digits", "-m", "er", "--set", "er.replay_batch=8,16", "--out", str(tmp_path / "t")]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, SettingError)
    assert "--set 'er.replay_batch=8|16'" in str(done.exception)


def test_trials_that_diverge_are_called_so_and_never_chosen(tmp_path: Path) -> None:
    """All trials diverge: each says it, and none is chosen. One that does not is chosen, though its score may be 0."""
    trials: list[Trial] = []
    wild = replace(small("der"), stream_settings={"tasks": 2})
    with pytest.raises(DivergedError, match=r"all of the 2 settings .* diverged, .* der\.alpha"):
        search(
            wild, {"der.alpha": parse("1e20..1e30:log")}, first=2, trials=2, out=tmp_path / "a", on_trial=trials.append
        )
    assert [trial.score for trial in trials] == [None, None]
    assert all(trial.problem.startswith("diverged") for trial in trials)
    again: list[Trial] = []
    with pytest.raises(DivergedError):  # a study that is gone on with knows it too
        search(
            wild, {"der.alpha": parse("1e20..1e30:log")}, first=2, trials=2, out=tmp_path / "a", on_trial=again.append
        )
    assert not again


def test_a_trial_that_diverged_loses_against_one_of_score_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[float] = []

    def validated(experiment: Experiment, first: int) -> float:
        judged.append(experiment.training.lr)
        if len(judged) == 1:
            raise DivergedError("the loss became nan")
        return 0.0

    monkeypatch.setattr(sys.modules[search.__module__], "_validated", validated)
    choice = search(small(), {"training.lr": Range(0.01, 0.2)}, first=1, trials=2, out=tmp_path)
    assert choice.values["training.lr"] == judged[1]


def test_the_command_says_that_all_trials_diverged(tmp_path: Path) -> None:
    options = [
        "--tasks",
        "3",
        "--epochs",
        "1",
        "--on",
        "first-2",
        "--trials",
        "2",
        "--search-seeds",
        "1",
        "--seeds",
        "1",
    ]
    command = ["tune", "rotated-digits", "-m", "der", "--set", "der.alpha=1e20..1e30:log", *options]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "t")])
    assert isinstance(done.exception, DivergedError)
    assert done.stderr.count(": diverged") == 2
    assert not (tmp_path / "t" / "final").exists()
