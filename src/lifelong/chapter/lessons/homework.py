"""A course's homework on rotated digits: springs of five kinds against none, as learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lifelong.chapter.learning import fewer_tests, learned, matrix_of
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Grid, Picture, Shown
from lifelong.evaluation import Array, acc, bwt, seen_acc
from lifelong.experiments.experiment import Experiment
from lifelong.experiments.reproduce.homework import homework
from lifelong.reports.bilingual import Text
from lifelong.reports.curves import mean_curve
from lifelong.reports.wording import DASH, percent, points
from lifelong.streams import stream
from lifelong.training import Training

__all__ = ["HOMEWORK", "protocol"]

SAMPLES, TESTS = 6000, 2000


def protocol(setup: Setup, experiment: Experiment) -> Experiment:
    """What is run for an experiment of the published table: itself for MNIST at full length, else a shorter one.

    >>> table = homework().parts[0].experiment
    >>> protocol(Setup("mnist", full=True), table) == table
    True
    >>> protocol(Setup("digits"), table).model
    'mlp:128,64,32'
    """
    if setup.data == "digits":
        changed = replace(experiment, stream="rotated-digits", model="mlp:128,64,32")
        epochs = 50 if setup.full else 15
        return replace(changed, training=Training(epochs=epochs, batch=32, optimizer="adam", lr=1e-3))
    if setup.full:
        return experiment
    fewer: dict[str, Any] = {**experiment.stream_settings, "samples": SAMPLES}
    return replace(experiment, stream_settings=fewer, training=replace(experiment.training, epochs=5))


def _part(setup: Setup, experiment: Experiment, scratch: Path) -> Values:
    run = protocol(setup, experiment)
    [method] = run.methods
    tasks = stream(run.stream, data_dir=setup.data_dir, **{"seed": setup.seed, **run.stream_settings})
    return learned(
        scratch,
        tasks if setup.full else fewer_tests(tasks, TESTS),
        method.build(),
        model=run.model,
        training=run.training,
        seed=setup.seed,
        evaluate=run.evaluate,
    )


def _parts(setup: Setup) -> Mapping[str, Part]:
    return {part.label: partial(_part, setup, part.experiment) for part in homework().parts}


def _published(setup: Setup) -> dict[str, list[str]]:
    """The published means after each task by method, where the protocol is the published one."""
    if setup.data != "mnist" or not setup.full:
        return {}
    return {
        part.label: [percent(cell.published / 100) for cell in part.cells] for part in homework().parts if part.cells
    }


def _table(matrices: Mapping[str, Array], published: Mapping[str, list[str]]) -> Grid:
    rows: list[list[str | Text]] = []
    for method, matrix in matrices.items():
        scores = [percent(float(acc(matrix))), points(float(bwt(matrix)))]
        rows.append([method, *(percent(float(value)) for value in seen_acc(matrix)), *scores])
        if method in published:
            rows.append([Text(f"{method}, published", f"{method}（公布值）"), *published[method], DASH, DASH])
    tasks = next(iter(matrices.values())).shape[1]
    after = [Text(f"after task {number}", f"学完任务 {number}") for number in range(1, tasks + 1)]
    caption = Text(
        "Mean accuracy in percent on the tasks seen so far, after every task; ACC and BWT of the whole life, one seed",
        "学完每个任务后，已学任务的平均正确率（%）；最后两列是全程的 ACC 和 BWT；一个随机种子",
    )
    return Grid(caption, [Text("method", "方法"), *after, "ACC", "BWT"], rows)


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    matrices = {method: matrix_of(record) for method, record in values.items()}
    groups = {method: np.asarray(matrix)[None] for method, matrix in matrices.items()}
    picture = Picture(
        "curves",
        Text("Mean accuracy on the tasks seen, after each task", "学完每个任务后，已学任务的平均正确率"),
        lambda language: mean_curve(groups, language),
    )
    return Shown((_table(matrices, _published(setup)),), (picture,), _notes(setup))


def _notes(setup: Setup) -> tuple[Text, ...]:
    table = homework()
    strengths = Text(
        f"Protocol: {table.protocol}. Source: {table.source}. The strengths of the methods are the homework's own.",
        "原作业设定：MNIST 旋转 0°、20°、40°、60°、80°，全连接网络 784-1024-512-256-10，Adam，学习率 1e-4，每个任"
        "务重新初始化优化器，批大小 128，每个任务训练 10 遍。来源：《LeeDL 教程》作业 14（终身学习）公开的结果，一"
        "个随机种子。各方法的正则化强度沿用原作业。",
    )
    if setup.data == "digits":
        here = Text(
            "Here: the same rotations of small digits (8×8), an MLP 64-128-64-32-10, Adam 1e-3, batches of 32; the "
            "strengths were not chosen for it, so it shows the form of the curves, not the published numbers.",
            "这里用 8×8 的小数字图像做同样的旋转，网络为 64-128-64-32-10，Adam，学习率 1e-3，批大小 32；"
            "正则化强度并非为它而选，因此只看曲线的形状，不与公布的数值比较。",
        )
        short = Text(
            "Shortened: 15 passes per task; --full takes 50.", "已缩短：每个任务训练 15 遍；加 --full 则为 50 遍。"
        )
        return (strengths, here) if setup.full else (strengths, here, short)
    weak = Text(
        "At the homework's strength si hardly acts here, so its line nearly covers that of finetune.",
        "si 在原作业的强度下几乎不起作用，所以它的线与 finetune 的线几乎重合。",
    )
    short = Text(
        f"Shortened: {SAMPLES} training examples per task, 5 passes, {TESTS} test examples; --full takes the "
        "homework's own protocol, with its published values beside.",
        f"已缩短：每个任务 {SAMPLES} 个训练样本、训练 5 遍、{TESTS} 个测试样本；加 --full 则完全按原作业设定运行，"
        "并列出公布的数值。",
    )
    return (strengths,) if setup.full else (strengths, weak, short)


HOMEWORK = Lesson(
    name="homework",
    figures=(),
    title=Text("The homework: five rotations, five springs", "课后作业：五次旋转，五种正则化"),
    see=Text(
        "The homework of a well-known course: one network learns digits turned by 0°, 20°, 40°, 60° and 80°, one "
        "after another, and after each task it is examined on all it has seen. Follow the grey dashed line, "
        "finetune, to see what is lost without a defence. Every other line is a penalty that holds weights near "
        "their old values, each with its own idea of which weights matter: the Fisher information (ewc), the "
        "sensitivity of the output (mas), the path that training took (si), the Fisher information and the path "
        "together (rwalk), random slices of the output (scp). Ask how much each keeps, and what it pays on the "
        "newest task for it.",
        "这是一门知名课程的课后作业：同一个网络依次学习旋转了 0°、20°、40°、60°、80° 的数字，每学完一个任务，就在"
        "学过的所有任务上考试。灰色虚线是 finetune，看它就知道不设防会丢掉多少。其余每条线都是一种惩罚项，把参数拉"
        "在旧值附近，区别在于哪些参数算重要：ewc 看费舍尔信息，mas 看输出对参数的敏感度，si 看训练走过的路径，"
        "rwalk 兼顾费舍尔信息与路径，scp 看输出在随机方向上的投影。请比较它们各保住了多少，又为此在最新的任务上付"
        "出了多少。",
    ),
    parts=_parts,
    show=_show,
)
