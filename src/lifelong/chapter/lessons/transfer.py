"""The same runs seen twice: as transfer learning, where only the new task counts, and as lifelong learning."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lifelong.chapter.differences import apart, claim_above, claim_below
from lifelong.chapter.learning import data_stream, learned, matrix_of, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Claim, Grid, Picture, Shown
from lifelong.evaluation import Array, acc, bwt, fwt, interval, learning_acc, paired_difference
from lifelong.reports.bars import bar_panels
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.transfer import transfer_scatter
from lifelong.reports.wording import points, share, with_interval

__all__ = ["TRANSFER", "ranks"]

METHODS: dict[str, dict[str, Any]] = {"finetune": {}, "ewc": {}, "er": {}, "gem": {}, "joint": {}}
SAMPLES = 5000
#: what is changed of the usual training where it is not at full length
SHORTER: dict[str, dict[str, Any]] = {
    "digits": {"epochs": 8, "batch": 64, "optimizer": "adam", "lr": 0.003, "schedule": "linear"},
    "mnist": {"epochs": 2, "optimizer": "adam", "lr": 0.001, "schedule": "linear"},
}


def _run(setup: Setup, method: str, seed: int, scratch: Path) -> Values:
    shorter = {} if setup.full else SHORTER[setup.data]
    model, training = usual(setup, **shorter)
    settings = {"samples": SAMPLES} if setup.data == "mnist" and not setup.full else {}
    stream = data_stream(setup, "rotated", seed=seed, **settings)
    return learned(scratch, stream, method, model=model, training=training, seed=seed, settings=METHODS[method])


def _part(setup: Setup, method: str, scratch: Path) -> Values:
    seeds = range(setup.seed, setup.seed + (2 if setup.data == "mnist" and not setup.full else 5))
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
            share(interval(learning_acc(matrix))),
            with_interval(interval(fwt(matrix)), points),
            str(place),
            share(interval(acc(matrix))),
            with_interval(interval(bwt(matrix)), points),
            str(final),
        ]
        for (method, matrix), place, final in zip(matrices.items(), new, everything, strict=True)
    ]
    heads = [
        Text("method", "方法"),
        Text("new task, mean R(j, j)", "新任务，R(j, j) 的平均"),
        Text("FWT", "前向迁移 FWT"),
        Text("place", "名次"),
        Text("all tasks, ACC", "所有任务，ACC"),
        Text("BWT", "反向迁移 BWT"),
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
        return bar_panels(panels, list(METHODS), Text("accuracy (%)", "准确率（%）").of(language))

    pictures = (
        Picture(
            "views",
            Text(
                "Left: each task just after it was learned (mean R(j, j)). Right: all tasks at the end (ACC).",
                "左：每个任务刚学完时的准确率（R(j, j) 的平均）；右：最后在所有任务上的准确率（ACC）。",
            ),
            draw_views,
        ),
        Picture(
            "scatter",
            Text(
                "Forward against backward transfer: small points are seeds, large ones means with 95 % intervals.",
                "前向迁移与反向迁移：小点是各随机种子，大点是平均值及其 95% 置信区间。",
            ),
            lambda language: transfer_scatter(matrices, language),
        ),
    )
    short = Text(
        f"Shortened: {SAMPLES} training examples per task, 2 passes, 2 seeds; --full takes all examples and 5 seeds.",
        f"已缩短：每个任务 {SAMPLES} 个训练样本，训练 2 遍，2 个随机种子；加 --full 则用全部样本、5 个随机种子。",
    )
    passes = Text(
        "Shortened: 8 passes per task with Adam; --full trains as usual.",
        "已缩短：每个任务用 Adam 训练 8 遍；加 --full 则按通常方式训练。",
    )
    settings = Text("All methods with their default settings.", "所有方法均用默认设置。")
    notes = (settings,) if setup.full else (settings, short if setup.data == "mnist" else passes)
    return Shown((_table(matrices),), pictures, notes, _claims(matrices))


def _claims(matrices: Mapping[str, Array]) -> tuple[Claim, ...]:
    """What each view says of finetune, and where joint, the upper bound, stands in both."""
    new = {method: learning_acc(matrix) for method, matrix in matrices.items()}
    final = {method: acc(matrix) for method, matrix in matrices.items()}
    forward, backward = interval(fwt(matrices["finetune"])), interval(bwt(matrices["finetune"]))
    loss = paired_difference(new["finetune"], new["ewc"])
    rescue = paired_difference(final["ewc"], final["finetune"])
    place_new, place_final = (
        dict(zip(scores, ranks(np.array([score.mean() for score in scores.values()])), strict=True))
        for scores in (new, final)
    )
    best = min((method for method in METHODS if method != "joint"), key=lambda method: place_final[method])
    bound = paired_difference(final["joint"], final[best])
    count = len(METHODS)
    joint = Text(
        f"joint, the upper bound, is number {place_final['joint']} of {count} by ACC, {with_interval(bound, points)} "
        f"points from {best}",
        f"上界 joint 的 ACC 排第 {place_final['joint']}（共 {count} 种方法），与 {best} 相差 "
        f"{with_interval(bound, points)} 个百分点",
    )
    turns = place_new["finetune"] < place_final["finetune"] == count
    return (
        claim_above(
            forward,
            Text("FWT of finetune", "finetune 的前向迁移 FWT "),
            Text(
                "As transfer learning, finetune does well: earlier tasks put a new one "
                f"{apart(forward)} "
                "points above the random initialisation before it is learned (FWT).",
                f"作为迁移学习，finetune 很不错：新任务还没学，准确率已比随机初始化高 "
                f"{apart(forward)} 个百分点（FWT）。",
            ),
        ),
        claim_below(
            backward,
            Text("BWT of finetune", "finetune 的反向迁移 BWT "),
            Text(
                f"As lifelong learning, it fails: later tasks change the earlier ones by "
                f"{with_interval(backward, points)} points (BWT).",
                f"作为终身学习，它不合格：后来的任务使先前任务的准确率变化 {with_interval(backward, points)} "
                "个百分点（BWT）。",
            ),
        ),
        Claim(
            turns,
            Text(
                f"The order turns over: finetune is number {place_new['finetune']} of {count} on the new task and last "
                "on all tasks.",
                f"名次颠倒：只看新任务，finetune 在 {count} 种方法中排第 {place_new['finetune']}；所有任务都算，"
                "它排最后。",
            ),
            Text(
                f"The order does not turn over here: finetune is number {place_new['finetune']} of {count} on the new "
                f"task and number {place_final['finetune']} on all tasks.",
                f"本次运行中名次没有颠倒：finetune 在新任务上排第 {place_new['finetune']}，"
                f"在所有任务上排第 {place_final['finetune']}（共 {count} 种方法）。",
            ),
        ),
        claim_above(
            loss,
            Text("finetune minus ewc on the new task", "finetune 与 ewc 在新任务上的差"),
            Text(
                f"Stability has a price: on the new task ewc is {apart(loss)} points below finetune.",
                f"稳定是有代价的：在新任务上，ewc 比 finetune 低 {apart(loss)} 个百分点。",
            ),
        ),
        claim_above(
            rescue,
            Text("ACC of ewc minus ACC of finetune", "ewc 与 finetune 的 ACC 之差"),
            Text(
                f"The price pays off: by ACC, ewc is {apart(rescue)} points above finetune.",
                f"代价是值得的：ewc 的 ACC 比 finetune 高 {apart(rescue)} 个百分点。",
            ),
        ),
        Claim(
            bound.mean + bound.ci95 >= 0,
            Text(
                f"{joint.en}: no method is clearly above the bound.",
                f"{joint.zh}：没有方法明显高于上界。",
            ),
            Text(
                f"{joint.en}: with this training joint is no upper bound, as it learns all tasks in as many passes as "
                "the others learn one.",
                f"{joint.zh}：在这样的训练下 joint 不是上界，因为它学全部任务的遍数与其他方法学一个任务相同。",
            ),
        ),
    )


TRANSFER = Lesson(
    name="transfer",
    figures=(),
    title=Text("Transfer learning and lifelong learning", "迁移学习与终身学习"),
    see=Text(
        "Transfer learning asks one question: does what was learned before help with the new task? Lifelong learning "
        "asks a second one: can the model still do the old tasks? The same runs answer both. In the left panel only "
        "the task just learned counts, in the right panel all tasks count: compare the order of the methods. In the "
        "scatter plot, further right means that earlier tasks helped later ones (FWT), below zero means that later "
        "tasks harmed earlier ones (BWT). A method can be good at one and bad at the other, so both are measured.",
        "迁移学习只问一个问题：以前学的东西对新任务有没有帮助？终身学习还要再问一个：旧任务还会不会做？"
        "同样的运行可以回答这两个问题。左图只看刚学完的任务，右图把所有任务都算进来：请比较各方法的名次。"
        "在散点图中，越靠右，说明先前的任务对后来的任务帮助越大（FWT）；低于零，说明后来的任务损害了先前的任务（BWT）。"
        "一种方法可能善于前者而不善于后者，因此两者都要衡量。",
    ),
    parts=_parts,
    show=_show,
)
