"""One network, noisy digits and then clean ones: what a second task takes from the first, and that it need not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from lifelong.chapter.differences import apart, claim_above, claim_below
from lifelong.chapter.learning import joint_after, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.moving import digits_turning
from lifelong.chapter.shown import Claim, Grid, Picture, Shown
from lifelong.evaluation import Array, Interval, interval
from lifelong.reports.bars import grouped_bars
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.samples import sample_rows
from lifelong.reports.wording import percent, points, share, with_interval
from lifelong.streams import NOISE, Stream, stream
from lifelong.training import Learner
from lifelong.types import Task

__all__ = ["FORGETTING", "chance_interval"]

#: of the embedded digits those of 28×28 pixels: 8×8 bear too little noise for anything to be forgotten
DATA = {"digits": "mnist-4k", "mnist": "mnist"}
#: levels of noise that were tried; the stream's default is the largest with at least 90 % on validation data
WANTED = 0.9
LEVELS = {"digits": (0.2, 0.3, 0.4), "mnist": (0.4, 0.5, 0.6)}
#: accuracies on task 1, task 2 after each stage in the textbook, fractions; it gives no number for joint training
BOOK = ((0.90, 0.96), (0.80, 0.97))
STAGES = (
    Text("nothing learned", "什么都没学"),
    Text("task 1 learned", "学完任务 1"),
    Text("then task 2 learned", "再学完任务 2"),
    Text("both at once (joint)", "两个任务一起学（joint）"),
)
TASKS = (Text("task 1: noisy", "任务 1：带噪声"), Text("task 2: clean", "任务 2：干净"))
SAMPLES, FOLLOWED, LOOKS = 8, 100, 12


def _seeds(setup: Setup) -> range:
    if setup.data == "mnist":
        return range(setup.seed, setup.seed + (10 if setup.full else 2))
    return range(setup.seed, setup.seed + (20 if setup.full else 4))


def _name(setup: Setup) -> str:
    return f"noisy-{DATA[setup.data]}"


def _stream(setup: Setup, seed: int, noise: float | None = None) -> Stream:
    return stream(_name(setup), data_dir=setup.data_dir, noise=noise, seed=seed, validation=0.2)


def _learner(setup: Setup, tasks: Stream, seed: int) -> Learner:
    model, training = usual(setup, _name(setup))
    return Learner(model, None, tasks.space, seed=seed, **asdict(training))


def _search(setup: Setup, scratch: Path) -> Values:
    """The accuracy on the validation part of noisy digits after learning them, by the level of noise."""
    tried: list[tuple[float, float]] = []
    for noise in LEVELS[setup.data]:
        tasks = _stream(setup, setup.seed, noise)
        learner = _learner(setup, tasks, setup.seed)
        learner.learn(tasks.task(1), progress=False)
        tried.append((noise, learner.accuracy(tasks.task(1), "validation")))
    return {"tried": tried}


def _right(learner: Learner, task: Task, examples: slice | None = None) -> Tensor:
    """Which test examples of `task` the learner answers rightly, (N,) of bool."""
    test = task.test.at(examples or slice(None))
    return learner.predict(test.x, task=task.number) == test.y


def _life(setup: Setup, seed: int, scratch: Path) -> Values:
    """Accuracies on both tasks at every one of `STAGES`, and what became of each test example of task 1."""
    tasks = _stream(setup, seed)
    learner = _learner(setup, tasks, seed)
    first, second = tasks
    stages = [learner.evaluate(tasks)]
    learner.learn(first, progress=False)
    stages.append(learner.evaluate(tasks))
    before = _right(learner, first)
    examples = len(second.train)
    every = max(1, learner.training.steps(examples, examples) // LOOKS)
    followed = [before[:FOLLOWED].int().tolist()]

    def look(step: int) -> None:
        if step % every == 0:
            followed.append(_right(learner, first, slice(FOLLOWED)).int().tolist())

    learner.learn(second, on_step=look, progress=False)
    stages.append(learner.evaluate(tasks))
    after = _right(learner, first)
    model, training = usual(setup, _name(setup))
    together, _ = joint_after(2, tasks, model, training, seed)
    stages.append(together.evaluate(tasks))
    return {
        "stages": stages,
        "lost": int((before & ~after).sum()),
        "won": int((~before & after).sum()),
        "tests": len(before),
        "every": every,
        "followed": followed if seed == setup.seed else [],
        "images": [_pixels(task.test.x[:FOLLOWED, 0]) for task in tasks] if seed == setup.seed else [],
    }


def _pixels(images: Tensor) -> list[list[list[int]]]:
    levels: list[list[list[int]]] = (255 * images).round().to(torch.int64).tolist()
    return levels


def _parts(setup: Setup) -> Mapping[str, Part]:
    return {**{f"seed-{seed}": partial(_life, setup, seed) for seed in _seeds(setup)}, "noise": partial(_search, setup)}


def chance_interval(lost: int, won: int, tests: int) -> Interval:
    """The change of accuracy of one network on the same test examples, with the 95 % interval of the examples' chance.

    Its variance is that of paired answers (McNemar): (lost + won − (won − lost)² / N) / N².

    Args:
        lost: Test examples answered rightly before only.
        won: Test examples answered rightly afterwards only.
        tests: Their number N, all of them.

    Example:
        >>> change = chance_interval(lost=120, won=20, tests=1000)
        >>> round(change.mean, 3), round(change.ci95, 4)
        (-0.1, 0.0223)

    Reference: Agresti & Min 2005, Simple improved confidence intervals for comparing matched proportions, eq. 1.
    """
    change = (won - lost) / tests
    variance = (lost + won - (won - lost) ** 2 / tests) / tests**2
    return Interval(change, 1.959964 * variance**0.5)


def _stages_table(stages: Array) -> Grid:
    rows = [
        [
            name,
            *(share(interval(stages[:, row, task])) for task in (0, 1)),
            percent(float(stages[:, row].mean())),
        ]
        for row, name in enumerate(STAGES)
    ]
    caption = Text(
        f"Accuracy in percent on both tasks, mean of {len(stages)} seeds ± 95 % interval",
        f"两个任务上的准确率（%），{len(stages)} 个随机种子的平均 ± 95% 置信区间",
    )
    return Grid(caption, [Text("stage", "阶段"), *TASKS, Text("mean", "平均")], rows)


def _facts_table(stages: Array) -> Grid:
    first, second, together = stages[:, 1], stages[:, 2], stages[:, 3]
    facts: list[tuple[Text, Array, Callable[[float], str]]] = [
        (
            Text("task 2 before it is trained on (zero-shot)", "任务 2：一次都没训练过就有（零样本）"),
            first[:, 1],
            percent,
        ),
        (
            Text("change of task 1 while task 2 is learned", "学任务 2 期间，任务 1 的变化"),
            second[:, 0] - first[:, 0],
            points,
        ),
        (
            Text("joint against one after the other, task 1", "任务 1：一起学比先后学"),
            together[:, 0] - second[:, 0],
            points,
        ),
        (
            Text("joint against one after the other, task 2", "任务 2：一起学比先后学"),
            together[:, 1] - second[:, 1],
            points,
        ),
    ]
    rows = [[name, with_interval(interval(values), write)] for name, values, write in facts]
    caption = Text(
        "What was transferred, what was lost (percent, and points with a sign)",
        "迁移了什么，丢失了什么（%；带正负号的为百分点）",
    )
    return Grid(caption, [Text("what", "内容"), Text("value", "数值")], rows)


def _seeds_table(lives: list[Values], first: int) -> Grid:
    rows: list[list[str | Text]] = []
    for place, life in enumerate(lives):
        change = chance_interval(life["lost"], life["won"], life["tests"])
        before, after = life["stages"][1][0], life["stages"][2][0]
        rows.append([str(first + place), percent(before), percent(after), with_interval(change, points)])
    caption = Text(
        "Task 1 in each seed before and after task 2 is learned; the interval is that of the test examples (95 %)",
        "每个随机种子中，学任务 2 前后任务 1 的准确率；置信区间来自测试样本（95%）",
    )
    heads = [Text("seed", "随机种子"), Text("before (%)", "之前（%）"), Text("after (%)", "之后（%）")]
    return Grid(caption, [*heads, Text("change (points)", "变化（百分点）")], rows)


def _search_table(tried: list[tuple[float, float]]) -> Grid:
    chosen = _largest(tried)
    rows: list[list[str | Text]] = [
        [f"{level:.3g}", percent(accuracy), Text("chosen", "选中") if level == chosen else ""]
        for level, accuracy in tried
    ]
    caption = Text(
        f"The choice of the noise: the largest with at least {percent(WANTED)} % on the validation part of task 1",
        f"噪声强度的选取：任务 1 验证集上的准确率不低于 {percent(WANTED)}% 的最大强度",
    )
    heads = [Text("noise (standard deviation)", "噪声（标准差）"), Text("accuracy (%)", "准确率（%）"), ""]
    return Grid(caption, heads, rows)


def _largest(tried: list[tuple[float, float]]) -> float | None:
    return max((level for level, accuracy in tried if accuracy >= WANTED), default=None)


def _claims(setup: Setup, lives: list[Values], stages: Array) -> tuple[Claim, ...]:
    first, second, together = stages[:, 1], stages[:, 2], stages[:, 3]
    change, zero_shot = interval(second[:, 0] - first[:, 0]), interval(first[:, 1] - first[:, 0])
    gain, bound = interval(second[:, 1] - first[:, 1]), interval(together[:, 0] - second[:, 0])
    rest = interval(together[:, 1] - second[:, 1])
    means = {name: stages[:, row].mean(0) for row, name in enumerate(("start", "first", "second", "joint"))}
    falls = [chance_interval(life["lost"], life["won"], life["tests"]) for life in lives]
    sure = sum(fall.mean + fall.ci95 < 0 for fall in falls)
    clean, noisy = percent(means["first"][1]), percent(means["first"][0])
    before, after, joint = noisy, percent(means["second"][0]), percent(means["joint"][0])
    count = len(lives)
    claims = (
        claim_above(
            zero_shot,
            Text("task 2 − task 1 after task 1", "学完任务 1 后，任务 2 与任务 1 的差"),
            Text(
                f"What it learned transfers: after task 1 it reads {noisy} % of the noisy digits, and {clean} % of the "
                "clean ones, on which it was never trained.",
                f"所学可以迁移：学完任务 1，带噪声的数字认对 {noisy}%，从没训练过的干净数字认对 {clean}%。",
            ),
        ),
        claim_above(
            gain,
            Text("the change of task 2 while it is learned", "学任务 2 期间，任务 2 的变化"),
            Text(
                f"Learning task 2 helps task 2: {clean} → {percent(means['second'][1])} %.",
                f"学任务 2，任务 2 变好：{clean}% → {percent(means['second'][1])}%。",
            ),
        ),
        claim_below(
            change,
            Text("the change of task 1 while task 2 is learned", "学任务 2 期间，任务 1 的变化"),
            Text(
                f"Task 1 is forgotten: {before} → {after} %, a fall of {apart(change)} points. This is catastrophic "
                "forgetting.",
                f"任务 1 被遗忘：{before}% → {after}%，下降 {apart(change)} 个百分点。这就是灾难性遗忘。",
            ),
        ),
        Claim(
            sure == count,
            Text(
                f"It happens in each of the {count} seeds: every fall is larger than the chance of the test examples.",
                f"{count} 个随机种子个个如此：每次下降都超出了测试样本的偶然误差。",
            ),
            Text(
                f"In {sure} of {count} seeds the fall is larger than the chance of the test examples.",
                f"{count} 个随机种子中，有 {sure} 个的下降超出了测试样本的偶然误差。",
            ),
        ),
        Claim(
            bound.mean - bound.ci95 > 0 and rest.mean + rest.ci95 > -0.01,
            Text(
                f"The network is not too small: trained on both tasks at once it reads {joint} % of the noisy digits, "
                f"{apart(bound)} points more, and {percent(means['joint'][1])} % of the clean ones.",
                f"网络并不小：两个任务的数据一起学，带噪声的数字认对 {joint}%，多 {apart(bound)} 个百分点，"
                f"干净的数字认对 {percent(means['joint'][1])}%。",
            ),
            Text(
                f"Joint training differs from learning in turn by {with_interval(bound, points)} points on task 1 and "
                f"{with_interval(rest, points)} on task 2: this run does not show that the network can do both.",
                f"一起学与先后学相比，任务 1 相差 {with_interval(bound, points)} 个百分点，任务 2 相差 "
                f"{with_interval(rest, points)} 个百分点：本次运行不足以说明网络容得下两个任务。",
            ),
        ),
    )
    return (*claims, _book(means)) if setup.data == "mnist" else claims


def _book(means: Mapping[str, Array]) -> Claim:
    """Whether the four accuracies that the textbook gives are met within 3 points."""
    here = np.stack([means["first"], means["second"]])
    close = bool((np.abs(here - np.array(BOOK)) <= 0.03).all())
    numbers = ", ".join(
        f"{percent(value)} ({100 * book:.0f})" for value, book in zip(here.ravel(), np.ravel(BOOK), strict=True)
    )
    zh = numbers.replace(", ", "、").replace(" (", "（").replace(")", "）")
    return Claim(
        close,
        Text(
            f"The textbook's numbers (in brackets) are met within 3 points: {numbers}.",
            f"与教材给出的数值（括号中）相差不超过 3 个百分点：{zh}。",
        ),
        Text(
            f"The textbook's numbers (in brackets) are not met within 3 points: {numbers}.",
            f"与教材给出的数值（括号中）相差超过 3 个百分点：{zh}。",
        ),
    )


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    lives = [values[f"seed-{seed}"] for seed in _seeds(setup)]
    stages = np.array([life["stages"] for life in lives], dtype=np.float64)
    images = np.asarray(lives[0]["images"], dtype=np.float64)[:, :SAMPLES] / 255

    def draw_images(language: Language) -> Figure:
        return sample_rows(images, [task.of(language) for task in TASKS])

    def draw_stages(language: Language) -> Figure:
        names = [name.of(language).replace(" (", "\n(").replace("（", "\n（") for name in STAGES]
        label = Text("accuracy (%)", "准确率（%）").of(language)
        return grouped_bars(stages, names, [task.of(language) for task in TASKS], label)

    pictures = (
        Picture(
            "images",
            Text("The same digits in task 1 and in task 2.", "同一批数字在任务 1 和任务 2 中的样子。"),
            draw_images,
        ),
        Picture(
            "stages",
            Text(
                "Both tasks at every stage of learning one after the other, and after joint training.",
                "先后学习各阶段两个任务的准确率，最右边是一起学习的结果。",
            ),
            draw_stages,
        ),
    )
    tables = (
        _stages_table(stages),
        _facts_table(stages),
        _seeds_table(lives, setup.seed),
        _search_table(values["noise"]["tried"]),
    )
    claims = _claims(setup, lives, stages)
    moving = digits_turning("stages", lives[0])
    return Shown(tables, pictures, _notes(setup), claims, (moving,))


def _notes(setup: Setup) -> tuple[Text, ...]:
    network, training = usual(setup, _name(setup))
    noise = NOISE[DATA[setup.data]]
    how = Text(
        f"Network {network}, {training.optimizer} with step size {training.lr:g}, {training.epochs} passes over each "
        f"task, as many over both together for joint. Noise {noise:g}, network and training were chosen on validation "
        "data, a fifth of the training examples, so that the fall can be seen.",
        f"网络 {network}，优化器 {training.optimizer}，学习率 {training.lr:g}，每个任务训练 {training.epochs} 遍；"
        f"joint 对两个任务的全部数据训练同样的遍数。噪声强度 {noise:g}、网络和训练方式都在验证集（训练样本的五分之一）"
        "上选定，使下降看得清楚。",
    )
    small = Text("The digits are 4,000 of MNIST's, which are embedded.", "图像是内嵌的 4,000 个 MNIST 数字。")
    most = 10 if setup.data == "mnist" else 20
    seeds = Text(
        f"Shortened: {len(_seeds(setup))} seeds; --full takes {most}.",
        f"已缩短：{len(_seeds(setup))} 个随机种子；加 --full 则为 {most} 个。",
    )
    return (how, *((small,) if setup.data == "digits" else ()), *(() if setup.full else (seeds,)))


FORGETTING = Lesson(
    name="forgetting",
    figures=("16.3", "16.4"),
    title=Text("Catastrophic forgetting", "灾难性遗忘"),
    see=Text(
        "One network learns to read noisy digits (task 1), then clean ones (task 2). Look at both tasks after each "
        "stage: what does task 1 bring to task 2 before it is learned, and what does learning task 2 do to task 1? It "
        "is tempting to say that the network is too small for both. The last group of bars is the test: the same "
        "network, trained on both tasks at once.",
        "同一个网络先学识别带噪声的数字（任务 1），再学识别干净的数字（任务 2）。请看每个阶段两个任务的准确率："
        "还没学任务 2 时，任务 1 给它带来了什么？学了任务 2，任务 1 又怎样了？也许有人会说，网络太小，装不下两个任务。"
        "最右边一组柱子就是检验：同一个网络，两个任务的数据放在一起学。",
    ),
    parts=_parts,
    show=_show,
)
