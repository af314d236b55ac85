"""Joint training after T tasks at once is what joint training has become after T tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import torch

from lifelong.chapter.learning import data_stream, fewer_tests, joint_after, usual
from lifelong.chapter.lesson import Setup
from lifelong.methods import Joint
from lifelong.streams import Stream
from lifelong.training import Learner, Training

TRAINING = Training(epochs=1, batch=8)


def lived(stream: Stream) -> Learner:
    learner = Learner("mlp:8", Joint(), stream.space, **asdict(TRAINING))
    for task in stream:
        learner.learn(task)
    return learner


def test_one_task_gives_the_same_bits(clouds: Callable[..., Stream]) -> None:
    stream = clouds("domain", tasks=1)
    learner, seconds = joint_after(1, stream, "mlp:8", TRAINING, seed=0)
    assert torch.equal(learner.flat.theta_P, lived(stream).flat.theta_P)
    assert seconds > 0


def test_later_tasks_have_the_same_memory_and_steps(clouds: Callable[..., Stream]) -> None:
    stream = clouds("domain", tasks=3)
    reports: list[int] = []
    learner, _ = joint_after(3, stream, "mlp:8", TRAINING, seed=0)
    whole = Learner("mlp:8", Joint(), stream.space, **asdict(TRAINING))
    for task in stream:
        whole.learn(task, on_progress=lambda report: reports.append(report.steps))
    assert learner.stored_bytes == whole.stored_bytes
    assert torch.equal(learner.state.parts()[0].x, whole.state.parts()[0].x)
    assert reports[-1] == TRAINING.steps(3 * len(stream.task(1).train), len(stream.task(1).train))


def test_fewer_tests_leave_the_training_alone() -> None:
    whole = data_stream(Setup(), "rotated", tasks=2)
    short = fewer_tests(whole, 20)
    assert torch.equal(short.task(2).test.x, whole.task(2).test.x[:20])
    assert torch.equal(short.task(2).train.x, whole.task(2).train.x)


def test_the_streams_seed_is_the_setups_unless_given() -> None:
    def first(setup_seed: int, **settings: int) -> torch.Tensor:
        return data_stream(Setup(seed=setup_seed), "permuted", tasks=1, **settings).task(1).test.x

    assert torch.equal(first(3), first(0, seed=3))
    assert not torch.equal(first(3), first(0))


def test_changes_of_the_training() -> None:
    assert usual(Setup("mnist"), epochs=2) == ("mlp:256,256", Training(epochs=2, batch=64, lr=0.1, schedule="linear"))
