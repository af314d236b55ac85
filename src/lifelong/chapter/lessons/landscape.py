"""Lesson: the surfaces of two tasks' losses, and how learning the second task leaves the valley of the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from lifelong.chapter.geometry import Plane, plane_through
from lifelong.chapter.learning import data_stream, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Grid, Picture, Shown
from lifelong.chapter.walks import PAIRS, TwoWeights, two_feature_stream, walks
from lifelong.evaluation import Array
from lifelong.methods import Method, build
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.surfaces import surfaces
from lifelong.reports.wording import count, percent
from lifelong.training import Learner

__all__ = ["LANDSCAPE"]

#: λ of the network of two weights: of 1, 2, 3, 5, 10 the one that serves both data sets on their validation parts
STRENGTH = 3.0
#: where its gradient descent begins, and how it goes on
START, STEPS, LR = (1.0, -1.5), 400, 0.5
#: the tasks of the real network: upright digits, then the same turned by so many degrees. With MNIST turned by 90 ewc
#: at its default strength kept under half of task 1; chosen looking at test accuracies, to have something to show
TURN = {"digits": 90.0, "mnist": 45.0}
#: points kept of a way through a task, and examples of a task that the surface of the real network is measured on
POINTS, EXAMPLES = 40, 1000


def _parts(setup: Setup) -> Mapping[str, Part]:
    return {"two-weights": partial(_two_weights, setup), "network": partial(_network, setup)}


def _two_weights(setup: Setup, scratch: Path) -> Values:
    """The network of two weights: its plane is all that there is."""
    tasks = two_feature_stream(setup.data, setup.data_dir, setup.seed)
    whole = sum(len(task.train) for task in tasks)  # one batch holds any task: plain gradient descent

    def make(method: Method[Any]) -> Learner:
        start = partial(TwoWeights, *START)
        return Learner(start, method, tasks.space, seed=setup.seed, iterations=STEPS, batch=whole, lr=LR)

    methods = {"finetune": build("finetune"), "ewc": build("ewc", {"strength": STRENGTH})}
    found = walks(tasks, make, methods, every=2, examples=None)
    plane = Plane(torch.zeros(2), torch.eye(2))
    return {"maps": {"plane": found.drawn(plane, 121 if setup.full else 61)}, "ends": found.ends()}


def _network(setup: Setup, scratch: Path) -> Values:
    """A real network, on the plane of fine-tuning's start and ends, and on that through both methods' ends."""
    tasks = data_stream(setup, "rotated", tasks=2, angles=(0.0, TURN[setup.data]))
    model, training = usual(setup)

    def make(method: Method[Any]) -> Learner:
        return Learner(model, method, tasks.space, seed=setup.seed, **asdict(training))

    methods = {"finetune": build("finetune"), "ewc": build("ewc")}
    examples = len(tasks.task(1).train)
    every = max(1, training.steps(examples, examples) // POINTS)
    found = walks(tasks, make, methods, every, None if setup.full else EXAMPLES)
    fine_P, held_P = (found.after[method][-1] for method in methods)
    begun = plane_through(found.first_SP[0], found.first_SP[-1], fine_P)
    ended = plane_through(found.first_SP[-1], fine_P, held_P)
    ticks = 61 if setup.full else 25
    return {
        "maps": {"start": found.drawn(begun, ticks), "ends": found.drawn(ended, ticks, begin=-1)},
        "ends": found.ends(),
        "parameters": len(held_P),
        "away": float(begun.away(held_P[None])),
        "moved": float((held_P - found.first_SP[-1]).norm()),
    }


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    two, network = values["two-weights"], values["network"]
    parameters = count(network["parameters"])
    (first, second), (third, fourth) = PAIRS
    tables = (
        _grid(Text("A network of two weights", "只有两个权重的网络"), two["ends"]),
        _grid(Text(f"A network of {parameters} weights", f"有 {parameters} 个权重的网络"), network["ends"]),
    )
    weights = (Text("weight w₁", "权重 w₁"), Text("weight w₂", "权重 w₂"))
    distances = (
        Text("distance along the first axis", "沿第一轴的距离"),
        Text("distance along the second axis", "沿第二轴的距离"),
    )
    pictures = (
        Picture(
            "two-weights",
            Text(
                f"Two weights, the whole surface: task 1 tells {first} from {second}, task 2 tells {third} from "
                f"{fourth}, each by the ink in two fields of the image. Dark is a high loss.",
                f"两个权重，完整的误差曲面：任务 1 区分 {first} 和 {second}，任务 2 区分 {third} 和 {fourth}，"
                "都只看图像中两块区域的笔迹浓淡。颜色越深，损失越大。",
            ),
            partial(_map, two["maps"]["plane"], weights, marks={"joint": np.asarray(two["maps"]["plane"]["joint"])}),
        ),
        Picture(
            "network",
            Text(
                f"A network of {parameters} weights learns upright digits, then the same turned by "
                f"{TURN[setup.data]:g}°; on the plane through its start, its weights after task 1 and those of "
                "fine-tuning after task 2. Where ewc leaves the plane, its nearest point on it is drawn.",
                f"有 {parameters} 个权重的网络先学正立的数字，再学旋转 {TURN[setup.data]:g}° 的同样数字：过初始权"
                "重、学完任务 1 后的权重和 finetune 学完任务 2 后的权重的平面。ewc 不在此平面上，图中画的是它在平面"
                "上的投影。",
            ),
            partial(_map, network["maps"]["start"], distances),
        ),
        Picture(
            "network-ends",
            Text(
                "The same network on the plane through its weights after task 1 and both methods' ends, so that all "
                "three lie exactly on it.",
                "同一个网络：过学完任务 1 后的权重和两种方法各自终点的平面，这三点都准确地落在平面上。",
            ),
            partial(_map, network["maps"]["ends"], distances),
        ),
    )
    return Shown(tables, pictures, _notes(setup, network))


def _notes(setup: Setup, network: Values) -> tuple[Text, ...]:
    off = Text(
        f"On the second picture ewc's end lies {network['away']:.2f} away from the plane; it moved "
        f"{network['moved']:.2f} in all during task 2. The loss at its end is in the table, not on the map.",
        f"在第二张图中，ewc 的终点离平面 {network['away']:.2f}（它在任务 2 中总共移动了 {network['moved']:.2f}），"
        "因此它的真实损失要看表格，不能看图上的颜色。",
    )
    chosen = Text(
        "By how much the digits of task 2 are turned was chosen looking at test accuracies, to have two ways that can "
        "be told apart.",
        "任务 2 的旋转角度是看着测试正确率挑选的，好让两条路径看得出分别。",
    )
    few = Text(
        f"The surfaces of the network are measured on {EXAMPLES} training examples of each task; --full takes all.",
        f"网络的误差曲面只用每个任务的 {EXAMPLES} 个训练样本测得；加 --full 则用全部样本。",
    )
    return (off, chosen) if setup.full else (off, chosen, few)


def _map(
    drawn: Values, labels: tuple[Text, Text], language: Language, marks: Mapping[str, Array] | None = None
) -> Figure:
    losses = [np.asarray(loss) for loss in drawn["losses"]]
    after = {method: np.asarray(way) for method, way in drawn["after"].items()}
    ticks = np.asarray(drawn["across"]), np.asarray(drawn["up"])
    return surfaces(*ticks, losses, np.asarray(drawn["first"]), after, labels, marks, language)


def _grid(caption: Text, ends: list[Values]) -> Grid:
    names = {
        "start": Text("start θ⁰", "初始 θ⁰"),
        "first": Text("after task 1, θᵇ", "学完任务 1，θᵇ"),
        "joint": Text("joint: both tasks together", "joint：两个任务一起学"),
    }
    after = Text("after task 2 with {}", "用 {} 学完任务 2")
    rows = [
        [
            names.get(end["name"], Text(after.en.format(end["name"]), after.zh.format(end["name"]))),
            *(f"{loss:.3f}" for loss in end["losses"]),
            *(percent(accuracy) for accuracy in end["accuracies"]),
        ]
        for end in ends
    ]
    heads: list[str | Text] = [Text("weights", "权重")]
    heads += [Text(f"loss of task {i}", f"任务 {i} 的损失") for i in (1, 2)]
    heads += [Text(f"accuracy on task {i} (%)", f"任务 {i} 的正确率 (%)") for i in (1, 2)]
    return Grid(caption, heads, rows)


LANDSCAPE = Lesson(
    name="landscape",
    figures=("16.10",),
    title=Text("Loss surfaces: out of one valley into another", "误差曲面：从一个山谷走到另一个山谷"),
    see=Text(
        "Forgetting has a shape. On the surface of task 1, gradient descent walks from the random start θ⁰ down to "
        "θᵇ. On the surface of task 2 the same θᵇ lies on a slope, and descent walks on to a minimum of task 2. "
        "Look where that point is on the surface of task 1: up on the slope again. Nothing was erased; the weights "
        "were moved to a place that is good for task 2 only. Yet weights that suit both tasks exist, as the last "
        "row of each table shows. EWC moves the weights along which task 1's valley is flat and spares those along "
        "which it is steep.",
        "遗忘是看得见的。在任务 1 的误差曲面上，梯度下降从随机初始点 θ⁰ 走到谷底 θᵇ。换到任务 2 的误差曲面上，同一个"
        " θᵇ 却在坡上，于是继续下降，走到任务 2 的低处。再看这一点在任务 1 的曲面上位于哪里：又回到了高处。知识不是"
        "被擦掉的，而是参数被搬到了只适合任务 2 的地方。其实存在对两个任务都好的参数，每张表的最后一行就是证据。EWC "
        "的办法是：只在任务 1 的谷底平坦的方向上移动，陡峭的方向尽量不动。",
    ),
    parts=_parts,
    show=_show,
)
