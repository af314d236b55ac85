"""The loop: a model online is corrected by its users, learns what they say, and goes online again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Claim, Grid, Picture, Shown
from lifelong.cli.extras import needing
from lifelong.evaluation import Array
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.matrices import version_map
from lifelong.reports.wording import percent

__all__ = ["LOOP"]

#: the lots of `lifelong demo loop` that the short run takes: known, drift, late class, drift again, poison, retrain
SHORT = (1, 2, 3, 5, 6, 9)

#: the lots: what the story calls them, in Chinese, and in a word or two
LOTS = {
    "upright digits, as before": ("正放的数字，与以前一样", Text("upright", "正放")),
    "digits turned by 90 degrees": ("旋转 90 度的数字", Text("90°", "90°")),
    "upright digits, among them the first 9s": ("正放的数字，其中第一次出现 9", Text("first 9s", "首次有 9")),
    "digits turned by 30 degrees": ("旋转 30 度的数字", Text("30°", "30°")),
    "digits turned by 90 degrees, again": ("又是旋转 90 度的数字", Text("90° again", "再次 90°")),
    "a poisoned lot: every label is one too high": ("一批被投毒的数据：每个标签都大 1", Text("poisoned", "投毒")),
    "white digits on black became black ones on white": ("黑底白字变成了白底黑字", Text("inverted", "反色")),
    "digits upside down": ("倒置的数字", Text("upside down", "倒置")),
    "black digits on white, again": ("又是白底黑字", Text("inverted again", "再次反色")),
    "digits upside down, again": ("又是倒置的数字", Text("upside down again", "再次倒置")),
}
STATES = {
    "promoted": Text("online", "上线"),
    "known": Text("known", "已掌握"),
    "rejected": Text("rejected", "被拒绝"),
    "failed": Text("failed", "失败"),
}
REPAIRS = {
    "interpolate": Text("smaller step", "小步"),
    "replay": Text("replay", "重放"),
    "retrain": Text("retrain", "重新训练"),
}
#: kinds of test digits, by the word for them in the names of lots
WORLDS = {
    "upright": ("upright", Text("upright", "正放")),
    "90 degrees": ("turned by 90 degrees", Text("turned by 90 degrees", "旋转 90 度")),
    "black": ("inverted", Text("black on white", "白底黑字")),
    "upside down": ("upside down", Text("upside down", "倒置")),
}


def _life(setup: Setup, scratch: Path) -> Values:
    """The life of the model: its versions and their exams, what became of each lot, and what users saw."""
    with needing("serve"):
        from lifelong.service.demonstration import tell_story
    lines: list[str] = []
    with tell_story(scratch / "home", lines.append, only=None if setup.full else SHORT) as shown:
        versions = [{"id": row["id"], "number": row["number"]} for row in shown.life["versions"]]
        numbers = {row["id"]: row["number"] for row in versions}
        lots = [
            {
                "told": told,
                "state": row["state"],
                "version": numbers.get(row["candidate"]),
                "steps": [step["step"] for step in row["decision"].get("steps") or []],
            }
            for told, row in zip(shown.told, shown.updates, strict=True)
        ]
        return {
            "versions": [row["number"] for row in versions],
            "tasks": list(shown.life["tasks"]),
            "matrix": shown.life["matrix"],
            "lots": lots,
            "before": shown.before,
            "after": shown.after,
            "asked": shown.asked,
            "failed": len(shown.failures),
            "breaks": shown.audit_breaks,
        }


def _parts(setup: Setup) -> Mapping[str, Part]:
    return {"life": partial(_life, setup)}


def _lot(told: str) -> Text:
    return Text(told, LOTS[told][0])


def _claims(life: Values, matrix_VT: Array) -> tuple[Claim, ...]:
    lots = life["lots"]
    poisoned = next(lot for lot in lots if lot["told"].startswith("a poisoned lot"))
    right = [lot for lot in lots if lot is not poisoned]
    kept = sum(lot["state"] in ("promoted", "known") for lot in right)
    now, tasks = _online(life)[-1], life["tasks"]
    worlds = _worlds(life)
    worst, name = min(worlds.items(), key=lambda world: life["after"][world[0]])
    gained = float(np.mean([life["after"][world] - life["before"][world] for world in worlds]))
    falls = []  # of the version that is online since each task was learned
    for row in _online(life):
        task = life["versions"][row] if row else tasks[0]
        if task in tasks and not np.isnan(matrix_VT[[row, now], tasks.index(task)]).any():
            place = tasks.index(task)
            falls.append(float(matrix_VT[now, place] - matrix_VT[row, place]))
    return (
        Claim(
            life["failed"] == 0,
            Text(
                f"The model answers while it learns: none of {life['asked']} requests failed.",
                f"模型边学边答：{life['asked']} 次请求无一失败。",
            ),
            Text(
                f"{life['failed']} of {life['asked']} requests failed.",
                f"{life['asked']} 次请求中有 {life['failed']} 次失败。",
            ),
        ),
        Claim(
            gained > 0,
            Text(
                f"It gets better: its accuracy on test digits of {len(worlds)} kinds rose by {percent(gained)} points; "
                f"the lowest is now {percent(life['after'][worst])} % ({name.en}).",
                f"模型越来越好：在 {len(worlds)} 种数字的测试集上，准确率平均提高 {percent(gained)} 个百分点；"
                f"现在最低的是{name.zh}的数字，{percent(life['after'][worst])}%。",
            ),
            Text("It did not get better in this run.", "本次运行中模型没有变好。"),
        ),
        Claim(
            min(falls, default=0.0) >= -0.1,
            Text(
                f"What it learned it kept: since each task was learned, its exam changed by {percent(min(falls))} "
                "points at worst.",
                f"学过的没有丢：与各任务刚学完时相比，考试准确率的变化最差为 {percent(min(falls))} 个百分点。",
            ),
            Text(
                f"One task was partly lost: its exam changed by {percent(min(falls))} points since it was learned.",
                f"有一个任务部分被遗忘：与刚学完时相比，考试准确率变化了 {percent(min(falls))} 个百分点。",
            ),
        ),
        Claim(
            poisoned["state"] != "promoted",
            Text(
                "The lot of wrong labels was found out: its candidate never went online.",
                "错误标签的那一批被识破：用它训练的候选模型没有上线。",
            ),
            Text(
                "The lot of wrong labels went online: the gate did not find it out in this run.",
                "错误标签的那一批上线了：本次运行中没有被识破。",
            ),
        ),
        Claim(
            kept == len(right),
            Text(
                f"All {kept} lots of right labels were learned, or known already.",
                f"标签正确的 {kept} 批全都学会了，或者早已掌握。",
            ),
            Text(
                f"{kept} of {len(right)} lots of right labels were learned or known already; the others were rejected.",
                f"标签正确的 {len(right)} 批中，{kept} 批学会了或早已掌握；其余被拒绝。",
            ),
        ),
    )


def _online(life: Values) -> list[int]:
    """The rows of the versions that were online, the first among them, in order."""
    promoted = {lot["version"] for lot in life["lots"] if lot["state"] == "promoted"}
    return [row for row, number in enumerate(life["versions"]) if row == 0 or number in promoted]


def _lots(life: Values) -> Grid:
    rows: list[list[str | Text]] = []
    for place, lot in enumerate(life["lots"], start=1):
        steps = [REPAIRS[step] for step in dict.fromkeys(lot["steps"]) if step in REPAIRS]
        repaired = Text(" → ".join(step.en for step in steps), " → ".join(step.zh for step in steps))
        version = "" if lot["version"] is None else f"v{lot['version']}"
        rows.append([str(place), _lot(lot["told"]), STATES.get(lot["state"], lot["state"]), version, repaired])
    heads = [
        "",
        Text("what users send", "用户送来的数据"),
        Text("outcome", "结果"),
        Text("version", "版本"),
        Text("repair", "修复"),
    ]
    return Grid(Text("Lots of corrected answers and what became of them", "一批批被纠正的回答，以及结果"), heads, rows)


def _worlds(life: Values) -> dict[str, Text]:
    """The kinds of test digits of which users sent a lot, and their names."""
    told = " ".join(lot["told"] for lot in life["lots"])
    return {world: name for word, (world, name) in WORLDS.items() if word in told}


def _accuracies(life: Values) -> Grid:
    rows: list[list[str | Text]] = [
        [name, percent(life["before"][world]), percent(life["after"][world])] for world, name in _worlds(life).items()
    ]
    caption = Text("Accuracy in percent on test digits that nobody labelled", "在无人标注的测试数字上的准确率（%）")
    return Grid(caption, [Text("digits", "数字"), Text("first version", "第一个版本"), Text("now", "现在")], rows)


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    life: dict[str, Any] = values["life"]
    matrix_VT = np.array(life["matrix"], dtype=np.float64)
    of_version = {lot["version"]: lot for lot in life["lots"]}

    def draw(language: Language) -> Figure:
        first = Text("upright, no 9", "正放，没有 9")
        names = [LOTS[of_version[task]["told"]][1] if task in of_version else first for task in life["tasks"]]
        tasks = [name.of(language) for name in names]
        versions = []
        for number in life["versions"]:
            lot = of_version.get(number)
            state = STATES["promoted"] if lot is None else STATES.get(lot["state"], Text(lot["state"], lot["state"]))
            versions.append(f"v{number} {state.of(language)}")
        return version_map(matrix_VT, tasks, versions, _online(life), language)

    picture = Picture(
        "versions",
        Text(
            "R of a model online: a row for each version, a column for the exam of each lot it was to learn. Versions "
            "that answered users are bold. The dashboard of lifelong serve shows the same table.",
            "线上模型的表 R：每个版本一行，每批数据的考试一列；粗体的版本曾经上线。lifelong serve 的面板也显示这张表。",
        ),
        draw,
    )
    return Shown((_lots(life), _accuracies(life)), (picture,), _notes(setup), _claims(life, matrix_VT))


def _notes(setup: Setup) -> tuple[Text, ...]:
    how = Text(
        "Version 1 learned 560 upright digits, but no 9. Then users send 240 digits at a time and correct the answers. "
        "From each lot a part becomes an exam; the rest is learned by er with a memory of 500. A candidate that is "
        "not shown to keep the exams of earlier lots is repaired: a smaller step α towards it, more replay, or a full "
        "retrain.",
        "版本 1 学过 560 个正放的数字，但没见过 9。之后用户每次送来 240 个数字并纠正回答。每批的一部分留作考试，其余由 "
        "er（记忆 500 个样本）学习。候选模型若不能证明保住了以前各批的考试，就会被修复：朝它只走一小步 α、更多地重放，"
        "或从头重新训练。",
    )
    times = Text(
        "A real server, its worker and its users ran for this: what is learned depends a little on the time of things.",
        "为此运行了真正的服务器、训练进程和用户，所以结果会随时间先后略有不同。",
    )
    short = Text(
        f"Shortened: {len(SHORT)} of 12 lots; --full, or lifelong demo loop, has them all.",
        f"已缩短：12 批中的 {len(SHORT)} 批；加 --full，或用 lifelong demo loop，可看全部。",
    )
    return (how, times) if setup.full else (how, times, short)


LOOP = Lesson(
    name="loop",
    figures=("16.2",),
    title=Text("The loop: online, corrected, better, again", "循环：上线、收到反馈、更新，再上线"),
    see=Text(
        "The reason why lifelong learning matters in practice: a model is online, its users send it data and correct "
        "its answers, it learns from them, goes online again, and so on without end. Nobody wants to train anew on "
        "everything for each lot, and nobody wants an update that forgets. So every update sits the exams of all "
        "earlier lots before users see it. Look down a column: does a task that was learned stay learned? Look for "
        "the lot of wrong labels: does it get through?",
        "终身学习在实际中的意义：模型上线后，用户送来数据并纠正它的回答，模型由此学习、更新、再上线，周而复始。没有人愿意"
        "每来一批数据就从头训练，也没有人想要一个会遗忘的更新。因此每次更新在用户看到之前，都要考过以前每一批的考试。请竖着"
        "看一列：学会的任务还会吗？再看错误标签的那一批：它混过去了吗？",
    ),
    parts=_parts,
    show=_show,
)
