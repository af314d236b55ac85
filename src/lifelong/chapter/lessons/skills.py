"""Three skills with inputs of their own in one network: speech, then images, then sentences."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lifelong.chapter.differences import apart, claim_above, claim_below
from lifelong.chapter.learning import learned, usual
from lifelong.chapter.lesson import Lesson, Part, Setup, Values
from lifelong.chapter.shown import Claim, Grid, Picture, Shown
from lifelong.evaluation import Array, interval
from lifelong.methods import Joint
from lifelong.reports.bars import grouped_bars
from lifelong.reports.bilingual import Language, Text
from lifelong.reports.matrices import heat_map
from lifelong.reports.samples import sample_blocks
from lifelong.reports.wording import percent, share, size
from lifelong.streams import Stream, stream
from lifelong.training import Learner

__all__ = ["SKILLS"]

METHODS: dict[str, dict[str, Any]] = {
    "finetune": {},
    "ewc": {},
    "er": {"capacity": 600},
    "independent": {},
    "joint": {},
}
#: methods that fight forgetting in the one network
CURES = ("ewc", "er")
NAMES = (
    Text("spoken digits", "语音数字"),
    Text("written digits", "手写数字"),
    Text("intents of sentences", "句子意图"),
)
SAMPLES = 6
#: the fraction of joint training's accuracy that a cure shall keep of every skill
KEPT = 0.9


def _stream(setup: Setup, seed: int) -> Stream:
    return stream("skills", source="files" if setup.full else "embedded", data_dir=setup.data_dir, seed=seed)


def _seeds(setup: Setup) -> range:
    return range(setup.seed, setup.seed + (5 if setup.full else 3))


def _part(setup: Setup, method: str, scratch: Path) -> Values:
    """The table R of each seed, and the bytes stored at the end."""
    model, training = usual(setup, "skills")
    runs: list[Values] = []
    for seed in _seeds(setup):
        tasks, settings = _stream(setup, seed), METHODS[method]
        run = learned(scratch, tasks, method, model=model, training=training, seed=seed, settings=settings)
        runs.append({"matrix": run["matrix"], "stored_bytes": run["cost"]["stored_bytes"]})
    return {"runs": runs}


def _joint(setup: Setup, scratch: Path) -> Values:
    """The same for joint training, which learns once, with the examples of all skills."""
    model, training = usual(setup, "skills")
    runs: list[Values] = []
    for seed in _seeds(setup):
        tasks = _stream(setup, seed)
        learner = Learner(model, Joint(), tasks.space, seed=seed, training=training)
        matrix = np.full((len(tasks) + 1, len(tasks)), np.nan)
        matrix[0] = learner.evaluate(tasks)
        for task in tasks.tasks[:-1]:
            learner.state.add(task.train)
        learner.learn(tasks.tasks[-1], progress=False)
        matrix[-1] = learner.evaluate(tasks)
        rows = [[None if np.isnan(value) else float(value) for value in row] for row in matrix]
        runs.append({"matrix": rows, "stored_bytes": learner.stored_bytes})
    return {"runs": runs}


def _examples(setup: Setup, scratch: Path) -> Values:
    """What an example of each skill looks like: bands and images from 0 to 255, the words of a sentence as numbers."""
    speech, images, sentences = (task.test for task in _stream(setup, setup.seed))
    bands = (speech.x[:: len(speech) // SAMPLES, 0] * 0.3 + 0.5).clamp(0, 1)[:SAMPLES].flip(1)
    digits = images.x[:: len(images) // SAMPLES, 0][:SAMPLES]
    names = _stream(setup, setup.seed).task(3).class_names
    return {
        "speech": (255 * bands).round().int().tolist(),
        "images": (255 * digits).round().int().tolist(),
        "intents": list(names),
        "vocabulary": int(sentences.x.max()),
    }


def _parts(setup: Setup) -> Mapping[str, Part]:
    runs = {method: partial(_part, setup, method) for method in METHODS if method != "joint"}
    return {"joint": partial(_joint, setup), **runs, "examples": partial(_examples, setup)}


def _claims(matrices: Mapping[str, Array]) -> tuple[Claim, ...]:
    finetune, joint, alone = (matrices[method] for method in ("finetune", "joint", "independent"))
    learned_after = np.stack([finetune[:, task + 1, task] for task in range(3)], axis=1)
    rise = interval((learned_after - finetune[:, 0]).min(1))
    each = ", ".join(
        f"{name.en} {percent(float(value))} %" for name, value in zip(NAMES, learned_after.mean(0), strict=True)
    )
    each_zh = "，".join(
        f"{name.zh} {percent(float(value))}%" for name, value in zip(NAMES, learned_after.mean(0), strict=True)
    )
    claims = [
        claim_above(
            rise,
            Text("the least rise of a skill while it is learned", "学习期间提高最少的一种技能的变化"),
            Text(f"One network learns skill after skill: {each}, each right after it was learned.",
                 f"同一个网络能逐个学会三种技能（刚学完时）：{each_zh}。"),
        )
    ]  # fmt: skip
    for task in (0, 1):
        before, after = finetune[:, task + 1, task], finetune[:, -1, task]
        fall = interval(after - before)
        claims.append(
            claim_below(
                fall,
                Text(f"the change of {NAMES[task].en}", f"{NAMES[task].zh}的变化"),
                Text(
                    f"Without a cure it forgets {NAMES[task].en}: {percent(float(before.mean()))} → "
                    f"{percent(float(after.mean()))} %, a fall of {apart(fall)} points.",
                    f"不加防范，{NAMES[task].zh}被遗忘：{percent(float(before.mean()))}% → "
                    f"{percent(float(after.mean()))}%，下降 {apart(fall)} 个百分点。",
                ),
            )
        )
    gap = interval((joint[:, -1] - alone[:, -1]).min(1))
    claims.append(
        Claim(
            gap.mean + gap.ci95 > -0.05,
            Text(
                f"It has room for all three: joint training reaches {_three(joint)} %, and at worst stays "
                f"{percent(max(0.0, -gap.mean))} points below a network for each skill.",
                f"网络容得下三种技能：一起学达到 {_three(joint)}%，与每种技能单独一个网络相比，最多低 "
                f"{percent(max(0.0, -gap.mean))} 个百分点。",
            ),
            Text(
                f"Joint training reaches {_three(joint)} %, up to {percent(-gap.mean)} points below a network for each "
                "skill: this network is small for all three.",
                f"一起学达到 {_three(joint)}%，比每种技能单独一个网络最多低 {percent(-gap.mean)} 个百分点："
                "对三种技能来说，这个网络偏小。",
            ),
        )
    )
    return (*claims, *(_cure(matrices, method) for method in CURES))


def _cure(matrices: Mapping[str, Array], method: str) -> Claim:
    """Whether a cure keeps `KEPT` of joint training's accuracy on every skill."""
    ratio = matrices[method][:, -1].mean(0) / matrices["joint"][:, -1].mean(0)
    worst = int(ratio.argmin())
    kept, three = percent(float(ratio.min())), _three(matrices[method])
    return Claim(
        bool(ratio.min() >= KEPT),
        Text(
            f"{method} keeps {kept} % or more of joint training's accuracy on every skill ({three} %).",
            f"{method} 在每种技能上都保住了一起学的 {kept}% 以上（{three}%）。",
        ),
        Text(
            f"{method} keeps only {kept} % of joint training's accuracy on {NAMES[worst].en} ({three} %).",
            f"{method} 在{NAMES[worst].zh}上只保住了一起学的 {kept}%（{three}%）。",
        ),
    )


def _three(matrix: Array) -> str:
    return " / ".join(percent(float(value)) for value in matrix[:, -1].mean(0))


def _table(matrices: Mapping[str, Array], stored: Mapping[str, float]) -> Grid:
    rows: list[list[str | Text]] = [
        [method, *(share(interval(matrix[:, -1, task])) for task in range(3)), size(stored[method])]
        for method, matrix in matrices.items()
    ]
    caption = Text(
        f"Accuracy in percent on each skill after all three, mean of {len(matrices['joint'])} seeds ± 95 % interval",
        f"学完三种技能后各技能的准确率（%），{len(matrices['joint'])} 个随机种子的平均 ± 95% 置信区间",
    )
    return Grid(caption, [Text("method", "方法"), *NAMES, Text("stored", "额外存储")], rows)


def _images(values: Values, name: str) -> NDArray[np.float64]:
    return np.asarray(values[name], dtype=np.float64)[None] / 255


def _show(setup: Setup, values: Mapping[str, Values]) -> Shown:
    runs = {method: values[method]["runs"] for method in METHODS}
    matrices = {method: np.array([run["matrix"] for run in some], dtype=np.float64) for method, some in runs.items()}
    stored = {method: float(np.mean([run["stored_bytes"] for run in some])) for method, some in runs.items()}
    examples = values["examples"]

    def draw_examples(language: Language) -> Figure:
        speech = Text("time →, pitch ↑", "时间 →，频率 ↑").of(language)
        blocks = {
            NAMES[0].of(language): (_images(examples, "speech"), [speech]),
            NAMES[1].of(language): (_images(examples, "images"), [""]),
        }
        return sample_blocks(blocks)

    def draw_bars(language: Language) -> Figure:
        final = np.stack([matrix[:, -1] for matrix in matrices.values()], axis=2)
        label = Text("accuracy at the end (%)", "最后的准确率（%）").of(language)
        return grouped_bars(final, [name.of(language) for name in NAMES], list(METHODS), label, list(METHODS))

    def draw_finetune(language: Language) -> Figure:
        title = Text("finetune, three skills", "finetune，三种技能").of(language)
        names = [name.of(language) for name in NAMES]
        return heat_map(matrices["finetune"].mean(0), title, language, names=names)

    pictures = (
        Picture(
            "inputs",
            Text(
                "Two of the three kinds of input: spoken digits as pictures of sound, and written digits. The third "
                "is a sentence such as “what is the weather like”.",
                "三种输入中的两种：画成图的语音数字，和手写数字。第三种是句子，例如 “what is the weather like”。",
            ),
            draw_examples,
        ),
        Picture(
            "methods",
            Text(
                "Every skill after all three were learned, by method.", "学完三种技能之后，各方法在每种技能上的准确率。"
            ),
            draw_bars,
        ),
        Picture(
            "finetune",
            Text(
                "R of finetune: each row is the network after one more skill.",
                "finetune 的表 R：每一行是又学完一种技能之后的网络。",
            ),
            draw_finetune,
        ),
    )
    return Shown((_table(matrices, stored),), pictures, _notes(setup, examples), _claims(matrices))


def _notes(setup: Setup, examples: Values) -> tuple[Text, ...]:
    model, training = usual(setup, "skills")
    how = Text(
        f"Network {model} with an encoder for each kind of input, {training.optimizer} with step size {training.lr:g}, "
        f"{training.epochs} passes over each skill. Spoken and written digits share their ten answers, sentences have "
        f"{len(examples['intents'])} of their own. er stores {METHODS['er']['capacity']} examples of all skills; "
        "independent is a network for each skill, and is told which to use.",
        f"网络 {model}，每种输入有一个编码器；优化器 {training.optimizer}，学习率 {training.lr:g}，每种技能训练 "
        f"{training.epochs} 遍。语音数字和手写数字共用十个答案，句子另有 {len(examples['intents'])} 个。er 一共保存 "
        f"{METHODS['er']['capacity']} 个样本；independent 每种技能一个网络，并被告知该用哪一个。",
    )
    data = Text(
        "Speech: free-spoken-digit-dataset (CC BY-SA 4.0). Images: MNIST. Sentences: clinc150 (CC BY 3.0).",
        "语音：free-spoken-digit-dataset（CC BY-SA 4.0）；图像：MNIST；句子：clinc150（CC BY 3.0）。",
    )
    short = Text(
        "Shortened: 600 recordings and 3 seeds; --full takes all 3,000 recordings and 5 seeds.",
        "已缩短：600 段录音、3 个随机种子；加 --full 则用全部 3,000 段录音、5 个随机种子。",
    )
    return (how, data) if setup.full else (how, data, short)


SKILLS = Lesson(
    name="skills",
    figures=("16.1",),
    title=Text("One machine, skill after skill", "一个模型，一种又一种技能"),
    see=Text(
        "The picture that the chapter begins with: one machine learns to understand speech, then to recognise images, "
        "then something with language, and in the end is to do all three. Each skill has inputs of its own, so the "
        "network has an encoder for each; everything behind is shared. Look at the first bar of each group: what is "
        "left of the earlier skills once the last is learned? Then compare it with the bars of the cures, of a network "
        "for each skill, and of joint training.",
        "本章开头的设想：一个模型先学语音识别，再学图像识别，然后学与语言有关的任务，最后三样都会。每种技能的输入不同，"
        "所以网络为每种输入配一个编码器，后面的部分全部共用。请看每组的第一根柱子：学完最后一种技能，先前的还剩多少？"
        "再与各种防遗忘方法、每种技能一个网络、以及一起学的柱子比较。",
    ),
    parts=_parts,
    show=_show,
)
