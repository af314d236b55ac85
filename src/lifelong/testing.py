"""The contract of a method, for registered ones and for those that live outside: `check_method(MyMethod)`.

Each check is a function of a method and a stream that raises `AssertionError` and says what is broken. The tests of
this package run the same functions on every registered method.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lifelong.errors import SettingError
from lifelong.methods import Method, as_method, settings_of, stream_size
from lifelong.models import build
from lifelong.streams import Stream
from lifelong.training import Learner
from lifelong.types import Scenario

__all__ = [
    "check_bytes",
    "check_evaluation",
    "check_half_precision",
    "check_learning",
    "check_method",
    "check_refusals",
    "check_resuming",
    "check_resuming_within_a_task",
    "check_settings",
    "clouds",
    "matrix",
    "new_learner",
]

SCENARIOS: tuple[Scenario, ...] = ("task", "domain", "class")


def clouds(scenario: Scenario, tasks: int = 3, examples: int = 60) -> Stream:
    """Tasks of two Gaussian clouds in 6 dimensions, learned in a few steps; in `domain` they move, else they are new.

    Example:
        >>> [task.classes for task in clouds("class", tasks=2)]
        [(0, 1), (2, 3)]
    """
    generator = torch.Generator().manual_seed(0)
    datasets: list[tuple[object, object]] = []
    for number in range(tasks):
        centres = 2.5 * torch.randn(2, 6, generator=generator)
        first = 0 if scenario == "domain" else 2 * number
        y = torch.arange(examples) % 2
        train = centres[y] + 0.5 * torch.randn(examples, 6, generator=generator)
        test = centres[y] + 0.5 * torch.randn(examples, 6, generator=generator)
        datasets.append(((train, y + first), (test, y + first)))
    return Stream.from_datasets(datasets, scenario=scenario, validation=0.1)


def new_learner(method: Method[Any], stream: Stream, **settings: Any) -> Learner:
    """A small learner for `stream`."""
    options: dict[str, Any] = {"seed": 1, "epochs": 3, "lr": 0.1, "batch": 10, **settings}
    return Learner("mlp:12", method, stream.space, **options)


def matrix(learner: Learner, stream: Stream) -> list[list[float]]:
    """R of a learner that learns the stream."""
    rows = [learner.evaluate(stream)]
    for task in stream:
        learner.learn(task, progress=False)
        rows.append(learner.evaluate(stream))
    return rows


def check_learning(method: Method[Any], stream: Stream) -> None:
    """It learns each task, which is easy, and gives the same bits again."""
    R = matrix(new_learner(method, stream), stream)
    learned = [R[number][number - 1] for number in range(1, len(stream) + 1)]
    assert sum(learned) / len(learned) > 0.8, f"each task is easy, got {learned} right after learning it"
    assert matrix(new_learner(method, stream), stream) == R, "the same seed gives other results the second time"


def check_resuming(method: Method[Any], stream: Stream, folder: Path) -> None:
    """Saved after a task and loaded, it goes on bit for bit."""
    first = new_learner(method, stream, optimizer="adam", lr=0.01, keep_optimizer=True)
    first.learn(stream.task(1), progress=False)
    first.learn(stream.task(2), progress=False)
    first.save(folder / "learner.safetensors")
    second = Learner.load(folder / "learner.safetensors", method=method)
    assert second.evaluate(stream) == first.evaluate(stream), "a loaded learner answers otherwise"
    for learner in (first, second):
        learner.learn(stream.task(3), progress=False)
    assert torch.equal(first.flat.theta_P, second.flat.theta_P), "a loaded learner goes on otherwise"
    assert second.evaluate(stream) == first.evaluate(stream), "a loaded learner answers otherwise after one more task"
    assert second.stored_bytes == first.stored_bytes, "a loaded learner stores otherwise"


def check_resuming_within_a_task(method: Method[Any], stream: Stream, folder: Path) -> bool:
    """Saved in the middle of a task and loaded, it goes on bit for bit; False where it takes no steps."""
    settings = {"momentum": 0.9, "lr": 0.02}
    per_epoch = -(-len(stream.task(2).train) // 10)
    for stop in (2, per_epoch, 2 * per_epoch + 1):
        file = folder / f"{stop}.safetensors"
        first = new_learner(method, stream, **settings)
        first.learn(stream.task(1), progress=False)
        first.learn(stream.task(2), progress=False, on_step=_saver(first, file, stop))
        if not file.exists():
            return False
        second = Learner.load(file, method=method)
        second.learn(stream.task(2), progress=False)
        assert torch.equal(second.flat.theta_P, first.flat.theta_P), f"resumed at step {stop} it goes on otherwise"
        for learner in (first, second):
            learner.learn(stream.task(3), progress=False)
        assert torch.equal(second.flat.theta_P, first.flat.theta_P), f"resumed at step {stop} the next task differs"
    return True


def _saver(learner: Learner, file: Path, stop: int) -> Callable[[int], None]:
    return lambda step: learner.save(file) if step == stop else None


def check_evaluation(method: Method[Any], stream: Stream) -> None:
    """Examining and asking it changes nothing."""
    asked, silent = new_learner(method, stream), new_learner(method, stream)
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    for task in stream:
        asked.evaluate(stream)
        asked.learn(task, progress=False)
        asked.predict(x, task=1)
        silent.learn(task, progress=False)
    assert torch.equal(asked.flat.theta_P, silent.flat.theta_P), "an exam moved the weights or drew random numbers"


def check_half_precision(method: Method[Any], stream: Stream) -> None:
    """It learns in bfloat16 and float16, with weights in float32."""
    for precision in ("bfloat16", "float16"):
        learner = new_learner(method, stream, autocast=precision)
        assert matrix(learner, stream)[-1][-1] > 0.5, f"the newest task is easy, in {precision} too"
        assert learner.flat.theta_P.dtype == torch.float32


def check_refusals(method: Method[Any]) -> None:
    """It refuses the scenarios that it does not declare."""
    for scenario in SCENARIOS:
        if scenario in method.scenarios:
            continue
        refusal = _refusal(method, clouds(scenario))
        assert refusal, f"{method.name} declares {method.scenarios} and takes {scenario!r}"
        assert f"only in {', '.join(method.scenarios)}" in refusal, refusal


def _refusal(method: Method[Any], stream: Stream) -> str:
    try:
        new_learner(method, stream)
    except SettingError as refused:
        return str(refused)
    return ""


def check_settings(method: Method[Any]) -> None:
    """Its settings are plain values, from which an equal method is made."""
    plain = json.loads(json.dumps(settings_of(method)))
    again = type(method)(**plain, label=method.label)
    assert again == method, f"its settings {plain} make {again!r}, not {method!r}"


def check_bytes(method: Method[Any], stream: Stream) -> None:
    """It stores no more than it declares, after every task."""
    model = method.adapt(build("mlp:12", stream.space, seed=1), stream.space, 1)
    declared = method.declared_bytes(stream_size(model, stream.tasks, stream.task(1).train.x[0]))
    learner = new_learner(method, stream)
    for task in stream:
        learner.learn(task, progress=False)
        stored = learner.stored_bytes
        assert stored <= declared, f"{method.name} declares at most {declared} bytes and stores {stored}"


def check_method(method: str | Method[Any] | type[Method[Any]]) -> list[str]:
    """Run the whole contract on a method, in every scenario that it declares.

    Args:
        method: The class, an object, a registered name, or an import path.

    Returns:
        The names of the checks that it passed.

    Raises:
        AssertionError: A check failed; the message says which promise is broken.

    Example:
        >>> from lifelong.methods import L2
        >>> check_method(L2)[:2]
        ['check_settings', 'check_refusals']
    """
    subject = as_method(method)
    check_settings(subject)
    check_refusals(subject)
    passed = ["check_settings", "check_refusals"]
    with tempfile.TemporaryDirectory() as name:
        for scenario in subject.scenarios:
            stream, folder = clouds(scenario), Path(name) / scenario
            folder.mkdir()
            check_learning(subject, stream)
            check_resuming(subject, stream, folder)
            check_resuming_within_a_task(subject, stream, folder)
            check_evaluation(subject, stream)
            check_bytes(subject, stream)
            passed += [f"{check} in {scenario}" for check in ("check_learning", "check_resuming", "check_evaluation")]
        check_half_precision(subject, clouds(subject.scenarios[-1], tasks=2))
    return [*passed, "check_half_precision"]
