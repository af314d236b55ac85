"""Projects: there and back, strict names, helpful refusals; and the check of inputs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from lifelong.errors import DataError, SettingError
from lifelong.loop.canary import CanarySettings
from lifelong.loop.gate import Gate
from lifelong.loop.lot import ExamSettings
from lifelong.loop.project import LearnerSettings, MethodChoice, Project, from_json, from_toml, to_json, to_toml
from lifelong.loop.quarantine import Rules
from lifelong.loop.schema import InputSchema
from lifelong.loop.triggers import AllOf, Amount, AnyOf, ByHand, Every, InputDrift
from lifelong.training import Training


def test_a_number_is_the_class_of_that_name_where_classes_are_called_by_numbers() -> None:
    shifted = Project("digits", InputSchema((1, 8, 8), 0, 1), ("1", "2", "7", "other"))
    assert [shifted.output(label) for label in (1, "2", 7, "other")] == [0, 1, 2, 3]
    with pytest.raises(DataError, match="unknown class '0'"):
        shifted.output(0)
    named = Project("digits", InputSchema((1, 8, 8), 0, 1), ("zero", "one"))
    assert (named.output(1), named.output("zero")) == (1, 0)
    with pytest.raises(DataError, match="index in 0 … 1"):
        named.output(2)


PLAIN = Project("digits", InputSchema((1, 8, 8), 0, 1), ("zero", "one"))
FULL = Project(
    name="my.digits-2",
    input=InputSchema((4,), low=0, dtype="uint8"),
    classes=("a", "b", "c"),
    scenario="class",
    learner=LearnerSettings("mlp:16,8", "growing", Training(iterations=20, lr=0.05, clip=1.0)),
    method=MethodChoice("ewc+er", {"ewc": {"strength": 5.0}, "er": {"capacity": 40}}),
    gate=Gate(0.01, 0.1, 0.15, 0.2, 0.3, 0.4, 0.9, 20.0, 0.1, 0.5),
    triggers=(AnyOf((Amount(50), ByHand())), AllOf((Every(60.0), InputDrift(20, 0.05)))),
    rules=Rules(rate=0, outlier=0.0),
    exam=ExamSettings(0.25, 200, 10),
    canary=CanarySettings(percent=5.0),
    approval="ask",
    repair=("retrain",),
    keep=0,
    seed=7,
)


@pytest.mark.parametrize("project", [PLAIN, FULL])
def test_there_and_back(project: Project) -> None:
    assert from_json(to_json(project)) == project
    assert from_toml(to_toml(project)) == project
    assert from_json(to_json(project).encode()) == project


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"gaet": {}}, "did you mean 'gate'"),
        ({"gate": {"min_gian": 0.1}}, "project.json.gate: 'min_gian'; did you mean 'min_gain'"),
        ({"gate": {"min_gain": "much"}}, "project.json.gate.min_gain: Expected `float`, got `str`"),
        ({"gate": {"confidence": 95}}, "confidence must be in 0.5 … 1, got 95"),
        ({"gate": {"max_class_forgetting": 0.01}}, "max_class_forgetting must be in 0.05"),
        ({"repair": ["replay", "pray"]}, "repair must name some of interpolate, replay, retrain, got 'pray'"),
        ({"gate": []}, "expected an object"),
        ({"learner": {"training": {"epoch": 3}}}, "did you mean 'epochs'"),
        ({"learner": {"training": {"lr": -1}}}, "project.json.learner.training: lr must be above 0"),
        ({"learner": {"model": "mpl:8"}}, "did you mean 'mlp'"),
        ({"method": {"name": "err"}}, "did you mean 'er'"),
        ({"method": {"name": "packnet"}}, "not defined in the scenario 'domain'"),
        ({"method": {"name": "er", "settings": {"capacty": 3}}}, "did you mean 'capacity'"),
        ({"scenario": "domains"}, "scenario"),
        ({"triggers": {}}, "expected a list"),
        ({"triggers": [{"kind": "evry"}]}, r"triggers\[0\]: 'evry'; did you mean 'every'"),
        ({"name": "My Digits"}, "name must be lower-case"),
        ({"classes": ["a"]}, "two outputs or more"),
        ({"classes": ["a", "b", "a"]}, r"\['a'\] twice"),
        ({"approval": "maybe"}, "project.json.approval"),
        ({"keep": -1}, "keep must be 0 or more"),
        ({"input": {"shape": []}}, "sizes of 1 or more"),
        ({"input": {"shape": [2], "low": 3, "high": 1}}, "low must be below high"),
        ({"rules": {"least": 0}}, "least must be 1 or more"),
        ({"canary": {"percent": 101}}, "percent must be in 0 … 100"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(change: dict[str, object], expected: str) -> None:
    data = {**json.loads(to_json(PLAIN)), **change}
    with pytest.raises(SettingError, match=expected):
        from_json(json.dumps(data))


def test_a_setting_without_bound_is_written_as_text() -> None:
    endless = replace(PLAIN, method=MethodChoice("ewc", {"strength": float("inf")}))
    for back in (from_json(to_json(endless)), from_toml(to_toml(endless))):
        assert back.method.build() == endless.method.build()


def test_what_is_missing_or_no_text_at_all() -> None:
    with pytest.raises(SettingError, match="'input' and 'classes'; give it"):
        from_json('{"name": "a"}')
    with pytest.raises(SettingError, match="is no JSON"):
        from_json("{")
    with pytest.raises(SettingError, match="is no TOML"):
        from_toml("name = ")
    with pytest.raises(SettingError, match="expected an object"):
        from_json("[]")


def test_labels() -> None:
    assert (PLAIN.output("one"), PLAIN.output(1)) == (1, 1)
    with pytest.raises(DataError, match="did you mean 'zero'"):
        PLAIN.output("zeero")
    for wrong in (2, -1, True, 1.0, None, [1]):
        with pytest.raises(DataError, match="index in 0 … 1"):
            PLAIN.output(wrong)


def test_a_learner_is_made_from_the_settings() -> None:
    learner = FULL.new_learner()
    assert (learner.model_name, learner.seed, learner.method.name) == ("mlp:16,8", 7, "ewc+er")
    assert FULL.new_learner(MethodChoice("finetune")).method.name == "finetune"
    assert MethodChoice("er").complete == {"name": "er", "settings": {"capacity": 500, "replay_batch": 32}}


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([[0.0, 1.0]], r"shape \[1, 2\], expected \[2\]; reshape it"),
        ([0.0, 1.0, 1.0], r"shape \[3\], expected \[2\]; send inputs of that size"),
        ([0.0, float("nan")], "nan at place 1, expected finite numbers; remove or impute"),
        ([float("inf"), 0.0], "inf at place 0"),
        ([0.0, 1.5], "1.5 at place 1, expected numbers in 0 … 1; scale it"),
        ([0.0, -0.1], "-0.1 at place 1"),
        ([0.0, "1"], "expected numbers"),
        ([0.0, None], "expected numbers"),
        ([[0.0], [0.0, 1.0]], "ragged|expected numbers"),
        ("ab", "expected numbers"),
        ([True, False], "expected numbers"),
        ({"x": 1}, "expected numbers"),
        (None, "expected numbers"),
        ([1j, 0], "expected numbers"),
    ],
)
def test_inputs_that_do_not_fit(x: object, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        InputSchema((2,), 0, 1).check(x)


def test_inputs_that_fit() -> None:
    schema = InputSchema((2,), 0, 1)
    assert schema.check([0, 1]).dtype == np.float32
    assert schema.check(np.array([0.25, 1.0], dtype=np.float64)).tolist() == [0.25, 1.0]
    assert schema.check_batch([[0, 1], [1, 0]]).shape == (2, 2)
    assert InputSchema((1,)).check([1e30]).tolist() == [np.float32(1e30)]
    with pytest.raises(DataError, match="float32 can hold"):
        InputSchema((1,)).check([1e39])
    whole = InputSchema((1,), dtype="uint8")
    assert whole.check([255]).tolist() == [255.0]
    for wrong, expected in (([0.5], "whole numbers"), ([256], "0 … 255"), ([-1], "0 … 255")):
        with pytest.raises(DataError, match=expected):
            whole.check(wrong)


def test_a_batch_names_its_first_wrong_input() -> None:
    schema = InputSchema((2,), 0, 1)
    with pytest.raises(DataError, match=r"input 1 of the batch holds 7\.0 at place 0"):
        schema.check_batch([[0, 1], [7, 0], [9, 9]])
    for wrong in ([], [0, 1], [[0, 1, 2]], 3):
        with pytest.raises(DataError, match=r"expected \[N, 2\]"):
            schema.check_batch(wrong)


def test_images_name_their_pixel() -> None:
    x = np.zeros((1, 2, 2))
    x[0, 1, 0] = 3
    with pytest.raises(DataError, match=r"3.0 at place \[0, 1, 0\]"):
        InputSchema((1, 2, 2), 0, 1).check(x)


def test_values_are_frozen() -> None:
    assert replace(PLAIN, keep=3).keep == 3
    with pytest.raises(AttributeError):
        PLAIN.keep = 3  # pyrefly: ignore


@pytest.mark.parametrize("learner", ['{"model": "os:system"}', '{"training": {"augment": "flip,os:system"}}'])
def test_no_project_says_what_is_imported(learner: str) -> None:
    text = to_json(PLAIN).decode() if isinstance(to_json(PLAIN), bytes) else to_json(PLAIN)
    project = {**json.loads(text), "learner": json.loads(learner)}
    with pytest.raises(SettingError, match="os:system"):
        from_json(json.dumps(project))
