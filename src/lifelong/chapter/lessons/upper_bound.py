"""Joint training against learning one task after another, as the number of tasks grows: time, memory, accuracy."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lifelong.chapter.learning import data_stream, fewer_tests, joint_after, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Claim, Grid, Picture, Shown
from lifelong.evaluation import Array
from lifelong.methods import build
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.series import Quantity, series_panels
from lifelong.reports.wording import percent, seconds, size
from lifelong.streams import Stream
from lifelong.training import Learner, Training, extra_of

__all__ = ["UPPER_BOUND", "one_by_one", "whole_life"]

LENGTHS = (1, 2, 5, 10, 20, 50, 100, 200)
LONG = (500, 1000)
CAPACITY = 2000
ONE_BY_ONE: dict[str, dict[str, Any]] = {"finetune": {}, "er": {"capacity": CAPACITY}}
SAMPLES = 300
TESTS = 1000


Note = dict[str, float]


def _lengths(setup: Setup) -> tuple[int, ...]:
    return (*LENGTHS, *LONG) if setup.full else LENGTHS


def _life(setup: Setup) -> tuple[Stream, str, Training]:
    model, training = usual(setup, epochs=5, batch=32, optimizer="adam", lr=0.003)
    stream = data_stream(setup, "permuted", tasks=_lengths(setup)[-1], samples=SAMPLES)
    return fewer_tests(stream, TESTS), model, training


def _measured(learner: Learner, stream: Stream, number: int, taken: float) -> Note:
    """What is noted after task `number`: seconds for it, bytes of extra storage, and the accuracy so far."""
    accuracy = float(np.mean(learner.evaluate(stream.first(number))))
    return {"tasks": number, "seconds": taken, "bytes": learner.stored_bytes, "acc": accuracy}


def one_by_one(make: Callable[[], Learner], stream: Stream, lengths: Sequence[int], scratch: Path) -> list[Note]:
    """Learn every task in turn; what is noted at each of `lengths`, with the seconds per task since the one before.

    A life that was cut short goes on from the last length in `scratch`.
    """
    file = scratch / "life.safetensors"
    noted: list[Note] = list(extra_of(file)["noted"]) if file.exists() else []
    learner = Learner.load(file) if noted else make()
    for number in lengths[len(noted) :]:
        todo = stream.tasks[len(learner.tasks) : number]
        start = time.process_time()
        for task in todo:
            learner.learn(task, progress=False)
        noted.append(_measured(learner, stream, number, (time.process_time() - start) / len(todo)))
        learner.save(file, {"noted": noted})
    return noted


def _one_by_one(setup: Setup, method: str, scratch: Path) -> Values:
    stream, model, training = _life(setup)

    def make() -> Learner:
        made = build(method, ONE_BY_ONE[method])
        return Learner(model, made, stream.space, seed=setup.seed, **asdict(training))

    return {"noted": one_by_one(make, stream, _lengths(setup), scratch)}


def _together(setup: Setup, number: int, scratch: Path) -> Values:
    """Task `number` alone, where all before are in the archive: what adding it costs joint training."""
    stream, model, training = _life(setup)
    learner, taken = joint_after(number, stream, model, training, setup.seed)
    return {"noted": [_measured(learner, stream, number, taken)]}


def _parts(setup: Setup) -> Mapping[str, Part]:
    one_by_one = {method: partial(_one_by_one, setup, method) for method in ONE_BY_ONE}
    return one_by_one | {f"joint-{number}": partial(_together, setup, number) for number in reversed(_lengths(setup))}


def whole_life(tasks: Array, taken: Array) -> float:
    """Seconds for tasks 1 … T when task t takes `taken` as measured at some t = `tasks`, straight lines between.

    >>> whole_life(np.array([1.0, 4.0]), np.array([1.0, 4.0]))  # 1 + 2 + 3 + 4
    10.0
    """
    return float(np.interp(np.arange(1, int(tasks[-1]) + 1), tasks, taken).sum())


def _lines(values: Mapping[str, Values]) -> dict[str, list[Note]]:
    """What was noted by method, in the order of the number of tasks."""
    joint = [note for name, part in values.items() if name.startswith("joint-") for note in part["noted"]]
    return {"joint": sorted(joint, key=lambda note: note["tasks"])} | {
        method: list(values[method]["noted"]) for method in ONE_BY_ONE
    }


def _column(notes: list[Note], name: str) -> Array:
    return np.array([note[name] for note in notes])


def _table(lines: Mapping[str, list[Note]], caption: Text, name: str, write: Callable[[float], str]) -> Grid:
    counts = [int(note["tasks"]) for note in lines["joint"]]
    rows = [[method, *(write(note[name]) for note in notes)] for method, notes in lines.items()]
    return Grid(caption, [Text("number of tasks", "任务数"), *(str(count) for count in counts)], rows)


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    lines = _lines(values)
    longest = _lengths(setup)[-1]
    seconds_table = _table(
        lines,
        Text("Time to add the last of so many tasks", "在已有任务之上再加最后一个任务所需的时间"),
        "seconds",
        seconds,
    )
    bytes_table = _table(
        lines,
        Text("Extra storage for later tasks, without the network", "为后续任务保存的数据量（不含网络）"),
        "bytes",
        size,
    )
    acc_table = _table(
        lines,
        Text("ACC: mean accuracy in percent on all tasks so far", "ACC：到目前为止所有任务的平均准确率（%）"),
        "acc",
        percent,
    )
    whole = [
        [name, seconds(whole_life(_column(notes, "tasks"), _column(notes, "seconds")))] for name, notes in lines.items()
    ]
    whole_table = Grid(
        Text(
            f"Time for a whole life of {longest} tasks, every task learned as it comes (computed from the times above, "
            "straight lines between)",
            f"任务逐个到来、每来一个就学一次，学完 {longest} 个任务的总时间（由上面测得的时间线性插值算出）",
        ),
        [Text("method", "方法"), Text("time", "时间")],
        whole,
    )

    def draw(language: Language) -> Figure:
        def quantity(label: Text, name: str, unit: float, logarithmic: bool) -> Quantity:
            drawn = {
                method: (_column(notes, "tasks").tolist(), unit * _column(notes, name)[None])
                for method, notes in lines.items()
            }
            return Quantity(label.of(language), drawn, logarithmic, 100.0 if name == "acc" else math.inf)

        quantities = [
            quantity(Text("seconds to add one task", "新增一个任务所需秒数"), "seconds", 1.0, True),
            quantity(Text("extra storage (MB)", "额外存储（MB）"), "bytes", 1e-6, True),
            quantity(Text("ACC (%)", "ACC（%）"), "acc", 100.0, False),
        ]
        return series_panels(
            quantities, Text("number of tasks", "任务数").of(language), _lengths(setup)[:: 3 if setup.full else 1]
        )

    picture = Picture(
        "growth",
        Text(
            "Time, memory and accuracy as tasks come (logarithmic axes; finetune stores nothing, so it has no line "
            "in the middle).",
            "随任务增多，时间、存储和准确率的变化（对数坐标；finetune 什么都不保存，中间一幅没有它的线）。",
        ),
        draw,
    )
    return Shown((seconds_table, bytes_table, acc_table, whole_table), (picture,), _notes(setup), _claims(lines))


def _claims(lines: Mapping[str, list[Note]]) -> tuple[Claim, ...]:
    """What more tasks cost joint training and the others, and that joint is the bound; of one run."""
    joint, others = lines["joint"], [lines[method] for method in ONE_BY_ONE]
    first, last = joint[0], joint[-1]
    tasks = int(last["tasks"])
    slower = last["seconds"] / first["seconds"]
    rises = max(notes[-1]["seconds"] / notes[0]["seconds"] for notes in others)
    lives = {name: whole_life(_column(notes, "tasks"), _column(notes, "seconds")) for name, notes in lines.items()}
    shorter = {name: lives["joint"] / lives[name] for name in ONE_BY_ONE}
    below = [
        int(mine["tasks"])
        for notes in others
        for mine, bound in zip(notes, joint, strict=True)
        if bound["tasks"] > 1 and mine["acc"] > bound["acc"]
    ]
    gaps = ", ".join(f"{name} {percent(lines[name][-1]['acc'])} %" for name in ONE_BY_ONE)
    gaps_zh = "，".join(f"{name} 为 {percent(lines[name][-1]['acc'])}%" for name in ONE_BY_ONE)
    exact = all(note["bytes"] * first["tasks"] == first["bytes"] * note["tasks"] for note in joint)
    return (
        Claim(
            slower > tasks / 10,
            Text(
                f"The more tasks, the dearer the next one: in this run joint training took {seconds(first['seconds'])} "
                f"for task 1 and {seconds(last['seconds'])} to add task {tasks}, {slower:.0f} times as long.",
                f"任务越多，再学一个就越贵：本次运行中，joint 学任务 1 用 {seconds(first['seconds'])}，"
                f"增加第 {tasks} 个任务用 {seconds(last['seconds'])}，是前者的 {slower:.0f} 倍。",
            ),
            Text(
                f"In this run joint training took {seconds(first['seconds'])} for task 1 and "
                f"{seconds(last['seconds'])} to add task {tasks}: too little growth to conclude from.",
                f"本次运行中，joint 学任务 1 用 {seconds(first['seconds'])}，增加第 {tasks} 个任务用 "
                f"{seconds(last['seconds'])}：增长太小，不能下结论。",
            ),
        ),
        Claim(
            rises < 2,
            Text(
                f"The other methods take as long for the last task as for the first, at most {rises:.1f} times. The "
                f"whole life of {tasks} tasks takes joint {shorter['finetune']:.0f} times as long as finetune.",
                f"其余方法学最后一个任务与学第一个任务用时相近，至多 {rises:.1f} 倍。"
                f"学完 {tasks} 个任务，joint 的总时间是 finetune 的 {shorter['finetune']:.0f} 倍。",
            ),
            Text(
                f"A method that learns one task after another took {rises:.1f} times as long for its last tasks as for "
                "its first in this run; times depend on what else the machine does.",
                f"本次运行中，逐个学习的方法学最后的任务用时是学第一个任务的 {rises:.1f} 倍；"
                "用时受机器上其他程序影响。",
            ),
        ),
        Claim(
            exact,
            Text(
                f"The data that joint training stores are proportional to the number of tasks: "
                f"{size(first['bytes'])} for 1 task, {size(last['bytes'])} for {tasks}.",
                f"joint 保存的数据与任务数成正比：1 个任务 {size(first['bytes'])}，{tasks} 个任务 "
                f"{size(last['bytes'])}。",
            ),
            Text(
                f"Joint training stores {size(first['bytes'])} for 1 task and {size(last['bytes'])} for {tasks}, which "
                "is not proportional.",
                f"joint 在 1 个任务时保存 {size(first['bytes'])}，{tasks} 个任务时保存 {size(last['bytes'])}，"
                "不成正比。",
            ),
        ),
        Claim(
            not below,
            Text(
                "In this run joint training is the upper bound: no other method is above it at any measured number "
                "of tasks. "
                f"After {tasks} tasks its ACC is {percent(last['acc'])} % against {gaps}.",
                f"本次运行中 joint 是上界：在每个测量点都没有方法超过它。学完 {tasks} 个任务后，它的 ACC 为 "
                f"{percent(last['acc'])}%，而 {gaps_zh}。",
            ),
            Text(
                f"In this run another method is above joint training at {_listed(below)} tasks. One seed has no "
                "interval, so this may be chance.",
                f"本次运行中，任务数为 {_listed(below)} 时有方法高于 joint。只有一个随机种子，可能是偶然。",
            ),
        ),
        Claim(
            last["acc"] < first["acc"],
            Text(
                f"The bound falls too in this run, from {percent(first['acc'])} % with 1 task to "
                f"{percent(last['acc'])} % with "
                f"{tasks}: one network of fixed size has to fit ever more unrelated tasks.",
                f"本次运行中，上界自己也下降：从 1 个任务的 {percent(first['acc'])}% 降到 {tasks} 个任务的 "
                f"{percent(last['acc'])}%，因为大小不变的网络要容纳越来越多互不相干的任务。",
            ),
            Text(
                f"The bound does not fall in this run: {percent(first['acc'])} % with 1 task, {percent(last['acc'])} % "
                f"with {tasks}.",
                f"本次运行中上界没有下降：1 个任务时 {percent(first['acc'])}%，{tasks} 个任务时 "
                f"{percent(last['acc'])}%。",
            ),
        ),
    )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(set(numbers))))


def _notes(setup: Setup) -> tuple[Text, ...]:
    measured = ", ".join(str(number) for number in _lengths(setup))
    measured_zh = "、".join(str(number) for number in _lengths(setup))
    how = Text(
        f"Measured: {SAMPLES} training examples per task, 5 passes; at most {TESTS} test examples per task; one "
        f"seed. Joint training was carried out at {measured} tasks only, each time from the random initialisation "
        "on all tasks so far, with the data of all earlier tasks in its memory, as in the full life. The other "
        "methods learned every task; their time is the mean per task since the number before. Times are seconds "
        f"of one processor core; they depend on the machine. er stores {CAPACITY} examples.",
        f"测量方法：每个任务 {SAMPLES} 个训练样本，训练 5 遍；每个任务至多 {TESTS} 个测试样本；一个随机种子。joint "
        f"只在任务数为 {measured_zh} 时真正训练，每次都从随机初始化出发，用到目前为止全部任务的数据，之前任务的数据"
        "都已在它的存储中，与从头走完全程时一样。其余方法逐个学完每个任务，时间取自上一个测量点以来每个任务的平均。"
        f"时间是单个处理器核的秒数，与机器有关。er 保存 {CAPACITY} 个样本。",
    )
    short = Text(
        "Shortened: 200 tasks; --full goes on to 1,000.", "已缩短：200 个任务；加 --full 则延长到 1,000 个任务。"
    )
    memory = Text(
        "While joint training learns, its data are in memory twice: in its store, and as one set to draw batches from.",
        "joint 训练时数据在内存中有两份：一份是它的存储，一份是合在一起供抽取的训练集。",
    )
    return (how, memory) if setup.full else (how, short)


UPPER_BOUND = Lesson(
    name="upper-bound",
    figures=(),
    title=Text("Multi-task learning: the bound, not the answer", "多任务学习：上界，而不是答案"),
    see=Text(
        "Joint training (multi-task learning) keeps the data of all tasks and learns them all anew whenever one is "
        "added. Follow its line in the left and the middle panel: the time to add one more task, and the data stored. "
        "If both grow in proportion to the number of tasks, learning T tasks one by one costs O(T²) in total, and with "
        "1,000 tasks the last one needs the data of 999 others. Then compare the right panel: joint says how well one "
        "network can do on all tasks, so it is the bound that other methods are measured by, and the gap to it "
        "is what lifelong learning tries to close.",
        "joint（多任务学习）保存所有任务的数据，每增加一个任务，就把全部任务从头再学一遍。请看左图和中图里它的线："
        "新增一个任务的时间，以及保存的数据。如果两者都与任务数成正比，那么学完 T 个任务的总代价与 T 的平方成正比；"
        "有 1,000 个任务时，学最后一个要用到前面 999 个任务的数据。再看右图：joint "
        "说明同一个网络在所有任务上最多能做到多好，"
        "因此它是衡量其他方法的上界，与它之间的差距正是终身学习要缩小的。",
    ),
    parts=_parts,
    show=_show,
)
