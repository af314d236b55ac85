"""The drawing against a search, the probe that changes nothing, and the angles of GEM at work."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from lifelong.chapter.geometry import CONFLICT, degrees
from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons.gem import BESIDE, GEM, PRICED, TASKS, WATCHED, Watch, cases
from lifelong.chapter.probe import After, Before
from lifelong.methods import Chain, Step, build
from lifelong.streams import Stream
from lifelong.training import Learner


def test_the_drawing_is_the_nearest_point_that_nobody_objects_to() -> None:
    ticks = np.linspace(-1.5, 1.5, 601)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    for now, past, projected in cases():
        allowed = grid[(grid @ past.T >= 0).all(1)]
        nearest = allowed[np.linalg.norm(allowed - now, axis=1).argmin()]
        assert np.linalg.norm(now - projected) <= np.linalg.norm(now - nearest) + 1e-9
        assert projected == pytest.approx(nearest, abs=0.02)
        assert (past @ projected >= -1e-9).all()
    conflicts = [int((past @ now < 0).sum()) for now, past, _ in cases()]
    assert conflicts == [0, 1, 2, 2]


def test_angles_do_not_depend_on_lengths() -> None:
    one_P = torch.tensor([3.0, 3.0])
    others_TP = torch.tensor([[0.0, 1e-20], [-1e20, 0.0], [5.0, -5.0]])
    assert degrees(one_P, others_TP).tolist() == pytest.approx([45.0, 135.0, 90.0])


@pytest.mark.parametrize("method", ["gem", "agem"])
def test_a_probe_changes_nothing(method: str, clouds: Callable[..., Stream]) -> None:
    tasks, seen = clouds("domain"), list[Tensor]()

    def look(step: Step, grad_P: Tensor) -> None:
        seen.append(grad_P.clone())

    probed = Learner("mlp:5", Chain(Before(look), build(method), After(look)), tasks.space, seed=2, epochs=5)
    watched = Watch(build(method), every=2)
    twice = Learner("mlp:5", watched.chain, tasks.space, seed=2, epochs=5)
    watched.learner = twice
    alone = Learner("mlp:5", build(method), tasks.space, seed=2, epochs=5)
    for learner in (probed, twice, alone):
        for task in tasks:
            learner.learn(task)
    assert torch.equal(probed.flat.theta_P, alone.flat.theta_P)
    assert torch.equal(twice.flat.theta_P, alone.flat.theta_P)
    assert twice.stored_bytes == alone.stored_bytes
    assert len(seen) == 2 * sum(alone.training.steps(len(t.train), len(t.train)) for t in tasks)
    assert any(not torch.equal(before, after) for before, after in zip(seen[::2], seen[1::2], strict=True))


def test_after_gem_no_past_task_objects(clouds: Callable[..., Stream]) -> None:
    tasks = clouds("domain")
    watch = Watch(build("gem", {"margin": 0.0}), every=1)
    learner = Learner("mlp:8", watch.chain, tasks.space, epochs=5)
    watch.learner = learner
    for task in tasks:
        learner.learn(task)
    found = np.array(watch.found)
    assert set(found[:, 0]) == {2.0, 3.0}
    clashing = found[:, 2] > CONFLICT
    assert clashing.any()
    assert found[clashing, 3] == pytest.approx(90, abs=0.01)
    assert np.array_equal(found[~clashing, 2], found[~clashing, 3])


def test_what_is_shown() -> None:
    matrix = [[0.1] * TASKS, *([0.8] * TASKS for _ in range(TASKS))]
    run = {"matrix": matrix, "stored_bytes": 1500}
    angles = [
        [task, step, 100.0 if step == 4 else 80.0, 90.0 if step == 4 else 80.0] for task in (2, 3, 4) for step in (4, 8)
    ]
    parts = GEM.parts(Setup())
    values = {name: run if name in BESIDE else {**run, "angles": angles} for name in parts}
    assert len(values) == len(WATCHED) + len(BESIDE)
    shown = GEM.show(Setup(), values)
    rows = shown.tables[0].in_language("zh")[2]
    assert rows[0] == ["gem, γ = 0", "2", "50.0", "0.0", "90.0°", "85.0°"]
    assert ["gem, γ = 1", "80.0", "0.0", "1.5 kB", "4"] in shown.tables[1].in_language("en")[2]
    arrows, life, memory = (picture.draw("en") for picture in shown.pictures)
    assert len(arrows.axes) == len(cases())
    steps = np.asarray(life.axes[0].collections[0].get_offsets())[:, 0]
    per_task = 5 * -(-1293 // 32)
    assert steps.tolist() == [4, 8, 4 + per_task, 8 + per_task, 4 + 2 * per_task, 8 + 2 * per_task]
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in memory.axes[0].lines}
    assert set(lines) == set(PRICED)
    assert lines["gem"][-1] == 1000 * lines["gem"][0]  # the examples of 1,000 tasks
    assert len(set(lines["ewc"])) == 1  # one spring, however many tasks
