"""One model per task against sharing: what is stored, and what few examples lose where nothing is shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lifelong.chapter.differences import apart, claim_above
from lifelong.chapter.learning import data_stream, fewer_tests, joint_after, learned, record_of, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Claim, Grid, Picture, Shown
from lifelong.evaluation import Array, interval
from lifelong.methods import Method, StreamSize, build
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.series import Quantity, series_panels
from lifelong.reports.wording import points, share, size, with_interval
from lifelong.streams import Stream
from lifelong.training import Learner

__all__ = ["MODEL_PER_TASK", "storage"]

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
#: numbers of tasks at which storage is computed
LIVES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def _steps(setup: Setup) -> int:
    return STEPS[setup.data] * (3 if setup.full else 1)


def _stream(setup: Setup, samples: int | None, seed: int) -> Stream:
    whole = data_stream(setup, "rotated", tasks=TASKS, samples=samples, seed=seed)
    return whole if setup.full else fewer_tests(whole, TESTS)


def _method(name: str) -> Method[Any]:
    return build(name, {"capacity": CAPACITY} if name == "er" else {})


def _run(setup: Setup, name: str, samples: int | None, seed: int, scratch: Path) -> dict[str, float]:
    """ACC, bytes of extra storage, and the training examples per task."""
    model, training = usual(setup, optimizer="adam", lr=0.003, iterations=_steps(setup))
    stream = _stream(setup, samples, seed)
    if name == "joint":
        learner, _ = joint_after(TASKS, stream, model, training, seed)
        score, stored = float(np.mean(learner.evaluate(stream))), learner.stored_bytes
    else:
        values = learned(scratch, stream, _method(name), model=model, training=training, seed=seed, evaluate="last")
        record = record_of(values)
        score, stored = record.scores["acc"], record.cost.stored_bytes
    return {"samples": len(stream.task(1).train), "acc": score, "bytes": stored}


def storage(name: str, stream: Stream, model: str) -> list[int]:
    """The bytes that a method stores besides `model` after each of `LIVES` tasks like those of `stream`."""
    space, examples = stream.space, len(stream.task(1).train)
    parameters = len(Learner(model, space=space).flat)
    sizes = [StreamSize.of(tasks, examples, 4 * space.features, parameters, space.classes or 0) for tasks in LIVES]
    return [_method(name).declared_bytes(size) for size in sizes]


def _part(setup: Setup, name: str, samples: int | None, scratch: Path) -> Values:
    seeds = range(setup.seed, setup.seed + (5 if setup.full else 3 if setup.data == "digits" else 2))
    model, _ = usual(setup)
    return {
        "runs": [_run(setup, name, samples, seed, scratch) for seed in seeds],
        "declared": storage(name, _stream(setup, samples, setup.seed), model),
    }


def _parts(setup: Setup) -> Mapping[str, Part]:
    return {
        f"{name}-{samples or 'all'}": partial(_part, setup, name, samples)
        for name in METHODS
        for samples in SAMPLES[setup.data]
    }


def _column(values: Mapping[str, Values], method: str, name: str, data: str) -> Array:
    """`name` of every run of `method`: (seeds, numbers of examples)."""
    parts = [values[f"{method}-{samples or 'all'}"]["runs"] for samples in SAMPLES[data]]
    return np.array([[run[name] for run in runs] for runs in parts], dtype=np.float64).T


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    accs = {method: _column(values, method, "acc", setup.data) for method in METHODS}
    counts = [int(count) for count in _column(values, METHODS[0], "samples", setup.data)[0]]
    most = SAMPLES[setup.data][-1]
    declared = {method: values[f"{method}-{most or 'all'}"]["declared"] for method in METHODS}
    measured = {method: float(_column(values, method, "bytes", setup.data)[:, -1].mean()) for method in METHODS}
    heads = [Text("examples per task", "每个任务的样本数"), *(str(count) for count in counts)]
    seeds = len(accs[METHODS[0]])
    acc_table = Grid(
        Text(
            f"ACC in percent on {TASKS} rotations, mean of {seeds} seeds ± 95 % interval",
            f"{TASKS} 个旋转任务上的 ACC（%），{seeds} 个随机种子的平均 ± 95% 置信区间",
        ),
        heads,
        [[method, *(share(interval(column)) for column in scores.T)] for method, scores in accs.items()],
    )
    gains = {name: accs[name] - accs["independent"] for name in ("joint", "er")}
    gain_table = Grid(
        Text("What sharing gains over one model per task (points)", "共享参数比每个任务一个模型高出多少（百分点）"),
        heads,
        [[name, *(with_interval(interval(column), points) for column in gain.T)] for name, gain in gains.items()],
    )
    bytes_table = Grid(
        Text(
            f"Extra storage with {counts[-1]} examples per task: exact by the number of tasks, and measured "
            f"after {TASKS}",
            f"每个任务 {counts[-1]} 个样本时的额外存储：按任务数精确算出，以及 {TASKS} 个任务之后的实测值",
        ),
        [
            Text("number of tasks", "任务数"),
            *(f"{tasks:,}" for tasks in LIVES),
            Text(f"measured after {TASKS}", f"{TASKS} 个任务后实测"),
        ],
        [[method, *map(size, declared[method]), size(measured[method])] for method in METHODS],
    )
    pictures = (
        Picture(
            "sharing",
            Text(
                f"ACC on {TASKS} rotations by the number of examples per task, mean and 95 % interval over seeds.",
                f"{TASKS} 个旋转任务的 ACC 随每个任务样本数的变化（各随机种子的平均与 95% 置信区间）。",
            ),
            partial(_draw_sharing, counts, accs),
        ),
        Picture(
            "storage",
            Text(
                f"Extra storage for 1 to {LIVES[-1]:,} tasks of {counts[-1]} examples: lines are "
                f"exact, rings are measured after {TASKS} tasks (logarithmic axes).",
                f"1 到 {LIVES[-1]:,} 个任务（每个任务 {counts[-1]} 个样本）的额外存储：线为精确值，"
                f"圆圈为 {TASKS} 个任务之后的实测值（对数坐标）。",
            ),
            partial(_draw_storage, declared, measured),
        ),
    )
    claims = (*_claims(gains, counts), *_storage_claims(declared, measured))
    return Shown((acc_table, gain_table, bytes_table), pictures, _notes(setup), claims)


def _draw_sharing(counts: Sequence[int], accs: Mapping[str, Array], language: Language) -> Figure:
    lines = {name: (counts, 100 * scores) for name, scores in accs.items()}
    label = Text("training examples per task", "每个任务的训练样本数").of(language)
    return series_panels([Quantity(Text("ACC (%)", "ACC（%）").of(language), lines, most=100.0)], label, counts)


def _draw_storage(declared: Mapping[str, list[int]], measured: Mapping[str, float], language: Language) -> Figure:
    quantity = Quantity(
        Text("extra storage (MB)", "额外存储（MB）").of(language),
        {name: (LIVES, 1e-6 * np.array([stored], dtype=np.float64)) for name, stored in declared.items()},
        logarithmic=True,
        measured={name: (TASKS, 1e-6 * stored) for name, stored in measured.items()},
    )
    return series_panels([quantity], Text("number of tasks", "任务数").of(language), LIVES[::3])


def _claims(gains: Mapping[str, Array], counts: Sequence[int]) -> tuple[Claim, ...]:
    """What sharing gains where examples are few and many."""

    def gain(name: str, place: int) -> Claim:
        difference = interval(gains[name][:, place])
        return claim_above(
            difference,
            Text(
                f"{name} minus one model per task, {counts[place]} examples",
                f"{name} 与每个任务一个模型之差（{counts[place]} 个样本）",
            ),
            Text(
                f"With {counts[place]} examples per task, {name} is {apart(difference)} points above "
                "one model per task.",
                f"每个任务 {counts[place]} 个样本时，{name} 比每个任务一个模型高 {apart(difference)} 个百分点。",
            ),
        )

    shrinks = interval(gains["joint"][:, 0] - gains["joint"][:, -1])
    return (
        gain("joint", 0),
        gain("er", 0),
        gain("joint", -1),
        claim_above(
            shrinks,
            Text(
                f"the gain of joint with {counts[0]} examples minus that with {counts[-1]}",
                f"{counts[0]} 个样本与 {counts[-1]} 个样本时 joint 的优势之差",
            ),
            Text(
                f"Sharing helps most where examples are few: from {counts[0]} to {counts[-1]} examples per task the "
                f"gain of joint falls by {apart(shrinks)} points.",
                f"样本越少，共享越有用：每个任务的样本从 {counts[0]} 个增加到 {counts[-1]} 个时，joint 的优势缩小 "
                f"{apart(shrinks)} 个百分点。",
            ),
        ),
    )


def _storage_claims(declared: Mapping[str, list[int]], measured: Mapping[str, float]) -> tuple[Claim, ...]:
    """How storage grows with the tasks, and that what was measured is what was computed."""
    models, memory, data = (declared[name] for name in METHODS)
    one, last, place = models[0], LIVES[-1], LIVES.index(TASKS)
    error = max(abs(measured[name] / declared[name][place] - 1) for name in METHODS)
    return (
        Claim(
            models[-1] == last * one and memory[-1] == memory[place],
            Text(
                f"One model per task stores {size(one)} per task, {size(models[-1])} for {last:,} tasks; er stores "
                f"{size(memory[-1])} however many tasks there are.",
                f"每个任务一个模型：每个任务 {size(one)}，{last:,} 个任务共 {size(models[-1])}；"
                f"er 无论多少任务都只存 {size(memory[-1])}。",
            ),
            Text(
                f"One model per task stores {size(models[-1])} for {last:,} tasks and er {size(memory[-1])}: the "
                "memory of er is not full yet at the measured point, so the two cannot be compared there.",
                f"{last:,} 个任务时，每个任务一个模型存 {size(models[-1])}，er 存 {size(memory[-1])}；"
                "但在实测点 er 的记忆还没有装满，不能在那里比较。",
            ),
        ),
        Claim(
            data[-1] > models[-1],
            Text(
                f"Joint training stores even more, the data of all tasks: {size(data[-1])} for {last:,} tasks.",
                f"joint 要保存所有任务的数据，存得更多：{last:,} 个任务共 {size(data[-1])}。",
            ),
            Text(
                f"Joint training stores less than the models here: {size(data[-1])} of data for {last:,} tasks.",
                f"在这里，joint 存的比这些模型少：{last:,} 个任务的数据共 {size(data[-1])}。",
            ),
        ),
        Claim(
            error < 0.001,
            Text(
                f"What was measured after {TASKS} tasks is what was computed, within 0.1 %.",
                f"{TASKS} 个任务之后的实测值与算出的值相符，相差不到 0.1%。",
            ),
            Text(
                f"What was measured after {TASKS} tasks differs from what was computed by {100 * error:.1f} %.",
                f"{TASKS} 个任务之后的实测值与算出的值相差 {100 * error:.1f}%。",
            ),
        ),
    )


def _notes(setup: Setup) -> tuple[Text, ...]:
    steps = _steps(setup)
    how = Text(
        f"Every task gets {steps} steps whatever the number of its examples, and joint training {TASKS} times as many "
        "for all tasks together. independent is given the task number at test, er and joint are not. "
        f"er stores at most {CAPACITY} examples in all, which is every example where there are few.",
        f"无论样本多少，每个任务都训练 {steps} 步；joint 对全部任务一起训练，步数是其 {TASKS} 倍。"
        "测试时 independent 知道任务编号，er 和 joint 不知道。"
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
        "If a new task spoils the old ones, why not train a new network for each? Nothing is forgotten then, but there "
        "are three costs: the networks pile up with the tasks, the task number must be known at test, and "
        "each network learns alone. The tasks here are rotations of the same digits, with few examples per task at the "
        "left of the first figure and many at the right: compare the line of independent (one network per task) with "
        "er and joint, which share one network. The second figure counts the bytes for up to 1,000 tasks.",
        "既然新任务会破坏旧任务，为什么不给每个任务单独训练一个网络？这样什么也不会忘，但有三个代价：任务越多，"
        "网络越多；"
        "测试时必须知道任务编号；每个网络只能独自学习。这里的任务是同一批数字的不同旋转，第一张图的左边样本少、"
        "右边样本多：请比较 independent（每个任务一个网络）与共用一个网络的 er、joint。"
        "第二张图给出多达 1,000 个任务时的存储量。",
    ),
    parts=_parts,
    show=_show,
)
