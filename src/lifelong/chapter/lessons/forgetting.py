"""One network, noisy digits and then clean ones: what a second task takes from the first, and that it need not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lifelong.chapter.learning import data_stream, joint_after, learned, matrix_of, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.search import nearest, tried
from lifelong.chapter.shown import Grid, Picture, Shown
from lifelong.evaluation import Array, interval
from lifelong.reports.bars import grouped_bars
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.samples import sample_rows
from lifelong.reports.wording import percent, points, with_interval
from lifelong.streams import Stream
from lifelong.training import Learner, Training

__all__ = ["FORGETTING"]

WANTED = 0.9
STAGES = (
    Text("nothing learned", "什么都没学"),
    Text("task 1 learned", "学完任务 1"),
    Text("then task 2 learned", "再学完任务 2"),
    Text("both at once (joint)", "两个任务一起学（joint）"),
)
TASKS = (Text("task 1: noisy", "任务 1：带噪声"), Text("task 2: clean", "任务 2：干净"))
ACCURACY = Text("accuracy (%)", "正确率（%）")
SAMPLES = 8


def _training(setup: Setup) -> tuple[str, Training]:
    # few small images are learned by heart, after which nothing moves: weight decay keeps the weights in motion
    if setup.data == "digits":
        return usual(setup, epochs=40, optimizer="adamw", lr=0.003, weight_decay=0.3)
    return usual(setup, epochs=2, momentum=0.9)


def _stream(setup: Setup, noise: float, seed: int) -> Stream:
    return data_stream(setup, "noisy", noise=noise, seed=seed, validation=0.2)


def _on_validation(setup: Setup, noise: float) -> float:
    """The accuracy on the validation part of noisy digits after learning them."""
    model, training = _training(setup)
    stream = _stream(setup, noise, setup.seed)
    learner = Learner(model, None, stream.space, seed=setup.seed, **asdict(training))
    learner.learn(stream.task(1), progress=False)
    return learner.accuracy(stream.task(1), "validation")


def _run(setup: Setup, noise: float, seed: int, scratch: Path) -> list[list[float]]:
    """Accuracies on both tasks at every one of `STAGES`."""
    model, training = _training(setup)
    stream = _stream(setup, noise, seed)
    record = learned(scratch, stream, "finetune", model=model, training=training, seed=seed)
    together, _ = joint_after(2, stream, model, training, seed)
    return [*matrix_of(record).tolist(), together.evaluate(stream)]


def _part(setup: Setup, scratch: Path) -> Values:
    found = tried(partial(_on_validation, setup), WANTED, 0.0, 1.0, steps=5)
    noise = nearest(found, WANTED)
    seeds = range(setup.seed, setup.seed + (5 if setup.full else 3))
    examples = [task.test.x[:SAMPLES, 0] for task in _stream(setup, noise, setup.seed)]
    return {
        "tried": found,
        "noise": noise,
        "stages": [_run(setup, noise, seed, scratch) for seed in seeds],
        "images": [(255 * images).round().int().tolist() for images in examples],
    }


def _parts(setup: Setup) -> Mapping[str, Part]:
    return {"noisy-then-clean": partial(_part, setup)}


def _stages_table(stages: Array) -> Grid:
    rows = [
        [
            name,
            *(with_interval(interval(stages[:, row, task])) for task in (0, 1)),
            percent(float(stages[:, row].mean())),
        ]
        for row, name in enumerate(STAGES)
    ]
    caption = Text(
        f"Accuracy in percent on both tasks, mean of {len(stages)} seeds ± 95 % interval",
        f"两个任务上的正确率（%），{len(stages)} 个随机种子的平均 ± 95% 置信区间",
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


def _search_table(values: Values) -> Grid:
    rows: list[list[str | Text]] = [
        [f"{level:.3g}", percent(accuracy), Text("chosen", "选中") if level == values["noise"] else ""]
        for level, accuracy in sorted(values["tried"])
    ]
    caption = Text(
        f"How the noise was chosen: accuracy on the validation part of task 1, wanted {percent(WANTED)}",
        f"噪声强度的选取：任务 1 验证集上的正确率，目标 {percent(WANTED)}",
    )
    heads = [Text("noise (standard deviation)", "噪声（标准差）"), Text("accuracy (%)", "正确率（%）"), ""]
    return Grid(caption, heads, rows)


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    [found] = values.values()
    stages = np.asarray(found["stages"], dtype=np.float64)
    images = np.asarray(found["images"], dtype=np.float64) / 255

    def draw_images(language: Language) -> Figure:
        return sample_rows(images, [task.of(language) for task in TASKS])

    def draw_stages(language: Language) -> Figure:
        names = [name.of(language).replace(" (", "\n(").replace("（", "\n（") for name in STAGES]
        return grouped_bars(stages, names, [task.of(language) for task in TASKS], ACCURACY.of(language))

    pictures = (
        Picture(
            "images",
            Text("The same digits in task 1 and in task 2", "同一批数字在任务 1 和任务 2 中的样子"),
            draw_images,
        ),
        Picture(
            "stages",
            Text(
                "Both tasks at every stage of sequential learning, with joint training beside",
                "先后学习各阶段两个任务的正确率，最右边是一起学习的结果",
            ),
            draw_stages,
        ),
    )
    tables = (_stages_table(stages), _facts_table(stages), _search_table(found))
    return Shown(tables, pictures, _notes(setup))


def _notes(setup: Setup) -> tuple[Text, ...]:
    network, training = _training(setup)
    how = Text(
        f"Network {network}, {training.optimizer} with step size {training.lr:g}, {training.epochs} passes over each "
        "task, as many over both together for joint. A fifth of the training examples is held out for validation.",
        f"网络 {network}，优化器 {training.optimizer}，学习率 {training.lr:g}，每个任务训练 {training.epochs} 遍；"
        "joint 对两个任务的全部数据训练同样的遍数。训练样本的五分之一留作验证集。",
    )
    small = Text(
        "Images of 8×8 pixels bear little noise and a thousand of them are soon known by heart, so the fall is small "
        "here; on MNIST it is larger.",
        "8×8 的图像经不起多少噪声，一千来个样本也很快就背熟了，所以这里的下降不大；换成 MNIST 会更明显。",
    )
    seeds = Text("Shortened: 3 seeds; --full takes 5.", "已缩短：3 个随机种子；加 --full 则为 5 个。")
    return (how, *((small,) if setup.data == "digits" else ()), *(() if setup.full else (seeds,)))


FORGETTING = Lesson(
    name="forgetting",
    figures=("16.3", "16.4"),
    title=Text("Catastrophic forgetting", "灾难性遗忘"),
    see=Text(
        "One network learns to read noisy digits, then clean ones. After task 1 it reads clean digits it was never "
        "trained on: what it learned transfers. After task 2 it reads them better still, and has lost part of what it "
        "could do on the noisy ones. It is tempting to say that the network is too small for both. The last group of "
        "bars refutes that: the same network, trained on both tasks at once, does both. It has the room; what "
        "fails is learning one thing after another. This is catastrophic forgetting.",
        "同一个网络先学识别带噪声的数字，再学识别干净的数字。学完任务 1，它从没在干净数字上训练过，却已经认得不少："
        "所学可以迁移。学完任务 2，干净数字认得更好了，带噪声的数字却认不全了，先前学会的东西丢了一部分。也许有人"
        "会说：网络太小，装不下两个任务。最右边一组柱子否定了这种说法：同一个网络，两个任务的数据放在一起学，两个"
        "都能学会。容量是够的，问题出在“先学一个、再学一个”。这就是灾难性遗忘。",
    ),
    parts=_parts,
    show=_show,
)
