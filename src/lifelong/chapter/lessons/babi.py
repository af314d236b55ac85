"""Question answering: twenty skills learned one after the other, and all at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lifelong.chapter.learning import fewer_tests, learned, matrix_of, record_of
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Grid, Picture, Shown
from lifelong.evaluation import Array
from lifelong.reports.bars import grouped_bars
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.curves import mean_curve
from lifelong.reports.matrices import heat_map
from lifelong.reports.one_task import one_task
from lifelong.reports.wording import percent, points, size
from lifelong.streams import Stream, stream
from lifelong.training import Learner, Training
from lifelong.types import Examples, Task

__all__ = ["BABI"]

#: the methods with what is not left at its default: the Fisher information by one drawn answer to each of 500 questions
#: (there are 60 answers), and memories of one size
METHODS: dict[str, dict[str, object]] = {
    "finetune": {},
    "ewc": {"fisher": "sampled", "samples": 500},
    "er": {"capacity": 200},
    "gem": {"capacity": 200, "per": "total"},
    "lwf": {},
}
FOLLOWED = 5  # the task whose life is drawn alone

#: at full length: the official files, as long as the published runs
FULL = Training(epochs=60, batch=32, optimizer="adam", lr=3e-3)
# gradients leap where a skill begins, and Adam would remember the leap for the rest of the task
SHORT = Training(epochs=6, batch=128, optimizer="adam", lr=2e-2, clip=0.3)
# a pass over all tasks has 20 times the steps
SHORT_JOINT = replace(SHORT, epochs=7, lr=1e-2)
QUESTIONS = 1800  # per task, in the shortened run


def _stream(setup: Setup) -> Stream:
    """The 20 tasks: the official files at full length, else simulated ones with fewer test questions."""
    if setup.full:
        return stream("babi", data_dir=setup.data_dir, source="files", seed=setup.seed)
    return fewer_tests(stream("babi", questions=QUESTIONS, seed=setup.seed), 250)


def _sequence(setup: Setup, method: str, scratch: Path) -> Values:
    training = FULL if setup.full else SHORT
    settings = METHODS[method]
    return learned(
        scratch, _stream(setup), method, model="memn2n", training=training, seed=setup.seed, settings=settings
    )


def _joint(setup: Setup, scratch: Path) -> Values:
    """The accuracies of one network that learned all tasks at once."""
    tasks = _stream(setup)
    merged = Task(1, "all tasks", tasks.task(1).classes, {"train": _together(tasks)}.get)
    training = FULL if setup.full else SHORT_JOINT
    checkpoint = scratch / "joint.safetensors"
    if checkpoint.exists():
        learner = Learner.load(checkpoint)
    else:
        learner = Learner("memn2n", None, tasks.space, seed=setup.seed, **asdict(training))
    learner.learn(merged, on_step=lambda step: learner.save(checkpoint) if step % 2000 == 0 else None, progress=False)
    accuracies = [learner.accuracy(replace(task, number=1)) for task in tasks]
    return {"accuracies": accuracies, "names": [task.name for task in tasks], "epochs": training.epochs}


def _together(tasks: Stream) -> Examples:
    return Examples.cat([replace(task.train, task=1) for task in tasks])


def _parts(setup: Setup) -> Mapping[str, Part]:
    """The longest first, so that no core waits for it alone in the end."""
    methods = sorted(METHODS, key=lambda method: method != "gem")
    return {**{method: partial(_sequence, setup, method) for method in methods}, "joint": partial(_joint, setup)}


def _life_of_one(matrices: dict[str, Array], language: Language) -> Figure:
    return one_task({name: matrix[None] for name, matrix in matrices.items()}, FOLLOWED, language)


def _heat(matrix: Array, language: Language) -> Figure:
    return heat_map(matrix, Text("finetune, 20 tasks", "finetune，20 个任务").of(language), language)


def _bars(joint: Values, last: Array, language: Language) -> Figure:
    names = [Text("learned all at once", "一起学"), Text("one after the other", "逐个学")]
    values = np.stack([np.array(joint["accuracies"]), last], axis=1)[None]
    label = Text("accuracy (%)", "正确率（%）").of(language)
    tasks = [str(number) for number in range(1, len(last) + 1)]
    return grouped_bars(values, tasks, [name.of(language) for name in names], label)


def _means(matrices: dict[str, Array], language: Language) -> Figure:
    return mean_curve({name: matrix[None] for name, matrix in matrices.items()}, language)


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    matrices = {method: matrix_of(values[method]) for method in METHODS}
    joint, finetune = values["joint"], matrices["finetune"]
    caption = Text("What each method saves over the 20 tasks", "各种方法在 20 个任务上保住了多少")
    heads = [
        Text("method", "方法"),
        "ACC (%)",
        "BWT",
        Text(f"task {FOLLOWED} when learned (%)", f"任务 {FOLLOWED} 刚学完（%）"),
        Text(f"task {FOLLOWED} one task later (%)", "再学一个任务后（%）"),
        Text(f"task {FOLLOWED} at the end (%)", "最后（%）"),
        Text("stored", "额外存储"),
    ]
    rows: list[list[str | Text]] = []
    for method in METHODS:
        record, life = record_of(values[method]), matrices[method][:, FOLLOWED - 1]
        scores = [percent(record.scores["acc"]), points(record.scores["bwt"])]
        lives = [percent(float(life[row])) for row in (FOLLOWED, FOLLOWED + 1, -1)]
        rows.append([method, *scores, *lives, size(record.cost.stored_bytes)])
    once = float(np.mean(joint["accuracies"]))
    rows.append([Text("all at once", "一起学"), percent(once), *["–"] * 5])
    pictures = (
        Picture(
            "task-5",
            Text(
                f"Accuracy on task {FOLLOWED} after each of the 20 tasks: nothing before it is learned, then learned, "
                "then what the next tasks leave of it.",
                f"逐个学习 20 个任务时，任务 {FOLLOWED} 的正确率：学之前几乎为零，刚学完达到最高，"
                "接着学别的任务后所剩无几。",
            ),
            partial(_life_of_one, matrices),
        ),
        Picture(
            "finetune",
            Text(
                "The same for all tasks: a bright diagonal, and dark below it wherever a skill was forgotten.",
                "所有任务的情形：对角线是亮的，凡是被遗忘的技能，对角线以下就是暗的。",
            ),
            partial(_heat, finetune),
        ),
        Picture(
            "joint",
            Text(
                "All 20 tasks at once in one network, beside what is left after learning them one after the other.",
                "同一个网络一起学 20 个任务的结果，与逐个学完之后所剩的结果并列。",
            ),
            partial(_bars, joint, finetune[-1]),
        ),
        Picture(
            "methods",
            Text("Mean accuracy on the tasks seen so far, by method.", "各方法在已学任务上的平均正确率。"),
            partial(_means, matrices),
        ),
    )
    return Shown((Grid(caption, heads, rows),), pictures, (_note(setup, joint),))


def _note(setup: Setup, joint: Values) -> Text:
    if setup.full:
        return Text(
            f"Official bAbI files (version 1.2, 1,000 questions per task), {FULL.epochs} epochs.",
            f"官方 bAbI 数据（1.2 版，每个任务 1000 题），{FULL.epochs} 轮。",
        )
    return Text(
        f"Shortened: simulated stories ({QUESTIONS} questions per task, 250 in each exam), {SHORT.epochs} epochs per "
        f"task and {joint['epochs']} for all at once. With --full: the official files, {FULL.epochs} epochs.",
        f"本次为缩短版：模拟生成的故事（每个任务 {QUESTIONS} 题，每次考试 250 题），"
        f"逐个学时每个任务 {SHORT.epochs} 轮，一起学时 {joint['epochs']} 轮。"
        f"加上 --full 则使用官方数据，{FULL.epochs} 轮。",
    )


BABI = Lesson(
    name="babi",
    figures=("16.5", "16.6", "16.7"),
    title=Text("Twenty skills of question answering", "二十种问答技能"),
    see=Text(
        "A memory network reads short stories and answers questions about them; each of the 20 bAbI tasks asks for "
        "another skill, such as following one fact, two facts, counting, or finding a way. Learned one after the "
        f"other, look at task {FOLLOWED}: it cannot be answered before its turn, is known right after it, and is lost "
        "as soon as the next skill is learned. Then look at the bars: the same network learns all skills when they "
        "come at once, so it is not too small. It forgets because nothing makes it remember. The table and the last "
        "figure show how much a few stored examples, a guard on the weights, or a teacher's answers save.",
        "记忆网络读一段小故事，然后回答问题；bAbI 的 20 个任务各考一种技能：找一个事实、找两个事实、数数、找路……"
        f"逐个学习时，请盯住任务 {FOLLOWED}：轮到它之前答不出来，刚学完时答得很好，一旦学了下一个技能就丢掉了。"
        "再看柱状图：同一个网络把所有任务放在一起学，各种技能都能学会，可见并不是网络太小。它之所以遗忘，"
        "是因为没有任何东西要求它记住。表格和最后一张图说明：存下少量样本、给权重加上守卫、或者请旧模型当老师，各能保住多少。",
    ),
    parts=_parts,
    show=_show,
)
