"""What every registered method must do, by registration alone."""

from __future__ import annotations

import dataclasses
import doctest
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lifelong import testing
from lifelong.errors import SettingError
from lifelong.methods import METHODS, Chain, Claim, Method, Step, settings_of
from lifelong.methods.card import SECTIONS, card, sentence
from lifelong.streams import Stream
from lifelong.streams import stream as load
from lifelong.training import Learner
from lifelong.types import Examples, Scenario

from ..small import build

SCENARIOS: tuple[Scenario, ...] = ("task", "domain", "class")
EVERY = [*METHODS, "ewc+er", "ewc+gem+er"]
SUPPORTED = [(name, scenario) for name in EVERY for scenario in build(name).scenarios]


def make(name: str, stream: Stream, **settings: Any) -> Learner:
    return testing.new_learner(build(name), stream, **settings)


def settings_fields(kind: type[Method[Any]]) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(kind) if field.name in kind.settings()]


def usual(name: str) -> Scenario:
    """The hardest scenario that the method supports: in `class` the head grows as well."""
    return build(name).scenarios[-1]


@pytest.mark.parametrize(("name", "scenario"), SUPPORTED)
def test_learns_each_task_and_repeats_itself(name: str, scenario: Scenario, clouds: Callable[..., Stream]) -> None:
    testing.check_learning(build(name), clouds(scenario))


@pytest.mark.parametrize(("name", "scenario"), SUPPORTED)
def test_saved_and_loaded_it_goes_on_bit_for_bit(
    name: str, scenario: Scenario, clouds: Callable[..., Stream], tmp_path: Path
) -> None:
    testing.check_resuming(build(name), clouds(scenario), tmp_path)


@pytest.mark.parametrize("name", EVERY)
def test_saved_in_the_middle_of_a_task_it_goes_on_bit_for_bit(
    name: str, clouds: Callable[..., Stream], tmp_path: Path
) -> None:
    if not testing.check_resuming_within_a_task(build(name), clouds(usual(name)), tmp_path):
        pytest.skip(f"{name} learns a task without a step")


@pytest.mark.parametrize("name", EVERY)
def test_names_the_scenarios_it_supports(name: str) -> None:
    testing.check_refusals(build(name))


@pytest.mark.parametrize("name", [name for name, kind in METHODS.items() if "task boundaries" in kind.needs])
def test_that_needs_boundaries_refuses_a_stream_without_by_name(name: str, clouds: Callable[..., Stream]) -> None:
    space = dataclasses.replace(clouds(usual(name)).space, boundaries=False)
    with pytest.raises(SettingError, match=f"^{re.escape(name)} needs task boundaries and this stream has none"):
        Learner("mlp:12", build(name), space)


@pytest.mark.parametrize("name", [name for name, kind in METHODS.items() if "task boundaries" not in kind.needs])
@pytest.mark.parametrize("kind", ["permuted-digits", "split-digits"])
def test_that_needs_no_boundaries_learns_without(name: str, kind: str) -> None:
    stream = load(kind, tasks=2, blurry=0.3)
    assert not stream.space.boundaries
    learner = Learner("mlp:12", build(name), stream.space, epochs=3)
    for task in stream:
        learner.learn(task)
    assert max(learner.evaluate(stream)) > 0.3


@pytest.mark.parametrize("name", [name for name, kind in METHODS.items() if kind.disabled_settings is not None])
def test_switched_off_it_is_fine_tuning_bit_for_bit(name: str, clouds: Callable[..., Stream]) -> None:
    stream = clouds(usual(name))
    off = Learner(
        "mlp:12", build(name, METHODS[name].disabled_settings), stream.space, seed=1, epochs=3, lr=0.1, batch=10
    )
    plain = make("finetune", stream)
    assert testing.matrix(off, stream) == testing.matrix(plain, stream)
    assert torch.equal(off.flat.theta_P, plain.flat.theta_P)


@pytest.mark.parametrize("name", EVERY)
def test_runs_in_half_precision(name: str, clouds: Callable[..., Stream]) -> None:
    testing.check_half_precision(build(name), clouds(usual(name), tasks=2))


@pytest.mark.parametrize("name", EVERY)
def test_evaluation_changes_nothing(name: str, clouds: Callable[..., Stream]) -> None:
    testing.check_evaluation(build(name), clouds(usual(name)))


@pytest.mark.parametrize("name", EVERY)
def test_works_around_another_method(name: str, clouds: Callable[..., Stream]) -> None:
    method = build(name)
    inside = [part for part in (method.methods if isinstance(method, Chain) else (method,)) if part.name != "finetune"]
    if not inside:
        pytest.skip("finetune does nothing that could be chained")
    if any(Claim.SOLVES in part.claimed() for part in inside):
        pytest.skip(f"{name} takes no step, and is refused in chains")
    stream = clouds(usual(name))
    chain = Chain(build("finetune"), *inside)
    alone = make(name, stream)
    chained = Learner("mlp:12", chain, stream.space, seed=1, epochs=3, lr=0.1, batch=10)
    assert testing.matrix(chained, stream) == testing.matrix(alone, stream)


def chained(parts: list[Method[Any]], stream: Stream) -> Learner | str:
    """A learner with a chain of `parts`, or why there is none."""
    try:
        return Learner("mlp:12", Chain(*parts), stream.space, seed=1, epochs=3, lr=0.1, batch=10)
    except SettingError as refused:
        return str(refused)


@pytest.mark.parametrize("beside", ["ewc", "er", "ogd", "lwf", "packnet"])  # one of each family that goes in chains
@pytest.mark.parametrize("name", METHODS)
def test_in_a_chain_it_is_refused_or_goes_on_bit_for_bit(
    name: str, beside: str, clouds: Callable[..., Stream], tmp_path: Path
) -> None:
    if name == beside:
        pytest.skip("a method is in a chain once")
    parts = [build(name), build(beside)]
    scenario = [each for each in parts[0].scenarios if each in parts[1].scenarios][-1]
    stream = clouds(scenario)
    kept = chained(parts, stream)
    if isinstance(kept, str):
        assert name in kept, "it should say what does not go with what"
        return
    kept.learn(stream.task(1))
    kept.learn(stream.task(2))
    assert kept.accuracy(stream.task(2)) > 0.6, "each task is easy"
    kept.save(tmp_path / "learner.safetensors")
    loaded = Learner.load(tmp_path / "learner.safetensors")
    for learner in (kept, loaded):
        learner.learn(stream.task(3))
    assert torch.equal(kept.flat.theta_P, loaded.flat.theta_P)
    assert kept.evaluate(stream) == loaded.evaluate(stream)


@pytest.mark.parametrize("name", EVERY)
def test_settings_are_plain_values_and_come_back(name: str) -> None:
    method = build(name)
    assert build(name, json.loads(json.dumps(settings_of(method)))) == method


def other_labels(examples: Examples) -> Examples:
    """The same inputs, the two classes of the task swapped."""
    return dataclasses.replace(examples, y=examples.y.bitwise_xor(1))


@pytest.mark.parametrize("name", METHODS)
def test_needs_labels_beside_those_of_the_loss_where_it_says_so(
    name: str, clouds: Callable[..., Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = clouds(usual(name))
    honest, deceived = make(name, stream), make(name, stream)
    for task in stream:
        honest.learn(task)
    kind = METHODS[name]
    for hook in ("begin_task", "end_task"):
        real = getattr(kind, hook)
        monkeypatch.setattr(kind, hook, lambda *given, real=real: real(*given[:-1], other_labels(given[-1])))
    after = kind.after_step

    def swapped(method: Method[Any], state: Any, step: Step) -> None:
        after(method, state, dataclasses.replace(step, batch=other_labels(step.batch)))

    monkeypatch.setattr(kind, "after_step", swapped)
    for task in stream:
        deceived.learn(task)
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    same = [torch.equal(honest.logits(x, task.number), deceived.logits(x, task.number)) for task in stream]
    assert all(same) == ("labels" not in kind.needs)


@pytest.mark.parametrize("name", METHODS)
def test_settings_of_another_type_are_refused_and_named(name: str) -> None:
    kind = METHODS[name]
    for field in settings_fields(kind):
        wrong: list[object] = [[], {"a": 1}]
        if field.type in ("int", "int | None"):
            wrong += [2.5, "many", True]
        if field.type == "float":
            wrong += ["many", None, True, float("nan")]
        for value in wrong:
            with pytest.raises(SettingError, match=rf"{re.escape(name)}\.{field.name} must be"):
                kind(**{field.name: value})


@pytest.mark.parametrize("name", METHODS)
def test_settings_are_finite_but_for_those_whose_card_says_what_infinity_means(name: str) -> None:
    kind = METHODS[name]
    for field in settings_fields(kind):
        if field.name in kind.unbounded:
            kind(**{field.name: float("inf")})
            assert "with ∞" in card(kind)
        elif "float" in str(field.type):
            with pytest.raises(SettingError, match=rf"{re.escape(name)}\.{field.name} must be"):
                kind(**{field.name: float("inf")})


@pytest.mark.parametrize("name", METHODS)
def test_has_a_complete_card(name: str) -> None:
    kind: type[Method[Any]] = METHODS[name]
    text = card(kind)
    optional = {"Limits:"} if "Limits:" not in text else set()
    needed = [section for section in SECTIONS if section != "Arguments:" or settings_fields(kind)]
    places = [text.find(section) for section in needed if section not in optional]
    assert -1 not in places, f"the card of {name} lacks one of {SECTIONS}"
    assert places == sorted(places)
    assert sentence(kind).endswith(".")
    assert kind.reference.split(" ")[0] in text
    for field in settings_fields(kind):
        assert f"{field.name}:" in text, f"the card of {name} does not explain {field.name}"
    assert doctest.DocTestFinder().find(kind, name)[0].examples, "the card has an example that runs"
    assert "super().__init__" not in inspect.getsource(kind)
