"""The same runs seen twice: as transfer learning, where only the new task counts, and as lifelong learning."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lifelong.chapter.learning import data_stream, learned, matrix_of, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Grid, Picture, Shown
from lifelong.evaluation import Array, acc, bwt, fwt, interval, learning_acc
from lifelong.reports.bars import bar_panels
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.transfer import transfer_scatter
from lifelong.reports.wording import points, with_interval

__all__ = ["TRANSFER", "ranks"]

METHODS: dict[str, dict[str, Any]] = {"finetune": {}, "ewc": {}, "er": {}, "gem": {}, "joint": {}}
SAMPLES = 5000
#: what is changed of the usual training where it is not at full length
SHORTER: dict[str, dict[str, Any]] = {
    "digits": {"epochs": 5, "optimizer": "adam", "lr": 0.003},
    "mnist": {"epochs": 2, "optimizer": "adam", "lr": 0.001},
}


def _run(setup: Setup, method: str, seed: int, scratch: Path) -> Values:
    shorter = {} if setup.full else SHORTER[setup.data]
    model, training = usual(setup, **shorter)
    settings = {"samples": SAMPLES} if setup.data == "mnist" and not setup.full else {}
    stream = data_stream(setup, "rotated", seed=seed, **settings)
    return learned(scratch, stream, method, model=model, training=training, seed=seed, settings=METHODS[method])


def _part(setup: Setup, method: str, scratch: Path) -> Values:
    seeds = range(setup.seed, setup.seed + (5 if setup.full else 3 if setup.data == "digits" else 2))
    return {"runs": [_run(setup, method, seed, scratch) for seed in seeds]}


def _parts(setup: Setup) -> Mapping[str, Part]:
    return {method: partial(_part, setup, method) for method in METHODS}


def ranks(values: Array) -> list[int]:
    """The place of each value, 1 for the largest.

    >>> ranks(np.array([0.5, 0.9, 0.7]))
    [3, 1, 2]
    """
    return [1 + int((values > value).sum()) for value in values]


def _table(matrices: Mapping[str, Array]) -> Grid:
    new = ranks(np.array([learning_acc(matrix).mean() for matrix in matrices.values()]))
    everything = ranks(np.array([acc(matrix).mean() for matrix in matrices.values()]))
    rows = [
        [
            method,
            with_interval(interval(learning_acc(matrix))),
            with_interval(interval(fwt(matrix)), points),
            str(place),
            with_interval(interval(acc(matrix))),
            with_interval(interval(bwt(matrix)), points),
            str(final),
        ]
        for (method, matrix), place, final in zip(matrices.items(), new, everything, strict=True)
    ]
    heads = [
        Text("method", "方法"),
        Text("new task, mean R(j, j)", "新任务，R(j, j) 的平均"),
        Text("FWT", "向前迁移 FWT"),
        Text("place", "名次"),
        Text("all tasks, ACC", "所有任务，ACC"),
        Text("BWT", "向后迁移 BWT"),
        Text("place", "名次"),
    ]
    seeds = len(next(iter(matrices.values())))
    caption = Text(
        f"The same runs as transfer learning (left) and as lifelong learning (right), mean of {seeds} seeds ± 95 % "
        "interval, percent and points",
        f"同样的运行，左边看作迁移学习，右边看作终身学习；{seeds} 个随机种子的平均 ± 95% 置信区间（百分数、百分点）",
    )
    return Grid(caption, heads, rows)


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    matrices = {method: np.stack([matrix_of(run) for run in values[method]["runs"]]) for method in METHODS}

    def draw_views(language: Language) -> Figure:
        views = {
            Text("only the new task counts", "只看新任务").of(language): [learning_acc(R) for R in matrices.values()],
            Text("all tasks count", "所有任务都算").of(language): [acc(R) for R in matrices.values()],
        }
        panels = {heading: np.stack(columns, axis=1) for heading, columns in views.items()}
        return bar_panels(panels, list(METHODS), Text("accuracy (%)", "正确率（%）").of(language))

    pictures = (
        Picture(
            "views",
            Text(
                "Left: each task just after it was learned (mean R(j, j)). Right: all tasks at the end (ACC).",
                "左：每个任务刚学完时的正确率（R(j, j) 的平均）；右：最后在所有任务上的正确率（ACC）。",
            ),
            draw_views,
        ),
        Picture(
            "scatter",
            Text(
                "Forward against backward transfer: small points are seeds, large ones means with 95 % intervals",
                "向前迁移与向后迁移：小点是各随机种子，大点是平均值及其 95% 置信区间",
            ),
            lambda language: transfer_scatter(matrices, language),
        ),
    )
    short = Text(
        f"Shortened: {SAMPLES} training examples per task, 5 passes, 2 seeds; --full takes all examples and 5 seeds.",
        f"已缩短：每个任务 {SAMPLES} 个训练样本，训练 5 遍，2 个随机种子；加 --full 则用全部样本、5 个随机种子。",
    )
    seeds = Text("Shortened: 3 seeds; --full takes 5.", "已缩短：3 个随机种子；加 --full 则为 5 个。")
    settings = Text("All methods with their default settings.", "所有方法均用默认设置。")
    notes = (settings,) if setup.full else (settings, short if setup.data == "mnist" else seeds)
    return Shown((_table(matrices),), pictures, notes)


TRANSFER = Lesson(
    name="transfer",
    figures=(),
    title=Text("Transfer learning and lifelong learning", "迁移学习与终身学习"),
    see=Text(
        "Transfer learning asks one thing: does what was learned before help on the new task? Lifelong learning asks a "
        "second: can the model still do the old ones? The same runs answer both. In the left panel only the task just "
        "learned counts: finetune looks as good as any, and a defence that holds the weights too firmly pays for it. "
        "In the right panel all tasks count, and the order turns over. In the scatter, to the right means that earlier "
        "tasks helped later ones; below zero means that later tasks harmed earlier ones. A method that is good at "
        "transfer may be bad at lifelong learning, so both are measured.",
        "迁移学习只问一件事：以前学的东西对新任务有没有帮助？终身学习还要再问一件：旧任务还会不会做？"
        "同样的运行可以回答这两个问题。左图只看刚学完的任务：finetune 看上去不比谁差，把参数拉得太紧的方法反而吃亏；"
        "右图把所有任务都算进来，名次就颠倒了。在散点图中，越靠右，说明先前的任务对后来的任务帮助越大；"
        "低于零，说明后来的任务损害了先前的任务。善于迁移的方法未必善于终身学习，因此两者都要衡量。",
    ),
    parts=_parts,
    show=_show,
)
