"""Lesson: the losses of two tasks as maps, and how learning the second task leaves the valley of the first."""

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
from lifelong.chapter.moving import loss_maps
from lifelong.chapter.shown import Claim, Grid, Picture, Shown
from lifelong.chapter.walks import PAIRS, TwoWeights, Walks, two_feature_stream, walks
from lifelong.evaluation import Array
from lifelong.methods import Method, build
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.surfaces import surfaces
from lifelong.reports.wording import percent
from lifelong.training import Learner

__all__ = ["LANDSCAPE"]

#: λ of the network of two weights: of 1, 2, 3, 5, 10 the one that serves both data sets on their validation parts
STRENGTH = 3.0
#: the λ of the slider
STRENGTHS = (0.0, 0.3, 1.0, 3.0, 5.0, 10.0, 20.0, 40.0, 80.0)
#: where its gradient descent begins, and how it goes on
START, STEPS, LR = (1.0, -1.5), 400, 0.5
#: the tasks of the real network: upright digits, then the same turned by so many degrees. With MNIST turned by 90 ewc
#: at its default strength kept under half of task 1; chosen looking at test accuracies, to have something to show
TURN = {"digits": 90.0, "mnist": 45.0}
#: points kept of a way through a task, and examples of a task that the surface of the real network is measured on
POINTS, EXAMPLES = 40, 1000


def _parts(setup: Setup) -> Mapping[str, Part]:
    return {
        "two-weights": partial(_two_weights, setup),
        "strengths": partial(_strengths, setup),
        "network": partial(_network, setup),
    }


def _small_walks(setup: Setup, methods: Mapping[str, Method[Any]], every: int) -> Walks:
    """The ways of the network of two weights, by plain gradient descent."""
    tasks = two_feature_stream(setup.data, setup.data_dir, setup.seed)
    whole = sum(len(task.train) for task in tasks)  # one batch holds any task

    def make(method: Method[Any]) -> Learner:
        start = partial(TwoWeights, *START)
        return Learner(start, method, tasks.space, seed=setup.seed, iterations=STEPS, batch=whole, lr=LR)

    return walks(tasks, make, methods, every, examples=None)


def _two_weights(setup: Setup, scratch: Path) -> Values:
    """The network of two weights: its plane is all that there is."""
    methods = {"finetune": build("finetune"), "ewc": build("ewc", {"strength": STRENGTH})}
    found = _small_walks(setup, methods, every=2)
    plane = Plane(torch.zeros(2), torch.eye(2))
    return {"maps": {"plane": found.drawn(plane, 121 if setup.full else 61)}, "ends": found.ends()}


def _strengths(setup: Setup, scratch: Path) -> Values:
    """The ways of ewc with every λ of `STRENGTHS` through task 2, and their ends."""
    methods = {str(strength): build("ewc", {"strength": strength}) for strength in STRENGTHS}
    found = _small_walks(setup, methods, every=4)
    ends = {end["name"]: end for end in found.ends()}
    return {
        "strengths": [*STRENGTHS],
        "ways": [found.after[name].tolist() for name in methods],
        "ends": [ends[name] for name in methods],
    }


def _network(setup: Setup, scratch: Path) -> Values:
    """A real network, on the plane through the end of task 1 and both methods' ends."""
    tasks = data_stream(setup, "rotated", tasks=2, angles=(0.0, TURN[setup.data]))
    model, training = usual(setup)

    def make(method: Method[Any]) -> Learner:
        return Learner(model, method, tasks.space, seed=setup.seed, **asdict(training))

    methods = {"finetune": build("finetune"), "ewc": build("ewc")}
    examples = len(tasks.task(1).train)
    every = max(1, training.steps(examples, examples) // POINTS)
    ways = walks(tasks, make, methods, every, None if setup.full else EXAMPLES)
    plane = plane_through(ways.first_SP[-1], *(ways.after[method][-1] for method in methods))
    return {
        "maps": {"ends": ways.drawn(plane, 61 if setup.full else 25, begin=-1)},
        "ends": ways.ends(),
        "parameters": len(ways.joint_P),
    }


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    two, network = values["two-weights"], values["network"]
    (first, second), (third, fourth) = PAIRS
    small = Text("the network of two parameters", "两个参数的网络")
    large = _named(network["parameters"])
    tables = tuple(
        _grid(Text(name.en.removeprefix("the ").capitalize(), name.zh), part["ends"])
        for name, part in ((small, two), (large, network))
    )
    parameters = (Text("parameter θ₁", "参数 θ₁"), Text("parameter θ₂", "参数 θ₂"))
    distances = (
        Text("distance along the first axis", "沿第一轴的距离"),
        Text("distance along the second axis", "沿第二轴的距离"),
    )
    pictures = (
        Picture(
            "two-weights",
            Text(
                f"The complete loss of a network of two parameters. Task 1 tells {first} from {second}, task 2 tells "
                f"{third} from {fourth}, both from the ink in two fields of the image. The bluer, the lower the loss.",
                f"只有两个参数的网络的完整损失图。任务 1 区分 {first} 和 {second}，任务 2 区分 {third} 和 {fourth}，"
                "都只看图像中两块区域的笔迹浓淡。颜色越蓝，损失越小。",
            ),
            partial(_map, two["maps"]["plane"], parameters, marks={"joint": np.asarray(two["maps"]["plane"]["joint"])}),
        ),
        Picture(
            "network-ends",
            Text(
                f"{large.en.capitalize()} learns upright digits, then the same digits turned by "
                f"{TURN[setup.data]:g}°. The plane goes through θᵇ and both θ*, so the colour at these three points "
                "is their true loss; the paths between them are projected onto it.",
                f"{large.zh}先学正立的数字，再学旋转 {TURN[setup.data]:g}° 的同样数字。平面经过 θᵇ 和两个 θ*，这三点处"
                "的颜色就是真实的损失；中间的路径是投影。",
            ),
            partial(_map, network["maps"]["ends"], distances),
        ),
    )
    claims = (*_claims(two["ends"], small), *_claims(network["ends"], large))
    moving = loss_maps("two-weights", two["maps"]["plane"], values["strengths"])
    return Shown(tables, pictures, _notes(setup), claims, (moving,))


def _named(parameters: int) -> Text:
    return Text(f"the network of {parameters:,} parameters", f"{parameters / 1e4:.1f} 万个参数的网络")


def _claims(ends: list[Values], name: Text) -> tuple[Claim, ...]:
    """What the ends of the ways say of forgetting, of joint training and of ewc, in this run."""
    end = {each["name"]: each for each in ends}
    first, fine, ewc, joint = (end[key] for key in ("first", "finetune", "ewc", "joint"))
    seen = _both(first, fine)
    both = [percent(value) for value in joint["accuracies"]]
    weak = percent(min(fine["accuracies"]))
    small = [percent(value) for value in (*ewc["accuracies"], fine["accuracies"][0], first["accuracies"][1])]
    return (
        Claim(
            fine["losses"][0] > first["losses"][0] and fine["accuracies"][0] < first["accuracies"][0],
            Text(
                f"In this run {name.en} forgets: from θᵇ to θ* of fine-tuning the loss of task 1 rises {seen.en}.",
                f"在这次运行中，{name.zh}发生了遗忘：从 θᵇ 到 finetune 的 θ*，任务 1 的损失上升，{seen.zh}。",
            ),
            Text(
                f"In this run {name.en} shows no clear forgetting: from θᵇ to θ* of fine-tuning the loss of task 1 "
                f"goes {seen.en}.",
                f"在这次运行中，{name.zh}没有表现出明显的遗忘：从 θᵇ 到 finetune 的 θ*，任务 1 的损失{seen.zh}。",
            ),
        ),
        Claim(
            min(joint["accuracies"]) > min(fine["accuracies"]),
            Text(
                f"For {name.en} parameters that suit both tasks exist: joint training reaches {both[0]} % and "
                f"{both[1]} %, while fine-tuning has {weak} % on its weaker task.",
                f"{name.zh}存在对两个任务都好的参数：joint 在两个任务上达到 {both[0]}% 和 {both[1]}%，而 finetune 较差"
                f"的任务只有 {weak}%。",
            ),
            Text(
                f"With {name.en} joint training reaches {both[0]} % and {both[1]} %, no more than fine-tuning's {weak} "
                "% on its weaker task, so this run does not show that parameters for both tasks exist.",
                f"{name.zh}上 joint 在两个任务上为 {both[0]}% 和 {both[1]}%，没有超过 finetune 较差任务的 {weak}%，因此"
                "这次运行不能说明存在对两个任务都好的参数。",
            ),
        ),
        Claim(
            ewc["losses"][0] < fine["losses"][0]
            and ewc["accuracies"][0] > fine["accuracies"][0]
            and ewc["accuracies"][1] > first["accuracies"][1],
            Text(
                f"With {name.en} θ* of ewc lies lower on the map of task 1 than θ* of fine-tuning: {small[0]} % "
                f"against {small[2]} % accuracy on task 1. It learned task 2 all the same: {small[1]} %, and "
                f"{small[3]} % at θᵇ.",
                f"{name.zh}：在任务 1 的损失图上，ewc 的 θ* 比 finetune 的 θ* 更低：任务 1 的准确率为 {small[0]}%，"
                f"finetune 为 {small[2]}%。任务 2 也学会了：从 θᵇ 处的 {small[3]}% 升到 {small[1]}%。",
            ),
            Text(
                f"With {name.en} ewc does not do both in this run: {small[0]} % on task 1 (fine-tuning {small[2]} %) "
                f"and {small[1]} % on task 2 ({small[3]} % at θᵇ).",
                f"在这次运行中，{name.zh}用 ewc 没能两者兼顾：任务 1 为 {small[0]}%（finetune 为 {small[2]}%），任务 2 "
                f"为 {small[1]}%（θᵇ 处为 {small[3]}%）。",
            ),
        ),
    )


def _both(first: Values, fine: Values) -> Text:
    """Loss and accuracy of task 1 before and after."""
    losses = [f"{end['losses'][0]:.2f}" for end in (first, fine)]
    accuracies = [percent(end["accuracies"][0]) for end in (first, fine)]
    return Text(
        f"from {losses[0]} to {losses[1]}, and its accuracy goes from {accuracies[0]} % to {accuracies[1]} %",
        f"从 {losses[0]} 变为 {losses[1]}，准确率从 {accuracies[0]}% 变为 {accuracies[1]}%",
    )


def _notes(setup: Setup) -> tuple[Text, ...]:
    chosen = Text(
        "We chose the rotation of task 2 by looking at test accuracy, so that the two paths differ visibly.",
        "任务 2 的旋转角度是参照测试准确率挑选的，为的是让两条路径明显不同。",
    )
    few = Text(
        f"The loss of the larger network is measured on {EXAMPLES} training examples of each task; --full takes all.",
        f"大网络的损失只用每个任务的 {EXAMPLES} 个训练样本测得；加 --full 则用全部样本。",
    )
    return (chosen,) if setup.full else (chosen, few)


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
    heads: list[str | Text] = [Text("parameters", "参数")]
    heads += [Text(f"loss of task {i}", f"任务 {i} 的损失") for i in (1, 2)]
    heads += [Text(f"accuracy on task {i} (%)", f"任务 {i} 的准确率（%）") for i in (1, 2)]
    return Grid(caption, heads, rows)


LANDSCAPE = Lesson(
    name="landscape",
    figures=("16.10",),
    title=Text("Loss maps: out of one valley into another", "损失图：从一个山谷走到另一个山谷"),
    see=Text(
        "Each picture shows the loss of task 1 on the left and the loss of task 2 on the right, over the same "
        "parameters: the bluer, the lower. On the left, gradient descent goes from the random start θ⁰ down to θᵇ. "
        "Find θᵇ on the right: does it lie in the valley of task 2? Training on task 2 starts there and ends at θ*. "
        "Then find each θ* on the left again. Nothing was erased; the parameters were moved. EWC is built to move "
        "those parameters along which the valley of task 1 is flat, and to spare those along which it is steep. Does a "
        "point exist that is blue on both maps?",
        "每张图左边是任务 1 的损失，右边是任务 2 的损失，横纵轴是同样的参数：颜色越蓝，损失越小。左图中，梯度下降从随机"
        "初始参数 θ⁰ 走到 θᵇ。请在右图中找到 θᵇ：它是否在任务 2 的谷底？任务 2 的训练从这里出发，到 θ* 为止。再回到左"
        "图看各个 θ* 的位置。知识没有被擦掉，只是参数被移走了。EWC 的思路是：只沿任务 1 的山谷平坦的方向移动，陡峭的方"
        "向尽量不动。有没有一个点，在两张图上都是蓝色的？",
    ),
    parts=_parts,
    show=_show,
)
