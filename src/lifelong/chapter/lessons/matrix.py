"""The table R of a run, and ACC, BWT and FWT worked out from it step by step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from lifelong.chapter.learning import data_stream, learned, matrix_of, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.moving import matrices_growing
from lifelong.chapter.shown import Grid, Picture, Shown
from lifelong.chapter.working import Working, worked
from lifelong.evaluation import Array
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.score_cells import score_cells
from lifelong.reports.wording import percent
from lifelong.streams import Stream

__all__ = ["MATRIX", "stream_of"]

ANGLES = (0.0, 90.0, 180.0, 270.0)
LIVES = {
    "permuted": Text("permuted pixels, 5 tasks", "像素置换，5 个任务"),
    "rotated": Text("right-angle rotations 0°, 90°, 180°, 270°", "直角旋转 0°、90°、180°、270°"),
}


def stream_of(setup: Setup, kind: str) -> Stream:
    """The tasks of one of `LIVES`."""
    settings = {"tasks": 5} if kind == "permuted" else {"tasks": len(ANGLES), "angles": ANGLES}
    return data_stream(setup, kind, **settings)


def _learn(setup: Setup, kind: str, scratch: Path) -> Values:
    model, training = usual(setup)
    return learned(scratch, stream_of(setup, kind), "finetune", model=model, training=training, seed=setup.seed)


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
        f"R, accuracy in percent on every task (columns) after every task (rows): finetune, {life.en}",
        f"表 R：学完每个任务之后（行）在每个任务上（列）的正确率（%）。方法 finetune，{life.zh}",
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


def _draw(matrix: Array, life: Text, language: Language) -> Figure:
    title = Text(f"finetune, {life.en}", f"finetune，{life.zh}")
    return score_cells(matrix, title.of(language), language)


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    matrices = {kind: matrix_of(values[kind]) for kind in LIVES}
    tables = [
        table
        for kind, life in LIVES.items()
        for table in (_table(matrices[kind], life), _working(worked(matrices[kind]), life))
    ]
    pictures = [
        Picture(
            kind,
            Text(
                f"The cells of R that enter each score: {life.en}. Solid outlines are added, dashed ones subtracted.",
                f"各指标用到表 R 的哪些格子：{life.zh}。实线框相加，虚线框相减。",
            ),
            partial(_draw, matrices[kind], life),
        )
        for kind, life in LIVES.items()
    ]
    rounding = Text(
        "Numbers are rounded to one decimal for reading; results are computed from unrounded ones, so the last "
        "digit of a sum done by hand may differ by one.",
        "为便于阅读，各数四舍五入到一位小数；结果由未舍入的数算出，手算时末位可能相差 1。",
    )
    moving = matrices_growing("permuted", {LIVES[kind]: matrix for kind, matrix in matrices.items()})
    return Shown(tuple(tables), tuple(pictures), (rounding,), moving=(moving,))


MATRIX = Lesson(
    name="matrix",
    figures=("16.8", "16.9"),
    title=Text("The table R and its three scores", "评估表 R 与三个指标"),
    see=Text(
        "Every method of this chapter is judged by one table: R(i, j) is the accuracy on task j after learning tasks 1 "
        "to i, and row 0 is the network before it learned anything. The last row says what is left at the end: its "
        "mean is ACC. Down a column, below the diagonal, you see what later tasks did to an earlier one: BWT, below "
        "zero where there is forgetting. Just above the diagonal, against row 0, you see what a task gains before it "
        "is learned: FWT. Turned strokes are still strokes, so right-angle rotations transfer forward where permuted "
        "pixels do not. Whether they also forget less, look up: tasks that look alike fight over the same weights.",
        "本章的每种方法都用同一张表来评判：R(i, j) 是学完任务 1 到 i 之后在任务 j 上的正确率，"
        "第 0 行是什么都还没学的网络。最后一行是最终还剩下的本领，它的平均就是 ACC；沿着一列从对角线往下看，"
        "是后来的任务对先前任务的影响，这就是向后迁移 BWT，小于零即为遗忘；对角线上方的一格与第 0 行相比，"
        "是一个任务在学之前已经得到的帮助，这就是向前迁移 FWT。笔画转了方向还是笔画，所以直角旋转能向前迁移，"
        "像素置换则不能。旋转是否也忘得少一些？请查表：彼此相像的任务，争用的也是同一批参数。",
    ),
    parts=_parts,
    show=_show,
)
