"""Golden runs: R and the size of the logits of every method on a fixed stream, so that no change goes unnoticed.

Made again with `python -m pytest tests/test_golden.py --golden`. In the stream tasks contradict each other,
and every golden run differs from fine-tuning's: a method that has no effect any more is noticed.

R is compared to 0.02: another processor's rounding may turn some of the answers near a boundary. The size of the logits
(the root of their mean square on all tests so far) moves with every weight and hardly with rounding: weights changed by
1e-5 at the start change it by 1e-4 at most. It is compared to 0.1 %, which halving a strength or a memory exceeds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lifelong.methods import METHODS, Method
from lifelong.streams import Stream
from lifelong.training import Learner
from lifelong.types import Scenario

from .small import build

FOLDER = Path(__file__).parent / "golden"
ANSWERS, SIZE = 0.02, 0.001

#: settings that a golden run does not leave at their defaults, so that choosing a default anew keeps the run
SETTINGS: dict[str, dict[str, Any]] = {
    "ewc": {"strength": 70.0},
    "online-ewc": {"strength": 50.0},
    "l2": {"strength": 0.06},
    "si": {"strength": 8.0},
    "mas": {"strength": 0.015},
    "rwalk": {"strength": 7.0},
    "scp": {"strength": 6.0},
    "ewc+er": {"ewc": {"strength": 70.0}},
}

Run = dict[str, list[Any]]


def rivals(scenario: Scenario) -> Stream:
    """Three tasks of the same two overlapping clouds, each with the dimensions in another order; in the second they
    change places as well. In `domain` the labels are the same, so that tasks contradict each other.
    """
    generator = torch.Generator().manual_seed(0)
    centres = 1.5 * torch.randn(2, 6, generator=generator)
    datasets: list[tuple[object, object]] = []
    for number in range(3):
        own = centres[:, torch.randperm(6, generator=generator)].roll(number % 2, dims=0)
        first = 0 if scenario == "domain" else 2 * number
        parts = []
        for examples in (200, 400):
            y = torch.arange(examples) % 2
            parts.append((own[y] + torch.randn(examples, 6, generator=generator), y + first))
        datasets.append((parts[0], parts[1]))
    return Stream.from_datasets(datasets, scenario=scenario, validation=0.1)


def life(method: Method[Any], scenario: Scenario) -> Run:
    """R and, after each task, the size of the logits."""
    stream, sizes = rivals(scenario), []
    learner = Learner("mlp:12", method, stream.space, seed=1, epochs=3, lr=0.1, batch=10)
    rows = [learner.evaluate(stream)]
    for task in stream:
        learner.learn(task)
        rows.append(learner.evaluate(stream))
        logits = torch.cat([learner.logits(past.test.x, past.number) for past in stream.tasks[: task.number]])
        sizes.append(float(logits[torch.isfinite(logits)].double().square().mean().sqrt()))
    return {"R": np.round(rows, 4).tolist(), "logits": [float(f"{size:.5g}") for size in sizes]}


def differences(one: Run, two: Run) -> tuple[float, float]:
    """The largest of R, and the largest of the logits' sizes as a part of them."""
    apart = np.abs(np.array(one["R"]) - np.array(two["R"])).max()
    ratio = np.array(one["logits"]) / np.array(two["logits"])
    return float(apart), float(np.abs(ratio - 1).max())


def stored(name: str) -> dict[str, Run]:
    golden: dict[str, Run] = json.loads((FOLDER / f"{name}.json").read_text())
    return golden


@pytest.mark.parametrize("name", [*METHODS, "ewc+er"])
def test_golden_run(name: str, request: pytest.FixtureRequest) -> None:
    method = build(name, SETTINGS.get(name))
    found = {scenario: life(method, scenario) for scenario in method.scenarios}
    if request.config.getoption("--golden"):
        (FOLDER / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    golden = stored(name)
    assert sorted(golden) == sorted(found)
    for scenario, run in found.items():
        answers, size = differences(run, golden[scenario])
        assert answers <= ANSWERS, f"the answers of {name} in {scenario} changed by {answers}"
        assert size <= SIZE, f"the logits of {name} in {scenario} changed by {size:.2%}"


@pytest.mark.parametrize("name", [name for name in [*METHODS, "ewc+er"] if name != "finetune"])
def test_a_method_without_effect_would_be_noticed(name: str) -> None:
    """What is no defence in a scenario still leaves its mark on the logits: ten times what is allowed."""
    plain, golden = stored("finetune"), stored(name)
    for scenario, run in golden.items():
        answers, size = differences(run, plain[scenario])
        assert answers > ANSWERS or size > 10 * SIZE, f"{name} in {scenario} is the same as finetune"
    assert any(differences(run, plain[scenario])[0] > ANSWERS for scenario, run in golden.items())
