"""The table R of a run, and ACC, BWT and FWT worked out from it step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lifelong.chapter.differences import apart, claim_above, claim_below
from lifelong.chapter.learning import by_class, data_stream, learned, matrix_of, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.moving import matrices_growing
from lifelong.chapter.shown import Claim, Grid, Picture, Shown
from lifelong.chapter.working import Working, worked
from lifelong.evaluation import Array, Interval, acc, bwt, fwt, interval, paired_difference
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.samples import sample_blocks
from lifelong.reports.score_cells import score_cells
from lifelong.reports.wording import percent, points, share, with_interval
from lifelong.streams import Stream

__all__ = ["MATRIX", "stream_of"]

ANGLES = (0.0, 90.0, 180.0, 270.0)
LIVES = {
    "permuted": Text("permuted pixels", "像素置换"),
    "rotated": Text("right-angle rotations", "直角旋转"),
}
SEEDS = 5
SAMPLES = 5
SCORES: dict[str, Callable[[Array], Array]] = {"ACC": acc, "BWT": bwt, "FWT": fwt}


def stream_of(setup: Setup, kind: str, seed: int) -> Stream:
    """The tasks of one of `LIVES`: as many in both, and the first the upright digits."""
    settings = {"angles": ANGLES} if kind == "rotated" else {"first_plain": True}
    return data_stream(setup, kind, tasks=len(ANGLES), seed=seed, **settings)


def _learn(setup: Setup, kind: str, scratch: Path) -> Values:
    model, training = usual(setup)
    seeds = range(setup.seed, setup.seed + SEEDS)
    streams = [stream_of(setup, kind, seed) for seed in seeds]
    images = [task.test.x[:SAMPLES, 0] for task in streams[0]]
    return {
        "runs": [
            learned(scratch, stream, "finetune", model=model, training=training, seed=seed)
            for seed, stream in zip(seeds, streams, strict=True)
        ],
        "images": [(255 * image).round().int().tolist() for image in images],
        "digits": by_class(streams[0], "finetune", model=model, training=training, seed=setup.seed),
    }


def _parts(setup: Setup) -> Mapping[str, Part]:
    return {kind: partial(_learn, setup, kind) for kind in LIVES}


def _table(matrix: Array, life: Text) -> Grid:
    heads = [
        Text("after learning", "学完之后"),
        *(Text(f"task {j}", f"任务 {j}") for j in range(1, matrix.shape[1] + 1)),
    ]
    first = [Text("nothing (random initialisation)", "什么都没学（随机初始化）")]
    names = [*first, *(Text(f"task {i}", f"任务 {i}") for i in range(1, len(matrix)))]
    rows = [[name, *(percent(float(value)) for value in row)] for name, row in zip(names, matrix, strict=True)]
    caption = Text(
        "R of the first seed: accuracy in percent on every task (columns) after every task (rows); finetune, "
        f"{life.en}",
        f"第一个随机种子的表 R：学完每个任务之后（行）在每个任务上（列）的准确率（%）。方法 finetune，{life.zh}",
    )
    return Grid(caption, heads, rows)


def _working(workings: tuple[Working, ...], life: Text) -> Grid:
    caption = Text(
        f"ACC, BWT and FWT step by step from that R (percent and points): {life.en}",
        f"由上表一步步算出 ACC、BWT 和 FWT（百分数、百分点）：{life.zh}",
    )
    rows: list[list[str]] = []
    for working in workings:
        rows += [[working.score if place == 0 else "", f"= {line}"] for place, line in enumerate(working.lines)]
        rows += [["", f"= {working.result}"]]
    return Grid(caption, [Text("score", "指标"), Text("working", "计算过程")], rows)


def _means(scores: Mapping[str, Mapping[str, Array]], seeds: int) -> Grid:
    caption = Text(
        f"The scores of both lives, mean of {seeds} seeds ± 95 % interval (percent and points)",
        f"两种任务序列的指标，{seeds} 个随机种子的平均 ± 95% 置信区间（百分数、百分点）",
    )
    rows: list[list[str | Text]] = [
        [
            life,
            share(interval(scores[kind]["ACC"])),
            *(with_interval(interval(scores[kind][score]), points) for score in ("BWT", "FWT")),
        ]
        for kind, life in LIVES.items()
    ]
    return Grid(caption, [Text("tasks", "任务"), *SCORES], rows)


def _claims(scores: Mapping[str, Mapping[str, Array]]) -> tuple[Claim, ...]:
    """Who forgets, who gains before learning, and which of the two lives is harder."""

    def of(kind: str, score: str) -> Interval:
        return interval(scores[kind][score])

    def gap(score: str) -> Interval:
        return paired_difference(scores["rotated"][score], scores["permuted"][score])

    def written(difference: Interval) -> str:
        return with_interval(difference, points)

    forgets = tuple(
        claim_below(
            of(kind, "BWT"),
            Text(f"BWT on {life.en}", f"{life.zh}的反向迁移 BWT "),
            Text(
                f"Finetuning forgets on {life.en}: BWT is {written(of(kind, 'BWT'))} points.",
                f"在{life.zh}任务上逐个微调会遗忘：反向迁移 BWT 为 {written(of(kind, 'BWT'))} 个百分点。",
            ),
        )
        for kind, life in LIVES.items()
    )
    forward = of("permuted", "FWT")
    return (
        *forgets,
        claim_above(
            gap("BWT"),
            Text("BWT on rotations minus BWT on permutations", "旋转与置换的 BWT 之差"),
            Text(
                f"Rotations are forgotten less than permutations: their BWT is {apart(gap('BWT'))} points higher.",
                f"旋转任务比置换任务忘得少：BWT 高 {apart(gap('BWT'))} 个百分点。",
            ),
        ),
        claim_above(
            gap("ACC"),
            Text("ACC on rotations minus ACC on permutations", "旋转与置换的 ACC 之差"),
            Text(
                f"Permutations are the harder life: ACC on rotations is {apart(gap('ACC'))} points higher.",
                f"置换任务更难：旋转任务的 ACC 高 {apart(gap('ACC'))} 个百分点。",
            ),
        ),
        claim_above(
            of("rotated", "FWT"),
            Text("FWT on rotations", "旋转任务的前向迁移 FWT "),
            Text(
                f"Rotations transfer forward: before a task is learned, the network is already "
                f"{apart(of('rotated', 'FWT'))} points above the random initialisation.",
                f"旋转任务有前向迁移：任务还没学，准确率已比随机初始化高 {apart(of('rotated', 'FWT'))} 个百分点。",
            ),
        ),
        Claim(
            abs(forward.mean) <= forward.ci95,
            Text(
                f"Permutations show no forward transfer: FWT is {written(forward)} points, and the interval includes "
                "0.",
                f"置换任务看不出前向迁移：FWT 为 {written(forward)} 个百分点，置信区间包含 0。",
            ),
            Text(
                f"FWT on permutations is {written(forward)} points here: the interval does not include 0.",
                f"本次运行中，置换任务的 FWT 为 {written(forward)} 个百分点，置信区间不包含 0。",
            ),
        ),
    )


def _draw(matrix: Array, life: Text, language: Language) -> Figure:
    title = Text(f"finetune, {life.en}", f"finetune，{life.zh}")
    return score_cells(matrix, title.of(language), language)


def _digits(values: Mapping[str, Values], language: Language) -> Figure:
    """The first digits of every task, permuted at the left and turned at the right."""
    first = Text("task 1: as written", "任务 1：原样")
    numbers = range(2, len(ANGLES) + 1)
    titles = {
        "permuted": [first, *(Text(f"task {n}: permuted", f"任务 {n}：置换") for n in numbers)],
        "rotated": [first, *(Text(f"task {n}: {ANGLES[n - 1]:g}°", f"任务 {n}：{ANGLES[n - 1]:g}°") for n in numbers)],
    }
    return sample_blocks(
        {
            life.of(language): (
                np.asarray(values[kind]["images"]) / 255,
                [title.of(language) for title in titles[kind]],
            )
            for kind, life in LIVES.items()
        }
    )


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    matrices = {kind: np.stack([matrix_of(run) for run in values[kind]["runs"]]) for kind in LIVES}
    scores = {kind: {name: score(matrix) for name, score in SCORES.items()} for kind, matrix in matrices.items()}
    seeds = len(matrices["permuted"])
    tables = [_means(scores, seeds)]
    for kind, life in LIVES.items():
        tables += [_table(matrices[kind][0], life), _working(worked(matrices[kind][0]), life)]
    pictures = [
        Picture(
            "digits",
            Text(
                "Figure 16.8: the same digits in every task. One fixed permutation of the pixels per task at the left, "
                "a turn by 90° more per task at the right.",
                "图 16.8：每个任务都是同一批数字。左：每个任务用一种固定规则打乱像素；右：每个任务再转 90°。",
            ),
            partial(_digits, values),
        ),
        *(
            Picture(
                kind,
                Text(
                    f"Figure 16.9: the cells of R that enter each score, first seed; {life.en}. Solid outlines are "
                    "added, dashed ones subtracted.",
                    f"图 16.9：各指标用到表 R 的哪些格子（第一个随机种子，{life.zh}）。实线框相加，虚线框相减。",
                ),
                partial(_draw, matrices[kind][0], life),
            )
            for kind, life in LIVES.items()
        ),
    ]
    rounding = Text(
        "Numbers are rounded to one decimal for reading; results are computed from unrounded ones, so the last "
        "digit of a sum done by hand may differ by one.",
        "为便于阅读，各数四舍五入到一位小数；结果由未舍入的数算出，手算时末位可能相差 1。",
    )
    moving = matrices_growing(
        "permuted",
        {life: matrices[kind][0] for kind, life in LIVES.items()},
        {life: values[kind]["digits"] for kind, life in LIVES.items()},
    )
    return Shown(tuple(tables), tuple(pictures), (rounding,), _claims(scores), (moving,))


MATRIX = Lesson(
    name="matrix",
    figures=("16.8", "16.9"),
    title=Text("The table R and its three scores", "准确率表格 R 与三个指标"),
    see=Text(
        "One table judges every method of this chapter: R(i, j) is the accuracy on task j after learning tasks 1 "
        "to i, and row 0 is the network before it learned anything. The mean of the last row is ACC, what is left at "
        "the end. BWT compares, column by column, the last row with the diagonal: what later tasks did to an earlier "
        "one; below zero is forgetting. FWT compares the cell just above the diagonal with row 0: what a task gains "
        "before it is learned. Two lives of four tasks are measured here with plain finetuning. In one, every task "
        "permutes the pixels in its own fixed way; in the other, every task turns the digits by another 90°. Do "
        "rotations transfer forward, and are they forgotten less? Compare their scores.",
        "本章用同一张表格评判所有方法：R(i, j) 是学完任务 1 到 i 之后在任务 j 上的准确率，"
        "第 0 行是什么都还没学的网络。最后一行的平均值是 ACC，即最终的准确率。反向迁移 BWT 逐列比较最后一行与对角线："
        "后来的任务怎样影响先前的任务，小于零就是遗忘。前向迁移 FWT 比较对角线上方的一格与第 0 行："
        "一个任务还没学就得到了多少帮助。这里用最普通的微调（finetune）学习两种各含四个任务的序列：一种是每个任务按各自"
        "固定的规则打乱像素，另一种是每个任务把数字再转 90°。旋转能前向迁移吗？忘得少一些吗？请比较两组指标。",
    ),
    parts=_parts,
    show=_show,
)
