"""What a life is measured against before it begins: the memory it must have room in, and the bytes it may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import nn

import lifelong
from lifelong.errors import DataError, SettingError
from lifelong.experiments.resources import check_methods
from lifelong.methods import GEM, METHODS, Method, StreamSize, stream_size
from lifelong.models import build as build_model
from lifelong.models import with_head
from lifelong.streams import Stream, stream
from lifelong.training import Learner
from lifelong.types import Scenario, Space, Task

from ..small import build

SUPPORTED = [(name, scenario) for name in [*METHODS, "ewc+er"] for scenario in build(name).scenarios]
REMEMBERING = [name for name, kind in METHODS.items() if "memory" in kind.needs]

Network = Callable[[Space], nn.Module]


def plain(space: Space) -> nn.Module:
    return build_model("mlp:12,10", space)


def normed(space: Space) -> nn.Module:
    torch.manual_seed(0)
    return with_head(nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU()), 12, space)


def cnn(space: Space) -> nn.Module:
    return build_model("cnn:16,16,16", space)


def exceeded(method: Method[Any], life: Stream, network: Network) -> list[str]:
    """Where in the life the state is larger than was declared before it, as the check before a run declares it."""
    one = life.task(1).train.x[0]
    declared = method.declared_bytes(
        stream_size(method.adapt(network(life.space), life.space, seed=0), life.tasks, one)
    )
    learner = Learner(network(life.space), method, life.space, batch=10, lr=0.01)
    found: list[str] = []

    def look(step: int) -> None:
        if learner.stored_bytes > declared:
            found.append(f"task {len(learner.tasks) + 1}, step {step}: {learner.stored_bytes} > {declared}")

    for task in life:
        learner.learn(task, on_step=look)
        look(-1)
    return found


def of_sizes(*sizes: int) -> Stream:
    parts = [(torch.randn(size, 6), torch.arange(size) % 2) for size in sizes]
    return Stream.from_datasets([(part, part) for part in parts], validation=0.0)


def of_inputs(x: torch.Tensor) -> Stream:
    part = (x, torch.arange(len(x)) % 2)
    return Stream.from_datasets([(part, part), (part, part)], validation=0.0)


@pytest.mark.parametrize(("name", "scenario"), SUPPORTED)
def test_stores_no_more_than_it_declares(name: str, scenario: Scenario, clouds: Callable[..., Stream]) -> None:
    assert not exceeded(build(name), clouds(scenario, tasks=6), plain)


@pytest.mark.parametrize("name", ["independent", "lwf", "icarl", "dgr"])
def test_declares_the_buffers_of_the_network(name: str, clouds: Callable[..., Stream]) -> None:
    assert not exceeded(build(name), clouds(build(name).scenarios[-1]), normed)


@pytest.mark.parametrize(("name", "settings"), [("joint", {}), ("ogd", {"capacity": 50})])
def test_declares_for_a_first_task_that_is_the_smallest(name: str, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    assert not exceeded(build(name, settings), of_sizes(20, 60, 60), plain)


@pytest.mark.parametrize("name", ["ncm", "slda", "ranpac"])
def test_declares_for_inputs_of_bytes(name: str) -> None:
    assert not exceeded(build(name), of_inputs(torch.randint(0, 255, (60, 20), dtype=torch.uint8)), plain)


def test_gpm_declares_the_patches_of_convolutions() -> None:
    torch.manual_seed(0)
    life = of_inputs(torch.randn(12, 1, 16, 16))
    assert not exceeded(build("gpm", {"samples": 1, "threshold": 1.0}), life, cnn)


@pytest.mark.parametrize("name", REMEMBERING)
def test_a_memory_that_is_too_small_is_refused_and_told_what_would_work(name: str) -> None:
    size = StreamSize.of(tasks=7, examples=10, input_bytes=4, parameters=9, outputs=7, class_task_pairs=7)
    settings = {"per": "total"} if name == "gem" else {}
    with pytest.raises(SettingError, match=rf"{name.replace('+', '.')}\.capacity.*got 6; raise it to 7"):
        build(name, {"capacity": 6, **settings}).check(size)
    build(name, {"capacity": 7, **settings}).check(size)
    off = METHODS[name].disabled_settings or {}
    build(name, {**settings, **off}).check(size)


@pytest.mark.parametrize("name", ["er", "er-ace", "mir", "gss", "der", "der++", "ewc+er"])
def test_a_memory_has_room_for_every_task_of_a_life_that_is_known(name: str, clouds: Callable[..., Stream]) -> None:
    life, model = clouds("domain", tasks=5), lambda: plain(Space((6,), 2))

    def with_room(capacity: int) -> Method[Any]:
        return build(name, {"er": {"capacity": capacity}} if name == "ewc+er" else {"capacity": capacity})

    with pytest.raises(
        SettingError, match="capacity must hold an example of each of the 5 tasks, got 4; raise it to 5"
    ):
        check_methods([with_room(4)], model, life)
    check_methods([with_room(5)], model, life)
    learner = Learner("mlp:8", with_room(4), life.space)
    for task in life:  # nobody knew how many there would be
        learner.learn(task)


def test_gdumb_counts_a_class_in_each_of_its_tasks(clouds: Callable[..., Stream]) -> None:
    with pytest.raises(SettingError, match="raise it to 8"):
        check_methods([build("gdumb", {"capacity": 7})], lambda: plain(Space((6,), 2)), clouds("domain", tasks=4))


@pytest.mark.parametrize("method", [GEM(capacity=2, per="total"), build("agem", {"capacity": 2})])
def test_a_learner_refuses_the_task_for_which_there_is_no_room(
    method: Method[Any], clouds: Callable[..., Stream]
) -> None:
    life = clouds("class")
    learner = Learner("mlp:8", method, life.space)
    learner.learn(life.task(1))
    learner.learn(life.task(2))
    weights, held = len(learner.flat), learner.stored_bytes
    with pytest.raises(SettingError, match="each of the 3 tasks"):
        learner.learn(life.task(3))
    assert (len(learner.flat), learner.stored_bytes, learner.tasks) == (weights, held, [1, 2])


@pytest.mark.parametrize(
    ("name", "settings"),
    [("gdumb", {"capacity": 1}), ("agem", {"capacity": 2}), ("er", {"capacity": 1}), ("packnet", {"keep": 1.0})],
)
def test_a_run_on_a_stream_of_ones_own_is_checked_before_it_begins(
    name: str, settings: dict[str, Any], clouds: Callable[..., Stream]
) -> None:
    method = build(name, settings)
    heard: list[object] = []
    with pytest.raises(SettingError, match=rf"{name}\.{next(iter(settings))}"):
        lifelong.run(clouds(method.scenarios[0]), [method], seeds=1, model="mlp:8", on_event=heard.append)
    assert not heard


def test_sizes_that_are_known_are_the_true_ones() -> None:
    for name, settings in (
        ("permuted-digits", {}), ("permuted-digits", {"samples": 50}), ("permuted-digits", {"validation": 0.0}),
        ("rotated-digits", {"tasks": 2}), ("permuted-digits", {"scenario": "class", "blurry": 0.3}),
        ("noisy-digits", {}), ("split-digits", {}),
    ):  # fmt: skip
        life = stream(name, **settings)
        assert [task.size for task in life] == [len(task.train) for task in life], name


@pytest.mark.parametrize("label", ["dgr", "packnet+dgr"])
def test_data_that_a_method_refuses_changes_nothing(label: str) -> None:
    own = {"output": "sigmoid", "hidden": 8, "latent": 2}
    method = build(label, own if label == "dgr" else {"dgr": own})
    learner = Learner("mlp:8", method, Space((6,), None, "task"))
    x, y = torch.rand(20, 6), torch.arange(20) % 2
    learner.learn(Task.of(1, train=(x, y)))
    weights, theta_P = len(learner.flat), learner.flat.theta_P.detach().clone()
    with pytest.raises(DataError, match="sigmoid needs inputs in"):
        learner.learn(Task.of(2, train=(9 * x, y + 2)))
    assert len(learner.flat) == weights
    assert torch.equal(learner.flat.theta_P, theta_P)
    assert list(learner.objective.classes) == [1]
    learner.learn(Task.of(2, train=(x, y + 2)))
    assert learner.tasks == [1, 2]


def test_an_extent_says_what_each_of_its_fields_is() -> None:
    told = StreamSize.__doc__ or ""
    assert not [field.name for field in fields(StreamSize) if f"`{field.name}`" not in told]
