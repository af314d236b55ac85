"""A course's homework on rotated digits: penalties of five kinds against none, as learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lifelong.chapter.learning import fewer_tests, learned, matrix_of
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Claim, Grid, Picture, Shown
from lifelong.evaluation import Array, acc, bwt, seen_acc
from lifelong.experiments import Experiment
from lifelong.experiments.reproduce import table
from lifelong.reports.bilingual import Text
from lifelong.reports.curves import mean_curve
from lifelong.reports.wording import DASH, percent, points
from lifelong.streams import stream
from lifelong.training import Training

__all__ = ["HOMEWORK", "protocol"]

SAMPLES, TESTS = 6000, 2000


def protocol(setup: Setup, experiment: Experiment) -> Experiment:
    """What is run for an experiment of the published table: itself for MNIST at full length, else a shorter one.

    >>> published = table("homework").parts[0].experiment
    >>> protocol(Setup("mnist", full=True), published) == published
    True
    >>> protocol(Setup("digits"), published).model
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
    return {part.label: partial(_part, setup, part.experiment) for part in table("homework").parts}


def _published(setup: Setup) -> dict[str, list[str]]:
    """The published means after each task by method, where the protocol is the published one."""
    if setup.data != "mnist" or not setup.full:
        return {}
    return {
        part.label: [percent(cell.published / 100) for cell in part.cells]
        for part in table("homework").parts
        if part.cells
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
        "Mean accuracy (%) on the tasks seen so far after every task; ACC and BWT at the end; one seed",
        "学完每个任务后，已学任务的平均准确率（%）；最后两列是学完全部任务后的 ACC 和反向迁移 BWT；一个随机种子",
    )
    return Grid(caption, [Text("method", "方法"), *after, "ACC", "BWT"], rows)


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    matrices = {method: matrix_of(record) for method, record in values.items()}
    groups = {method: np.asarray(matrix)[None] for method, matrix in matrices.items()}
    picture = Picture(
        "curves",
        Text("Mean accuracy on the tasks seen so far, after each task", "学完每个任务后，已学任务的平均准确率"),
        lambda language: mean_curve(groups, language),
    )
    return Shown((_table(matrices, _published(setup)),), (picture,), _notes(setup), _claims(matrices))


def _claims(matrices: Mapping[str, Array]) -> tuple[Claim, ...]:
    """What each penalty retains, and what it costs on the newest task; of one seed."""
    others = [method for method in matrices if method != "finetune"]
    ends = {method: float(acc(matrix)) for method, matrix in matrices.items()}
    newest = {method: float(matrix[-1, -1]) for method, matrix in matrices.items()}
    retain = [method for method in others if ends[method] > ends["finetune"]]
    pay = [method for method in others if newest[method] < newest["finetune"]]
    ends_words, newest_words = (
        ", ".join(f"{method} {percent(values[method])}" for method in others) for values in (ends, newest)
    )
    first, last = percent(ends["finetune"]), percent(newest["finetune"])
    return (
        Claim(
            len(retain) == len(others),
            Text(
                f"In this run every penalty ends above fine-tuning ({first} %) on all tasks: {ends_words}.",
                f"在这次运行中，每种正则项在全部任务上都高于 finetune（{first}%）：{ends_words.replace(', ', '、')}。",
            ),
            Text(
                f"In this run fine-tuning ends at {first} % on all tasks and not every penalty above it: {ends_words}.",
                f"在这次运行中，finetune 在全部任务上为 {first}%，并非每种正则项都高于它："
                f"{ends_words.replace(', ', '、')}。",
            ),
        ),
        Claim(
            len(pay) == len(others),
            Text(
                f"Each pays on the newest task, where fine-tuning has {last} %: {newest_words}.",
                f"代价都落在最新的任务上，finetune 在那里为 {last}%：{newest_words.replace(', ', '、')}。",
            ),
            Text(
                f"On the newest task fine-tuning has {last} %, the others {newest_words}: below it are "
                f"{', '.join(pay) or 'none'}.",
                f"在最新的任务上，finetune 为 {last}%，其余为 {newest_words.replace(', ', '、')}：低于它的有"
                f"{'、'.join(pay) or '：无'}。",
            ),
        ),
    )


def _notes(setup: Setup) -> tuple[Text, ...]:
    published = table("homework")
    strengths = Text(
        f"Protocol: {published.protocol}. Source: {published.source}. The strengths are those of the homework.",
        "原作业设定：MNIST 旋转 0°、20°、40°、60°、80°，全连接网络 784-1024-512-256-10，Adam，学习率 1e-4，每个任"
        "务重新初始化优化器，批大小 128，每个任务训练 10 遍。来源：《LeeDL 教程》作业 14（终身学习）公布的结果，一"
        "个随机种子。各方法的正则化强度沿用原作业。",
    )
    if setup.data == "digits":
        here = Text(
            "Here: the same rotations of small digits (8×8), an MLP 64-128-64-32-10, Adam 1e-3, batches of 32. The "
            "strengths were not chosen for it, so compare the shape of the curves, not the published numbers.",
            "这里对 8×8 的小数字图像做同样的旋转，网络为 64-128-64-32-10，Adam，学习率 1e-3，批大小 32；正则化强度并非"
            "为它而选，因此只看曲线的形状，不与公布的数值比较。",
        )
        short = Text(
            "Shortened: 15 epochs per task; --full takes 50.", "已缩短：每个任务训练 15 遍；加 --full 则为 50 遍。"
        )
        return (strengths, here) if setup.full else (strengths, here, short)
    short = Text(
        f"Shortened: {SAMPLES} training examples per task, 5 epochs, {TESTS} test examples; --full follows the "
        "protocol of the homework and lists its published values.",
        f"已缩短：每个任务 {SAMPLES} 个训练样本、训练 5 遍、{TESTS} 个测试样本；加 --full 则完全按原作业设定运行，"
        "并列出公布的数值。",
    )
    return (strengths,) if setup.full else (strengths, short)


HOMEWORK = Lesson(
    name="homework",
    figures=(),
    title=Text("The homework: five rotations, five penalties", "课后作业：五次旋转，五种正则化"),
    see=Text(
        "Homework 14 of Hung-yi Lee's machine-learning course: one network learns digits turned by 0°, 20°, 40°, 60° "
        "and 80°, one task after another, and is tested after each on all tasks so far. The grey dashed line is "
        "fine-tuning, without any defence against forgetting. Every other line adds a penalty that pulls parameters "
        "towards their old values, each with its own importance b: the Fisher information (ewc), the sensitivity of "
        "the output (mas), the path of training (si), both Fisher information and path (rwalk), random slices of the "
        "output (scp). How much does each retain, and what does it pay on the newest task?",
        "李宏毅机器学习课程的作业 14：同一个网络依次学习旋转了 0°、20°、40°、60°、80° 的数字，每学完一个任务，就在已学"
        "的所有任务上测试。灰色虚线是 finetune，不采取任何防止遗忘的措施。其余每条线都加了正则项，把参数拉向旧值，区别"
        "在于怎样确定重要性 b：ewc 用费舍尔信息，mas 用输出对参数的敏感度，si 用训练走过的路径，rwalk 兼用费舍尔信息与"
        "路径，scp 用输出在随机方向上的投影。请比较它们各保住了多少，又在最新的任务上付出了多少代价。",
    ),
    parts=_parts,
    show=_show,
)
