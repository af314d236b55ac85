"""The drawing against a search, the probe that changes nothing, and the angles of GEM at work."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from lifelong.chapter.geometry import CONFLICT, degrees
from lifelong.chapter.lesson import Setup
from lifelong.chapter.lessons.gem import GEM, PRICED, RUNS, TASKS, Watch, cases
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
    watched = Watch(build(method), 2, [task.train for task in tasks])
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


def watched(tasks: Stream, lr: float, **settings: object) -> np.ndarray:
    """What was seen at every step of GEM without a margin."""
    watch = Watch(build("gem", {"margin": 0.0, **settings}), 1, [task.train for task in tasks])
    learner = Learner("mlp:8", watch.chain, tasks.space, epochs=5, lr=lr)
    watch.learner = learner
    for task in tasks:
        learner.learn(task)
    return np.array(watch.rows)


def test_after_gem_no_memory_conflicts(clouds: Callable[..., Stream]) -> None:
    rows = watched(clouds("domain"), 0.1)
    assert set(rows[:, 0]) == {2.0, 3.0}
    clashing = rows[:, 2] > CONFLICT
    assert clashing.any()
    assert rows[clashing, 3] == pytest.approx(90, abs=0.01)
    assert np.array_equal(rows[~clashing, 2], rows[~clashing, 3])


def test_the_angle_to_the_data_is_that_to_a_memory_of_everything(clouds: Callable[..., Stream]) -> None:
    whole = watched(clouds("domain"), 0.1, capacity=1000)
    assert whole[:, 4] == pytest.approx(whole[:, 3], abs=1e-3)
    assert whole[:, 6] == pytest.approx(whole[:, 5], abs=1e-6)
    few = watched(clouds("domain"), 0.1, capacity=3)
    assert (few[:, 3] <= CONFLICT).all()
    assert (few[:, 4] > CONFLICT).any()


def test_short_steps_raise_no_loss_on_the_memory_and_long_ones_do(clouds: Callable[..., Stream]) -> None:
    short, long = (watched(clouds("domain"), lr) for lr in (1e-4, 1.0))
    assert short[:, 5].max() < 1e-5
    assert long[:, 5].max() > 1e-2


def values(lost: dict[str, float], after: float = 90.0, rise: float = 0.1) -> dict[str, dict[str, object]]:
    """Values of all parts: how much each loses of 0.8 on every task but the last; the angles at two steps a task."""
    steps = [
        [task, step, *((100.0, after, 95.0) if step == 4 else (80.0, 80.0, 80.0)), rise, rise]
        for task in (2, 3, 4)
        for step in (4, 8)
    ]

    def part(name: str) -> dict[str, object]:
        row = [0.8 - lost.get(name, 0.0)] * (TASKS - 1) + [0.8]
        matrix = [[0.1] * TASKS, *([0.8] * TASKS for _ in range(TASKS - 1)), row]
        return {"matrix": matrix, "stored_bytes": 1500, **({"steps": steps} if RUNS[name].watched else {})}

    return {name: part(name) for name in GEM.parts(Setup())}


LOST = {
    **{"gem-margin-0": 0.2, "gem-margin-1": 0.05, "gem-all": 0.18},
    **{"gem-finer": 0.1, "finetune": 0.4, "finetune-finer": 0.41},
}


def test_what_is_shown() -> None:
    shown = GEM.show(Setup(), values(LOST))
    rows = shown.tables[0].in_language("zh")[2]
    assert rows[0] == ["gem, γ = 0", "2", "50.0", "0.0", "50.0", "100.0"]
    assert ["gem, γ = 1", "76.2", "5.0", "1.5 kB", "4"] in shown.tables[1].in_language("en")[2]
    arrows, life, memory = (picture.draw("en") for picture in shown.pictures)
    assert len(arrows.axes) == len(cases())
    steps = np.asarray(life.axes[0].collections[0].get_offsets())[:, 0]
    per_task = 5 * -(-1293 // 32)
    assert steps.tolist() == [4, 8, 4 + per_task, 8 + per_task, 4 + 2 * per_task, 8 + 2 * per_task]
    lines = [np.asarray(line.get_ydata()) for line in memory.axes[0].lines]
    assert [text.get_text() for text in memory.axes[0].texts]
    by_name = dict(zip(PRICED, lines, strict=True))
    assert by_name["gem"][-1] == 1000 * by_name["gem"][0]  # the examples of 1,000 tasks
    assert len(set(by_name["ewc"])) == 1  # one penalty, however many tasks


def test_claims_hold_on_numbers_that_bear_them() -> None:
    shown = GEM.show(Setup(), values(LOST))
    assert [claim.holds for claim in shown.claims] == [True, True, True, True, True, False, True]  # agem: none is left
    projection, reasons, whole, finer, margin, _, price = (claim.sentence.en for claim in shown.claims)
    assert "50.0 % of the steps before it and in 0.0 % after it" in projection
    assert "forgets 20.0 points" in reasons
    assert "50.0 % of the projected gradients" in reasons
    assert "100.0 % of the steps raise" in reasons
    assert "A memory of all training examples leaves 50.0 % of conflicts with the data" in whole
    assert "from 20.0 to 18.0 points, so the size of the memory explains the smaller part" in whole
    assert "from 20.0 to 10.0 points, that of finetune from 40.0 to 41.0" in finer
    assert "5.0 points in this run, 20.0 with γ = 0" in margin
    assert "68 kB after 1 task and 68 MB after 1,000" in price


def test_claims_are_not_stated_on_numbers_that_deny_them() -> None:
    lost = {"gem-margin-0": 0.1, "gem-margin-1": 0.2, "gem-all": 0.3, "gem-finer": 0.2, "finetune": 0.4}
    shown = GEM.show(Setup(), values({**lost, "finetune-finer": 0.1}, after=100.0, rise=0.0))
    assert [claim.holds for claim in shown.claims] == [False, False, False, False, False, True, True]
    assert "Conflicts with a past task's memory remain in 50.0 %" in shown.claims[0].sentence.en
    assert "没有减少遗忘：20.0 个百分点，γ = 0 时为 10.0" in shown.claims[4].sentence.zh
    much = GEM.show(Setup(), values({**LOST, "gem-all": 0.02})).claims[2]
    assert "explains most of it" in much.sentence.en
