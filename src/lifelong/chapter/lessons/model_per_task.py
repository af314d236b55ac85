"""One model per task against sharing: what is kept, and what few examples lose where nothing is shared."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lifelong.chapter.learning import data_stream, fewer_tests, joint_after, learned, record_of, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Grid, Picture, Shown
from lifelong.evaluation import Array, interval
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.series import Quantity, series_panels
from lifelong.reports.wording import points, size, with_interval

__all__ = ["MODEL_PER_TASK"]

TASKS = 10
METHODS = ("independent", "er", "joint")
#: training examples per task; None is all there are
SAMPLES: dict[str, tuple[int | None, ...]] = {
    "digits": (20, 50, 200, None),
    "mnist": (20, 50, 200, 2000),
}
STEPS = {"digits": 60, "mnist": 120}
TESTS = 2000
CAPACITY = 500


def _steps(setup: Setup) -> int:
    return STEPS[setup.data] * (3 if setup.full else 1)


def _run(setup: Setup, method: str, samples: int | None, seed: int, scratch: Path) -> dict[str, float]:
    """ACC, bytes kept beside the network, and the training examples per task."""
    model, training = usual(setup, optimizer="adam", lr=0.003, iterations=_steps(setup))
    whole = data_stream(setup, "rotated", tasks=TASKS, samples=samples, seed=seed)
    stream = whole if setup.full else fewer_tests(whole, TESTS)
    used = len(stream.task(1).train)
    if method == "joint":
        learner, _ = joint_after(TASKS, stream, model, training, seed)
        acc, stored = float(np.mean(learner.evaluate(stream))), learner.stored_bytes
    else:
        settings = {"capacity": CAPACITY} if method == "er" else {}
        values = learned(
            scratch, stream, method, model=model, training=training, seed=seed, evaluate="last", settings=settings
        )
        record = record_of(values)
        acc, stored = record.scores["acc"], record.cost.stored_bytes
    return {"samples": used, "acc": acc, "bytes": stored}


def _part(setup: Setup, method: str, samples: int | None, scratch: Path) -> Values:
    seeds = range(setup.seed, setup.seed + (5 if setup.full else 3 if setup.data == "digits" else 2))
    return {"runs": [_run(setup, method, samples, seed, scratch) for seed in seeds]}


def _parts(setup: Setup) -> Mapping[str, Part]:
    return {
        f"{method}-{samples or 'all'}": partial(_part, setup, method, samples)
        for method in METHODS
        for samples in SAMPLES[setup.data]
    }


def _column(values: Mapping[str, Values], method: str, name: str, data: str) -> Array:
    """`name` of every run of `method`: (seeds, numbers of examples)."""
    parts = [values[f"{method}-{samples or 'all'}"]["runs"] for samples in SAMPLES[data]]
    return np.array([[run[name] for run in runs] for runs in parts], dtype=np.float64).T


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    accs = {method: _column(values, method, "acc", setup.data) for method in METHODS}
    stored = {method: _column(values, method, "bytes", setup.data) for method in METHODS}
    counts = [int(count) for count in _column(values, METHODS[0], "samples", setup.data)[0]]
    heads = [Text("examples per task", "每个任务的样本数"), *(str(count) for count in counts)]
    seeds = len(accs[METHODS[0]])
    acc_table = Grid(
        Text(
            f"ACC in percent on {TASKS} rotations, mean of {seeds} seeds ± 95 % interval",
            f"{TASKS} 个旋转任务上的 ACC（%），{seeds} 个随机种子的平均 ± 95% 置信区间",
        ),
        heads,
        [[method, *(with_interval(interval(column)) for column in acc.T)] for method, acc in accs.items()],
    )
    gains = accs["joint"] - accs["independent"], accs["er"] - accs["independent"]
    gain_table = Grid(
        Text("What sharing gains over one model per task (points)", "共享比每个任务一个模型多得多少（百分点）"),
        heads,
        [
            [name, *(with_interval(interval(column), points) for column in gain.T)]
            for name, gain in zip(("joint", "er"), gains, strict=True)
        ],
    )
    bytes_table = Grid(
        Text(f"Kept beside the network after {TASKS} tasks", f"学完 {TASKS} 个任务后，除网络之外保存的数据量"),
        heads,
        [[method, *(size(float(column.mean())) for column in kept.T)] for method, kept in stored.items()],
    )

    def draw(language: Language) -> Figure:
        quantities = [
            Quantity(
                Text("ACC (%)", "ACC（%）").of(language), {name: (counts, 100 * acc) for name, acc in accs.items()}
            ),
            Quantity(
                Text("MB kept beside the network", "网络之外保存的数据（MB）").of(language),
                {name: (counts, 1e-6 * kept) for name, kept in stored.items()},
                logarithmic=True,
            ),
        ]
        return series_panels(
            quantities, Text("training examples per task", "每个任务的训练样本数").of(language), counts
        )

    picture = Picture(
        "sharing",
        Text("Accuracy and memory by the number of examples per task", "正确率和存储量随每个任务样本数的变化"),
        draw,
    )
    return Shown((acc_table, gain_table, bytes_table), (picture,), _notes(setup))


def _notes(setup: Setup) -> tuple[Text, ...]:
    steps = _steps(setup)
    how = Text(
        f"Every task gets {steps} steps whatever the number of its examples, and joint training {TASKS} times as many "
        "for all tasks together. independent is told the number of the task at test, which er and joint are not. "
        f"er keeps at most {CAPACITY} examples in all, which is every one where there are few.",
        f"无论样本多少，每个任务都训练 {steps} 步；joint 对全部任务一起训练，步数是其 {TASKS} 倍。"
        "测试时 independent 被告知任务编号，er 和 joint 则没有。"
        f"er 总共至多保存 {CAPACITY} 个样本，样本少的时候相当于全部保存。",
    )
    short = Text(
        f"Shortened: at most {TESTS} test examples per task and fewer steps and seeds; --full takes all.",
        f"已缩短：每个任务至多 {TESTS} 个测试样本，步数和随机种子较少；加 --full 则不缩短。",
    )
    return (how,) if setup.full else (how, short)


MODEL_PER_TASK = Lesson(
    name="model-per-task",
    figures=(),
    title=Text("One model for each task", "每个任务一个模型"),
    see=Text(
        "If learning a new task spoils the old ones, why not a new network for each? Nothing can be forgotten "
        "then. The price is in the tables: the networks pile up with the tasks, at test somebody must say which "
        "task an image belongs to, and each network learns alone. The tasks here are rotations of the same "
        "digits, with few examples at the left of the figure and many at the right. Where examples are few, "
        "methods that share one network gain from what the other rotations teach; where they are many, a network "
        "of its own needs no help. Sharing is not only thrift: it is how one task helps another.",
        "既然学新任务会破坏旧任务，为什么不给每个任务配一个新网络？那样什么也不会忘。代价在表里：任务越多，网络堆"
        "得越多；测试时必须有人告诉它图像属于哪个任务；而且每个网络都是孤军奋战。这里的任务是同一批数字的不同旋转，"
        "图的左边样本少，右边样本多。样本少的时候，共用一个网络的方法能从其他旋转中学到东西，占了上风；样本多的时"
        "候，专用的网络就不需要别人帮忙了。共享不只是节省，更是让一个任务帮助另一个任务的途径。",
    ),
    parts=_parts,
    show=_show,
)
