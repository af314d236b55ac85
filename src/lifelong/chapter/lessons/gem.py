"""Lesson: the gradient of now, those of the past and the projected one: GEM drawn, watched at work, and its price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.chapter.geometry import CONFLICT, degrees
from lifelong.chapter.learning import data_stream, learned, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.probe import After, Before
from lifelong.chapter.shown import Grid, Picture, Shown
from lifelong.evaluation import Array, acc, forgetting
from lifelong.memory import Ring
from lifelong.methods import Chain, Method, Step, StreamSize, build
from lifelong.methods.projection import project
from lifelong.reports.arrows import projections
from lifelong.reports.bilingual import Text
from lifelong.reports.conflicts import angles_over_life
from lifelong.reports.memories import memory_curves
from lifelong.reports.wording import percent, size
from lifelong.streams import Stream
from lifelong.training import Learner, Training

__all__ = ["GEM", "Watch", "cases"]

TASKS = 4
#: steps between two looks at the angles
EVERY = 4
#: the methods that are looked at; γ = 0 is the exact projection of the drawing, γ = 1 the method's default
WATCHED: dict[str, tuple[str, dict[str, Any]]] = {
    "gem, γ = 0": ("gem", {"margin": 0.0}),
    "gem, γ = 1": ("gem", {"margin": 1.0}),
    "agem": ("agem", {}),
}
#: what their price is held against
BESIDE = ("finetune", "er", "ewc", "si", "mas")
PRICED = ("gem", "agem", "er", "ewc", "si")
#: g and past gradients in two dimensions: no conflict, one, two of which one decides, two that leave no way
CASES: tuple[tuple[list[float], list[list[float]]], ...] = (
    ([0.8, 0.4], [[0.3, 1.1]]),
    ([1.0, -0.7], [[0.3, 1.1]]),
    ([1.0, -0.7], [[0.3, 1.1], [-0.6, 0.9]]),
    ([0.1, -1.1], [[0.9, 0.7], [-0.9, 0.7]]),
)
TITLES = (
    Text("no conflict: g' = g", "没有冲突：g' = g"),
    Text("one conflict", "一个冲突"),
    Text("two conflicts, g² decides", "两个冲突，起作用的是 g²"),
    Text("two conflicts, no way left: g' = 0", "两个冲突，无路可走：g' = 0"),
)


class Watch:
    """Notes the largest angle between the gradient and the past gradients, before and after a method changed it.

    Arguments: `method`, gem or agem, whose memory gives the past gradients; `every` so many steps it looks.

    `chain` is the method to learn with; what is found is in `found`, rows of task, step, angle before, angle after.
    """

    def __init__(self, method: Method[Any], every: int) -> None:
        self.chain = Chain(Before(self._before), method, After(self._after))
        self.every = every
        self.learner: Learner | None = None
        self.found: list[list[float]] = []
        self._past_TP: Tensor | None = None
        self._angle = 90.0

    def _before(self, step: Step, grad_P: Tensor) -> None:
        self._past_TP = None
        if self.learner is None or step.number % self.every != 0:
            return
        ring = self.learner.state[1]
        assert isinstance(ring, Ring)
        past = [step.gradient_on(memory) for memory in ring.past(step.task)]
        if past:
            self._past_TP = torch.stack(past)
            self._angle = float(degrees(grad_P, self._past_TP).max())

    def _after(self, step: Step, grad_P: Tensor) -> None:
        if self._past_TP is not None:
            row = [step.task, step.number, self._angle, float(degrees(grad_P, self._past_TP).max())]
            self.found.append(row)


def _parts(setup: Setup) -> Mapping[str, Part]:
    watched = {name.replace(", γ = ", "-margin-"): partial(_watched, setup, *WATCHED[name]) for name in WATCHED}
    return {**watched, **{method: partial(_beside, setup, method) for method in BESIDE}}


def _life(setup: Setup) -> tuple[Stream, str, Training]:
    shorter: dict[str, int] = {"iterations": 300} if setup.data == "mnist" else {"epochs": 5}
    return data_stream(setup, "permuted", tasks=TASKS), *usual(setup, **({} if setup.full else shorter))


def _watched(setup: Setup, method: str, settings: dict[str, Any], scratch: Path) -> Values:
    """What `_beside` finds of a method, and the angles; in one piece, as a run that is watched cannot be resumed."""
    tasks, model, training = _life(setup)
    watch = Watch(build(method, settings), EVERY)
    learner = Learner(model, watch.chain, tasks.space, seed=setup.seed, **asdict(training))
    watch.learner = learner
    matrix = [learner.evaluate(tasks)]
    for task in tasks:
        learner.learn(task, progress=False)
        matrix.append(learner.evaluate(tasks))
    return {"matrix": matrix, "stored_bytes": learner.stored_bytes, "angles": watch.found}


def _beside(setup: Setup, method: str, scratch: Path) -> Values:
    """The matrix of a method on the same life, and what it stored at its end."""
    tasks, model, training = _life(setup)
    found = learned(scratch, tasks, method, model=model, training=training, seed=setup.seed)
    return {"matrix": found["matrix"], "stored_bytes": found["cost"]["stored_bytes"]}


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    by_name = {name: values[name.replace(", γ = ", "-margin-")] for name in WATCHED}
    angles = {name: np.asarray(found["angles"], dtype=np.float64) for name, found in by_name.items()}
    tasks, _, training = _life(setup)
    examples = len(tasks.task(1).train)
    steps = training.steps(examples, examples)
    life = {
        name: np.stack([(rows[:, 0] - 2) * steps + rows[:, 1], rows[:, 2], rows[:, 3]], axis=1)
        for name, rows in angles.items()
    }
    starts = {task: (task - 2) * steps for task in range(2, TASKS + 1)}
    lives = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    extents = _extents(setup, lives)
    stored = {method: [build(method).declared_bytes(extent) for extent in extents] for method in PRICED}
    pictures = (
        Picture(
            "projection",
            Text(
                "Exact, in two dimensions. Shaded is where no past task objects, ⟨g', gᵏ⟩ ≥ 0; g' is the point of it "
                "that is nearest to g.",
                "二维的精确图。阴影区满足 ⟨g', gᵏ⟩ ≥ 0，即不违背任何过去的任务；g' 是其中离 g 最近的点。",
            ),
            partial(projections, cases(), TITLES),
        ),
        Picture(
            "angles",
            Text(
                f"A real network on {TASKS} permutations: the largest angle between the gradient and that of any past "
                "task. Above 90° the step would raise a past loss.",
                f"真实网络学习 {TASKS} 个像素置换任务：当前梯度与各个过去任务的梯度之间的最大夹角。超过 90° 就会使某"
                "个过去任务的损失上升。",
            ),
            partial(angles_over_life, life, starts),
        ),
        Picture(
            "memory",
            Text(
                "The price, with the default settings: springs cost the same however many tasks; gem keeps examples of "
                "every task.",
                "存储代价（默认设置）：弹簧类方法与任务数无关；gem 要为每个任务保存样本。",
            ),
            partial(memory_curves, lives, stored),
        ),
    )
    price = _price({**by_name, **{method: values[method] for method in BESIDE}})
    return Shown((_conflicts(angles), price), pictures, _notes(setup))


def cases() -> list[tuple[Array, Array, Array]]:
    """g, past gradients and the projected g' of each case of the drawing, by the projection that GEM itself uses."""
    found = []
    for now, past in CASES:
        now_2, past_T2 = torch.tensor(now, dtype=torch.float64), torch.tensor(past, dtype=torch.float64)
        found.append((now_2.numpy(), past_T2.numpy(), project(now_2, past_T2).numpy()))
    return found


def _extents(setup: Setup, lives: Sequence[int]) -> list[StreamSize]:
    """Lives of so many tasks like those of this run."""
    tasks, model, _ = _life(setup)
    space, examples, parameters = tasks.space, len(tasks.task(1).train), len(Learner(model, space=tasks.space).flat)
    return [StreamSize.of(count, examples, 4 * space.features, parameters, space.classes or 0) for count in lives]


def _conflicts(angles: Mapping[str, Array]) -> Grid:
    """How often a past task objected, by task, before and after the projection."""
    heads: list[str | Text] = [
        Text("method", "方法"),
        Text("learning task", "正在学的任务"),
        Text("conflict before (% of steps)", "投影前有冲突（占步数 %）"),
        Text("conflict after (% of steps)", "投影后有冲突（占步数 %）"),
        Text("median largest angle before", "投影前最大夹角的中位数"),
        Text("median largest angle after", "投影后最大夹角的中位数"),
    ]
    rows: list[list[str | Text]] = []
    for name, found in angles.items():
        for task in range(2, TASKS + 1):
            own = found[found[:, 0] == task]
            shares = [percent(float((own[:, place] > CONFLICT).mean())) for place in (2, 3)]
            medians = [f"{np.median(own[:, place]):.1f}°" for place in (2, 3)]
            rows.append([name, str(task), *shares, *medians])
    return Grid(Text("How often a past task objects", "过去的任务有多常反对"), heads, rows)


def _price(runs: Mapping[str, Values]) -> Grid:
    heads: list[str | Text] = [
        Text("method", "方法"),
        Text("ACC (%)", "平均正确率 ACC (%)"),
        Text("forgetting (points)", "遗忘（百分点）"),
        Text("stored beside the model", "模型之外的存储"),
        Text("backward passes per step", "每步反向传播次数"),
    ]
    passes = {name: str(TASKS if method == "gem" else 2) for name, (method, _) in WATCHED.items()}
    rows: list[list[str | Text]] = [
        [
            name,
            percent(float(acc(found["matrix"]))),
            percent(float(forgetting(found["matrix"]))),
            size(found["stored_bytes"]),
            passes.get(name, "1"),
        ]
        for name, found in runs.items()
    ]
    return Grid(Text(f"The same {TASKS} tasks", f"同样的 {TASKS} 个任务"), heads, rows)


def _notes(setup: Setup) -> tuple[Text, ...]:
    how = Text(
        f"The gradient is looked at every {EVERY} steps, past gradients are those on the method's own memory, and "
        f"above {CONFLICT}° counts as a conflict (the hundredth is for rounding). The backward passes are those of "
        "the last task.",
        f"每 {EVERY} 步查看一次梯度；过去任务的梯度在方法自己的记忆样本上计算；夹角大于 {CONFLICT}° 算冲突（多出的 "
        "0.01 是舍入误差）。反向传播次数按最后一个任务计。",
    )
    few = Text(
        "Shortened: about half of the usual training and one seed; --full trains as usual.",
        "为省时间，训练约为通常的一半，只用一个种子；加 --full 则按通常长度训练。",
    )
    return (how,) if setup.full else (how, few)


GEM = Lesson(
    name="gem",
    figures=("16.12",),
    title=Text("GEM: the nearest step that harms no past task", "GEM：不伤害过去任务的最近一步"),
    see=Text(
        "Springs hold weights, GEM corrects the step itself. It keeps some examples of every task, so at every step "
        "it knows which way each past loss falls. If the gradient of now makes an angle above 90° with one of "
        "those, the step would harm that task, and GEM takes the nearest direction that harms none. The drawing "
        "shows the geometry, the angles show a real network: how often there is a conflict, and that afterwards "
        "none is left. A-GEM only looks at the mean of the past, and single tasks still object. The price is memory "
        "that grows with every task, and a backward pass for each of them.",
        "弹簧类方法拉住参数，GEM 则直接修正每一步的方向。它为每个任务保存少量样本，因此每一步都知道各个旧任务的损失"
        "往哪个方向下降。如果当前梯度与某个旧梯度的夹角大于 90°，这一步就会伤害那个任务，于是 GEM 换成离原方向最近、"
        "又不伤害任何任务的方向。二维图讲清几何关系，角度图来自真实网络：冲突有多频繁，投影之后是否消失。A-GEM 只看"
        "过去的平均，个别任务仍可能受损。代价是：存储随任务数增长，每个旧任务每步还要多做一次反向传播。",
    ),
    parts=_parts,
    show=_show,
)
